// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// The API server refuses longer notes, and what is no UTF-8.
func TestNotesFit(t *testing.T) {
	for _, note := range []string{"", strings.Repeat("a", 1024), strings.Repeat("a", 1025), strings.Repeat("é", 2000), strings.Repeat("€", 2000)} {
		got := clipEvent(note)
		if len(got) > 1024 || !utf8.ValidString(got) {
			t.Errorf("%.9q…: %d bytes, valid: %v", note, len(got), utf8.ValidString(got))
		}
		if len(note) <= 1024 && got != note {
			t.Errorf("a note of %d bytes is cut to %d", len(note), len(got))
		}
	}
}

func told(all []happened) []string {
	var lines []string
	for _, h := range all {
		lines = append(lines, fmt.Sprintf("%s %s: %s", h.kind, h.reason, h.note))
	}
	return lines
}

// An event is told of each revision that is new, and of each turn of the condition Ready;
// not of what goes without saying, and not twice.
func TestEventsOfPolicies(t *testing.T) {
	all := views()
	holding := func(title string, revisions ...int) v1alpha1.ImagePolicyStatus {
		all[title].places[0].Memory = memoryOf(revisions...)
		return all[title].status()
	}
	wrote := func(n int) string {
		return fmt.Sprintf("Normal Written: revision %d: 1.%d.0 in prod/fleet (schedule, 000000000)", n, n)
	}
	twoPlaces := func(fleet, other int) v1alpha1.ImagePolicyStatus {
		v := viewOf(placeOf("fleet", 1, reconcile.UpToDate), placeOf("other", 1, reconcile.UpToDate))
		v.places[0].Memory, v.places[1].Memory = memoryOf(fleet), memoryOf(other)
		return v.status()
	}
	var none v1alpha1.ImagePolicyStatus
	for title, test := range map[string]struct {
		before, after v1alpha1.ImagePolicyStatus
		want          []string
	}{
		"nothing":                        {holding("up to date", 1), holding("up to date", 1), nil},
		"the first write":                {none, holding("up to date", 1), []string{wrote(1)}},
		"nothing to write":               {none, holding("up to date"), []string{"Normal UpToDate: because of UpToDate"}},
		"an old ledger":                  {none, holding("rolled back", 7, 6), []string{wrote(7), "Normal RolledBack: because of RolledBack"}},
		"the first after no match":       {holding("no match"), holding("up to date", 1), []string{wrote(1)}},
		"one more":                       {holding("up to date", 1), holding("up to date", 2, 1), []string{wrote(2)}},
		"two more":                       {holding("up to date", 1), holding("up to date", 3, 2, 1), []string{wrote(3)}},
		"a hold":                         {holding("up to date", 2, 1), holding("rolled back", 2, 1), []string{"Normal RolledBack: because of RolledBack"}},
		"the end of a hold":              {holding("rolled back", 2, 1), holding("up to date", 3, 2, 1), []string{wrote(3)}},
		"the end of one by hand":         {holding("rolled back", 2, 1), holding("up to date", 2, 1), []string{"Normal UpToDate: because of UpToDate"}},
		"a pin":                          {holding("up to date", 1), holding("pinned", 2, 1), []string{wrote(2), "Normal Pinned: because of Pinned"}},
		"a registry that is away":        {holding("up to date", 1), holding("no answer", 1), []string{"Warning Failed: the registry: Failed"}},
		"a lower one":                    {holding("up to date", 1), holding("lower", 1), []string{"Warning DowngradeRefused: because of DowngradeRefused"}},
		"a digest left":                  {holding("rolled back", 1), holding("left the registry", 1), []string{"Warning DigestMissing: the registry no longer has " + podinfo + "@" + digestOf(0) + ", which prod/fleet holds: a node that does not have it can't start it; push it again, or roll back"}},
		"it is still away":               {holding("left the registry", 1), holding("left the registry", 1), nil},
		"each repository counts its own": {twoPlaces(7, 2), twoPlaces(7, 3), []string{"Normal Written: revision 3: 1.3.0 in prod/other (schedule, 000000000)"}},
	} {
		if diff := cmp.Diff(test.want, told(policyEvents(test.before, test.after))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", title, diff)
		}
	}
}

func TestEventsOfRepositories(t *testing.T) {
	r := repositoryOf()
	synced := passedStatus(r, reportOf(reconcile.UpToDate), nil, false, noon)
	more := passedStatus(r, reportOf(reconcile.UpToDate, reconcile.UpToDate), nil, false, noon)
	broken := failedStatus(r, errors.New("it broke"), noon)
	problems := passedStatus(r, withProblems(reconcile.Problem{Message: "wrong"}), nil, false, noon)
	for title, test := range map[string]struct {
		before, after v1alpha1.ManifestRepositoryStatus
		want          []string
	}{
		"the first":     {v1alpha1.ManifestRepositoryStatus{}, synced, []string{"Normal Synced: 1 policies with 1 fields are looked after"}},
		"another count": {synced, more, nil},
		"a failure":     {synced, broken, []string{"Warning Failed: it broke"}},
		"the end of it": {broken, synced, []string{"Normal Synced: 1 policies with 1 fields are looked after"}},
		"a problem":     {synced, problems, []string{"Warning Problems: wrong"}},
	} {
		if diff := cmp.Diff(test.want, told(repositoryEvents(test.before, test.after))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", title, diff)
		}
	}
}
