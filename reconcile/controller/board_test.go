// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"slices"
	"testing"

	diff "github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/reconcile"
)

func named(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

// found are outcomes by the names of policies, with the revision that each has.
func found(revisions map[string]int) map[types.NamespacedName]outcome {
	all := map[types.NamespacedName]outcome{}
	for name, revision := range revisions {
		all[named("prod", name)] = outcome{placeOf("fleet", 1, reconcile.UpToDate).Policy, memoryOf(revision)}
	}
	return all
}

func names(all []types.NamespacedName) []string {
	var found []string
	for _, n := range all {
		found = append(found, n.Name)
	}
	slices.SortFunc(found, cmp.Compare[string])
	return found
}

// The board tells of whom there is news: of all at first, and then of what came, changed
// or went.
func TestBoardTellsNews(t *testing.T) {
	b, fleet := newBoard(), named("prod", "fleet")
	for _, step := range []struct {
		found map[string]int
		news  []string
	}{
		{map[string]int{"a": 1, "b": 1}, []string{"a", "b"}},
		{map[string]int{"a": 1, "b": 1}, nil},
		{map[string]int{"a": 1, "b": 2}, []string{"b"}},
		{map[string]int{"b": 2, "c": 1}, []string{"a", "c"}},
		{nil, []string{"b", "c"}},
		{nil, nil},
	} {
		if d := diff.Diff(step.news, names(b.post(fleet, found(step.found)))); d != "" {
			t.Errorf("after %v (-want +got):\n%s", step.found, d)
		}
	}
}

func TestBoardKeepsWhatIsKnown(t *testing.T) {
	b, fleet, a := newBoard(), named("prod", "fleet"), named("prod", "a")
	expect := func(when string, wantHas, wantLooked, wantFailing bool) {
		t.Helper()
		if _, has, looked := b.of(fleet, a); has != wantHas || looked != wantLooked || b.failing(fleet) != wantFailing {
			t.Errorf("%s: has %v, looked %v, failing %v", when, has, looked, b.failing(fleet))
		}
	}
	expect("at first", false, false, false)
	if !b.fail(fleet) || b.fail(fleet) {
		t.Error("the first failure is news, and the second is none")
	}
	expect("after a failure", false, true, true)
	b.post(fleet, found(map[string]int{"a": 1}))
	expect("after a pass", true, true, false)
	if !b.fail(fleet) {
		t.Error("a failure after a pass is news")
	}
	expect("after another failure", true, true, true)
	all := b.all(fleet)
	delete(all, a)
	expect("after somebody changed a copy", true, true, true)
	if d := diff.Diff([]string{"a"}, names(b.drop(fleet))); d != "" {
		t.Errorf("who had fields there (-want +got):\n%s", d)
	}
	expect("without it", false, false, false)
}
