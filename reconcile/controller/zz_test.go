package controller_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/reconcile/controller"
)

func TestZZ(t *testing.T) {
	w := newOwnWorld(t)
	_, silent := w.fronts()
	healthy := w.store
	for i := range 12 {
		w.push(fmt.Sprint("dead", i), "1.0.0")
	}
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": "image: " + healthy + "/app:1.0.0 # {\"$imagepolicy\": \"" + w.namespace + ":app\"}\n"}, "First")
	w.controller(controller.Options{})
	policy := w.policy("app", "app")
	policy.Spec.Image = healthy + "/app"
	w.create(policy, w.repository("fleet"))
	w.untilTag("app.yaml", "1.1.0")
	silent.instead(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
	for i := range 12 {
		w.create(w.policy(fmt.Sprint("dead", i), fmt.Sprint("dead", i)))
	}
	for _, tag := range []string{"1.2.0", "1.3.0", "1.4.0"} {
		time.Sleep(3 * time.Second)
		begun := time.Now()
		w.push("app", tag)
		w.untilTag("app.yaml", tag)
		t.Log(tag, time.Since(begun))
	}
}
