// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// machine is a login for every registry.
type machine struct{}

func (machine) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "machine", Password: "s3cret"}, nil
}

// A policy's own authorities may sign for any host, a cloud's too: who is trusted by them
// gets no login of the machine's.
func TestOwnAuthoritiesGetNoAmbientLogin(t *testing.T) {
	var asked, loggedIn atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			loggedIn.Add(1)
		}
	}))
	defer server.Close()
	ca := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "ca"}}
	ca.Data = map[string][]byte{"ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	host := strings.TrimPrefix(server.URL, "https://")
	private, err := registry.ParsePrivate([]string{host})
	if err != nil {
		t.Fatal(err)
	}
	known := newAccounts(fake.NewClientBuilder().WithObjects(ca).Build(), registry.Options{Ambient: machine{}, AllowPrivate: private, InCluster: true})
	p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "app"}}
	p.Spec.Image, p.Spec.Select.Tag = host+"/app", "stable"
	p.Spec.Registry = &v1alpha1.RegistryAccess{CASecretRef: &v1alpha1.LocalReference{Name: "ca"}}
	account, err := known.of(t.Context(), p, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := reconcile.NewResolutions().Look(t.Context(), account, []*v1alpha1.ImagePolicy{p}, time.Now(), reconcile.BySchedule); err != nil {
		t.Fatal(err)
	}
	if asked.Load() == 0 || loggedIn.Load() > 0 {
		t.Errorf("of %d requests, %d have the machine's login", asked.Load(), loggedIn.Load())
	}
}
