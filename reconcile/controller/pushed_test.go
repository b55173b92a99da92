// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/reconcile/controller"
)

// An event tells of all commits of a push: of several events with one reason, the API's
// clients keep the first note and a count.
func TestPushedTellsOfAllCommits(t *testing.T) {
	w := newOwnWorld(t)
	names := []string{"api", "podinfo", "web"}
	files := map[string]string{}
	for _, name := range names {
		w.push(name, "1.0.0", "1.1.0")
		files["apps/"+name+".yaml"] = w.deployment(name, name+":1.0.0", name)
	}
	w.repo.Seed(t, files, "First")
	w.create(w.repository("fleet"))
	for _, name := range names {
		w.create(w.policy(name, name))
	}
	w.controller(controller.Options{})
	w.untilReady(w.repository("fleet"), "Synced")

	w.until("an event tells of the push", func() (string, bool) {
		var all eventsv1.EventList
		if err := w.client.List(t.Context(), &all, client.InNamespace(w.namespace)); err != nil {
			t.Fatal(err)
		}
		var notes []string
		for _, e := range all.Items {
			if e.Reason == "Pushed" {
				notes = append(notes, e.Note)
			}
		}
		said := strings.Join(notes, "\n")
		return said, strings.Contains(said, "api to 1.1.0") && strings.Contains(said, "podinfo to 1.1.0") && strings.Contains(said, "web to 1.1.0")
	})
}
