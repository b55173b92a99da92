// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

// image is the version 1.n.0.
func image(n int) *reconcile.TagDigest {
	return &reconcile.TagDigest{Tag: fmt.Sprintf("1.%d.0", n), Digest: digestOf(n)}
}

// placeOf is a repository with one field, which holds 1.n.0, and a verdict.
func placeOf(repository string, n int, reason reconcile.Reason) place {
	return place{repository: named("prod", repository), outcome: outcome{Policy: reconcile.Policy{
		Reason: reason, Message: "because of " + string(reason), Fields: []reconcile.Field{{File: "app.yaml", Line: 1}},
		Current: image(n), Selected: image(1), UID: "uid", Generation: 3,
	}}}
}

// viewOf is of a policy that picks 1.1.0.
func viewOf(places ...place) *policyView {
	policy := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "app", UID: "uid", Generation: 3}}
	policy.Spec.Image = podinfo
	return &policyView{
		policy: policy, resolved: true, resolution: reconcile.Resolution{Selected: image(1), FirstSeen: noon},
		granted: len(places), places: places, now: noon.Add(time.Minute),
	}
}

func with(v *policyView, change func(*policyView)) *policyView {
	change(v)
	return v
}

func unresolvedView(reason reconcile.Reason) *policyView {
	return with(viewOf(placeOf("fleet", 0, reason)), func(v *policyView) {
		v.resolution = reconcile.Resolution{Reason: reason, Message: "the registry: " + string(reason)}
		v.places[0].Selected = nil
	})
}

// views are what can be found of a policy, by what it is.
func views() map[string]*policyView {
	return map[string]*policyView{
		"up to date":  viewOf(placeOf("fleet", 1, reconcile.UpToDate)),
		"rolled back": viewOf(placeOf("fleet", 0, reconcile.RolledBack)),
		"set by hand": viewOf(placeOf("fleet", 7, reconcile.ManuallySet)),
		"pinned":      with(viewOf(placeOf("fleet", 0, reconcile.Pinned)), func(v *policyView) { v.policy.Spec.Pin = &v1alpha1.Pin{Tag: "1.0.0"} }),
		"suspended":   viewOf(placeOf("fleet", 0, reconcile.Suspended)),
		"lower":       viewOf(placeOf("fleet", 2, reconcile.DowngradeRefused)),
		"no edit":     viewOf(placeOf("fleet", 0, reconcile.Failed)),
		"no field":    with(viewOf(placeOf("fleet", 0, reconcile.NoField)), func(v *policyView) { v.places[0].Fields, v.places[0].Current = nil, nil }),
		"no grant":    viewOf(),
		"no match":    unresolvedView(reconcile.NoMatch),
		"too young":   unresolvedView(reconcile.TooYoung),
		"waits":       viewOf(placeOf("fleet", 2, reconcile.TooYoung)),
		"no answer":   unresolvedView(reconcile.Failed),
		"pinned without a match": with(unresolvedView(reconcile.NoMatch), func(v *policyView) {
			v.policy.Spec.Pin = &v1alpha1.Pin{Tag: "1.0.0"}
			v.places[0].Reason = reconcile.Pinned
		}),
		"all suspended":        with(viewOf(placeOf("fleet", 0, reconcile.Due)), func(v *policyView) { v.suspended = true }),
		"repository suspended": viewOf(placeOf("fleet", 0, reconcile.Due)),
		"not written":          viewOf(with2(placeOf("fleet", 0, reconcile.UpToDate), func(p *place) { p.stale = true })),
		"never read":           with(viewOf(), func(v *policyView) { v.granted, v.unread = 1, []string{"prod/fleet"} }),
		"one of two read":      with(viewOf(placeOf("fleet", 1, reconcile.UpToDate)), func(v *policyView) { v.granted, v.unread = 2, []string{"prod/other"} }),
		"two places":           viewOf(placeOf("fleet", 1, reconcile.UpToDate), placeOf("other", 0, reconcile.RolledBack)),
		"one has no field": viewOf(with2(placeOf("fleet", 0, reconcile.NoField), func(p *place) { p.Fields, p.Current = nil, nil }),
			placeOf("other", 1, reconcile.UpToDate)),
		"one without a field can't be read": viewOf(with2(placeOf("fleet", 0, reconcile.NoField), func(p *place) { p.Fields, p.Current, p.stale = nil, nil, true }),
			placeOf("other", 1, reconcile.UpToDate)),
		"left the registry": with(viewOf(placeOf("fleet", 0, reconcile.RolledBack)), func(v *policyView) {
			v.gone = []string{podinfo + "@" + digestOf(0) + ", which prod/fleet holds"}
		}),
	}
}

func with2(p place, change func(*place)) place {
	change(&p)
	return p
}

// conditionsIn are the conditions as "Type=Status Reason: message".
func conditionsIn(all []metav1.Condition) []string {
	var lines []string
	for _, c := range all {
		lines = append(lines, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	slices.Sort(lines)
	return lines
}

const picks = "Resolved=True Selected: picks 1.1.0 at sha256:0000000000000000000000000000000000000000000000000000000000000001"

func TestConditionsOfPolicies(t *testing.T) {
	both := func(ready, written metav1.ConditionStatus, reason, message string) []string {
		return []string{fmt.Sprintf("Ready=%s %s: %s", ready, reason, message), picks, fmt.Sprintf("Written=%s %s: %s", written, reason, message)}
	}
	holds := func(reason, message string) []string {
		return append([]string{"Held=True " + reason + ": " + message}, both("True", "False", reason, message)...)
	}
	unresolved := func(reason string) []string {
		m := reason + ": the registry: " + reason
		return []string{"Ready=False " + m, "Resolved=False " + m, "Written=False " + m}
	}
	const cantRead = "ManifestRepository prod/fleet can't be read or written now, see its conditions"
	want := map[string][]string{
		"up to date":                        both("True", "True", "UpToDate", "because of UpToDate"),
		"rolled back":                       holds("RolledBack", "because of RolledBack"),
		"set by hand":                       holds("ManuallySet", "because of ManuallySet"),
		"pinned":                            holds("Pinned", "because of Pinned"),
		"suspended":                         both("True", "False", "Suspended", "because of Suspended"),
		"lower":                             both("True", "False", "DowngradeRefused", "because of DowngradeRefused"),
		"one without a field can't be read": both("True", "True", "UpToDate", "because of UpToDate"),
		"no edit":                           both("False", "False", "Failed", "because of Failed"),
		"no field":                          both("True", "False", "NoField", "no repository has a field that is bound to prod/app: put a marker on an image, or declare a target"),
		"no grant":                          both("True", "False", "NoField", "no ManifestRepository admits policies of the namespace prod: create one, or widen spec.policies of another"),
		"no match":                          unresolved("NoMatch"),
		"too young": {"Ready=True TooYoung: the registry: TooYoung", "Resolved=False TooYoung: the registry: TooYoung",
			"Written=False TooYoung: the registry: TooYoung"},
		"waits":     both("True", "False", "TooYoung", "because of TooYoung"),
		"no answer": unresolved("Failed"),
		"pinned without a match": {"Held=True Pinned: because of NoMatch", "Ready=True Pinned: because of NoMatch",
			"Resolved=False NoMatch: the registry: NoMatch", "Written=False Pinned: because of NoMatch"},
		"all suspended":        both("True", "False", "Suspended", "the controller is suspended (--suspend) and writes nothing: because of Due"),
		"repository suspended": both("True", "False", "Suspended", "ManifestRepository prod/fleet is suspended: because of Due"),
		"not written":          both("False", "False", "Failed", cantRead),
		"never read":           both("False", "False", "Failed", cantRead),
		"one of two read":      both("True", "True", "UpToDate", "because of UpToDate"),
		"two places":           holds("RolledBack", "because of RolledBack"),
		"one has no field":     both("True", "True", "UpToDate", "because of UpToDate"),
		"left the registry": append([]string{"DigestMissing=True NotInRegistry: the registry no longer has " + podinfo + "@" + digestOf(0) +
			", which prod/fleet holds: a node that does not have it can't start it; push it again, or roll back"}, holds("RolledBack", "because of RolledBack")...),
	}
	got := map[string][]string{}
	for title, v := range views() {
		got[title] = conditionsIn(v.status().Conditions)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

// stored is a status as the API server gives it back.
func stored[S any](t *testing.T, status S) (back S) {
	t.Helper()
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// Whatever was there before, what is found a second time writes nothing; and a condition's
// time moves with its status alone.
func TestStatusOfPoliciesSettles(t *testing.T) {
	for first, a := range views() {
		for second, b := range views() {
			before := stored(t, a.status())
			b.policy.Status, b.now = before, noon.Add(time.Hour)
			after := stored(t, b.status())
			for _, c := range after.Conditions {
				was := meta.FindStatusCondition(before.Conditions, c.Type)
				if moved := was == nil || was.Status != c.Status; moved != c.LastTransitionTime.Equal(&metav1.Time{Time: noon.Add(time.Hour)}) {
					t.Errorf("%s, then %s: %s has the time %s", first, second, c.Type, c.LastTransitionTime)
				}
			}
			b.policy.Status, b.now = after, noon.Add(2*time.Hour)
			if again := b.status(); !sameStatus(after, again) {
				t.Errorf("%s, then %s twice: the status moves (-once +twice):\n%s", first, second, cmp.Diff(after, again))
			}
			fits(t, second, after, b.policy.Generation)
		}
	}
}

// fits checks what the schema and kstatus ask of a status.
func fits(t *testing.T, title string, s v1alpha1.ImagePolicyStatus, generation int64) {
	t.Helper()
	ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady)
	if s.ObservedGeneration != generation || ready == nil || ready.ObservedGeneration != generation {
		t.Errorf("%s: generation %d, Ready %v, want both at %d", title, s.ObservedGeneration, ready, generation)
	}
	if meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Errorf("%s: it is stalled, although it is looked at again", title)
	}
	for _, c := range s.Conditions {
		if len(c.Message) > maxMessage || c.Reason == "" || !utf8.ValidString(c.Message) {
			t.Errorf("%s: %s has the reason %q and a message of %d bytes", title, c.Type, c.Reason, len(c.Message))
		}
	}
	for _, c := range s.Current {
		if len(c.Message) > maxMessage {
			t.Errorf("%s: %s has a message of %d bytes", title, c.Repository, len(c.Message))
		}
	}
	if len(s.Current) > maxRepos || len(s.Vetoes) > maxVetoes || len(s.History) > 100 {
		t.Errorf("%s: %d places, %d vetoes, %d revisions", title, len(s.Current), len(s.Vetoes), len(s.History))
	}
}

// What can't be followed is stalled until it is changed; a copy of what Git holds stays.
func TestStatusOfInvalidPolicies(t *testing.T) {
	v := viewOf(placeOf("fleet", 1, reconcile.UpToDate))
	v.places[0].Memory = memoryOf(1)
	v.policy.Status = v.status()
	before := v.policy.Status
	wrong := &reconcile.SpecError{Policy: "prod/app", Field: "spec.schedule", Reason: "is no schedule"}
	v.policy.Generation = 4
	s := invalidPolicy(v.policy, wrong, noon)
	want := []string{"Ready=False InvalidSpec: spec.schedule: is no schedule", "Resolved=False InvalidSpec: spec.schedule: is no schedule",
		"Stalled=True InvalidSpec: spec.schedule: is no schedule", "Written=True UpToDate: because of UpToDate"}
	if diff := cmp.Diff(want, conditionsIn(s.Conditions)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if s.ObservedGeneration != 4 || s.Selected != nil {
		t.Errorf("generation %d, selected %v", s.ObservedGeneration, s.Selected)
	}
	if diff := cmp.Diff([]any{before.Current, before.History}, []any{s.Current, s.History}); diff != "" {
		t.Errorf("what Git holds (-before +after):\n%s", diff)
	}
	v.policy.Status = stored(t, s)
	if again := invalidPolicy(v.policy, wrong, noon.Add(time.Hour)); !sameStatus(v.policy.Status, again) {
		t.Errorf("the status moves:\n%s", cmp.Diff(v.policy.Status, again))
	}
	fits(t, "mended", v.status(), 4)
}

// memoryOf are these revisions, an hour apart, the newest first.
func memoryOf(revisions ...int) reconcile.Memory {
	var m reconcile.Memory
	for _, n := range revisions {
		m.Revisions = append(m.Revisions, reconcile.Revision{Revision: n, Tag: image(n).Tag, Digest: digestOf(n), Commit: fmt.Sprintf("%040d", n),
			Time: noon.Add(time.Duration(n) * time.Hour).Format(time.RFC3339), Cause: "schedule"})
	}
	return m
}

// revisionsIn are "repository revision tag".
func revisionsIn(s v1alpha1.ImagePolicyStatus) []string {
	var lines []string
	for _, r := range s.History {
		lines = append(lines, fmt.Sprintf("%s %d %s", strings.TrimPrefix(r.Repository, "prod/"), r.Revision, r.Tag))
	}
	return lines
}

func TestHistoryInStatus(t *testing.T) {
	fleet, other := placeOf("fleet", 1, reconcile.UpToDate), placeOf("other", 1, reconcile.UpToDate)
	fleet.Memory, other.Memory = memoryOf(5, 3, 1), memoryOf(4, 2)
	v := viewOf(fleet, other)
	all := []string{"fleet 5 1.5.0", "other 4 1.4.0", "fleet 3 1.3.0", "other 2 1.2.0", "fleet 1 1.1.0"}
	for limit := range int32(7) {
		v.policy.Spec.HistoryLimit = new(limit)
		want := all[:min(len(all), int(limit))]
		if diff := cmp.Diff(want, append([]string{}, revisionsIn(v.status())...)); diff != "" {
			t.Errorf("at most %d (-want +got):\n%s", limit, diff)
		}
	}
	v.policy.Spec.HistoryLimit = nil
	v.places[0].Memory = memoryOf(slices.Collect(func(yield func(int) bool) {
		for n := 40; n > 0 && yield(n); n-- { //nolint:revive // the loop is all
		}
	})...)
	if got := revisionsIn(v.status()); len(got) != defaultHistory || got[0] != "fleet 40 1.40.0" {
		t.Errorf("%d revisions from %s, want the newest %d", len(got), got[0], defaultHistory)
	}
	row := v.status().History[0]
	want := v1alpha1.Revision{Revision: 40, Repository: "prod/fleet", Tag: "1.40.0", Digest: digestOf(40), Commit: fmt.Sprintf("%040d", 40),
		WrittenAt: &metav1.Time{Time: noon.Add(40 * time.Hour)}, Cause: "schedule"}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("a row (-want +got):\n%s", diff)
	}
}

// The order in which Git has the revisions of one repository counts, not the clocks of
// those who wrote them; and a time that no status can hold is left out.
func TestHistoryWithOddTimes(t *testing.T) {
	fleet := placeOf("fleet", 1, reconcile.UpToDate)
	fleet.Memory = memoryOf(3, 9, 2)
	fleet.Memory.Revisions[1].Time = "12026-01-01T00:00:00Z"
	other := placeOf("other", 1, reconcile.UpToDate)
	other.Memory = memoryOf(2, 1)
	s := viewOf(fleet, other).status()
	if diff := cmp.Diff([]string{"fleet 3 1.3.0", "fleet 9 1.9.0", "fleet 2 1.2.0", "other 2 1.2.0", "other 1 1.1.0"}, revisionsIn(s)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if at := s.History[1].WrittenAt; at != nil {
		t.Errorf("revision 9 was written at %v", at)
	}
	backward := placeOf("fleet", 1, reconcile.UpToDate)
	backward.Memory = memoryOf(1, 2, 3)
	if diff := cmp.Diff([]string{"fleet 1 1.1.0", "fleet 2 1.2.0", "fleet 3 1.3.0"}, revisionsIn(viewOf(backward).status())); diff != "" {
		t.Errorf("a clock that went back (-want +got):\n%s", diff)
	}
}

// When a digest was first seen is kept from status to status, over restarts too.
func TestFirstSeenIsKept(t *testing.T) {
	v := viewOf(placeOf("fleet", 0, reconcile.RolledBack))
	v.policy.Status = stored(t, v.status())
	first := &metav1.Time{Time: noon}
	if got := v.policy.Status.Selected; !got.FirstSeen.Equal(first) {
		t.Fatalf("selected %v, want it first seen at noon", got)
	}
	v.resolution.FirstSeen = noon.Add(time.Hour) // of another process
	v.policy.Status = stored(t, v.status())
	if got := v.policy.Status.Selected; !got.FirstSeen.Equal(first) {
		t.Errorf("after a restart: %v", got)
	}
	v.places[0].Memory = memoryOf(1)
	v.policy.Status = stored(t, v.status())
	v.resolution = reconcile.Resolution{Selected: image(2), FirstSeen: noon.Add(2 * time.Hour)}
	v.places[0].Memory = memoryOf(2, 1)
	v.policy.Status = stored(t, v.status())
	var got []string
	for _, r := range v.policy.Status.History {
		got = append(got, fmt.Sprintf("%s %s", r.Tag, r.FirstSeen.UTC().Format(time.TimeOnly)))
	}
	if diff := cmp.Diff([]string{"1.2.0 14:00:00", "1.1.0 12:00:00"}, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	v.resolution = reconcile.Resolution{Selected: image(1), FirstSeen: noon.Add(3 * time.Hour)}
	if got := v.status().Selected; !got.FirstSeen.Equal(first) {
		t.Errorf("back at 1.1.0: %v", got)
	}
}

func TestVetoesInStatus(t *testing.T) {
	p := placeOf("fleet", 0, reconcile.RolledBack)
	p.Memory = memoryOf(2, 1)
	p.Vetoes = []reconcile.Veto{
		{TagDigest: *image(2), By: "abc", When: "2026-03-01T15:00:00Z"},
		{TagDigest: reconcile.TagDigest{Tag: "0.9.0"}},
	}
	want := []v1alpha1.Veto{
		{Repository: "prod/fleet", Tag: "1.2.0", Digest: digestOf(2), Revision: 2, Commit: "abc", Since: &metav1.Time{Time: noon.Add(3 * time.Hour)}},
		{Repository: "prod/fleet", Tag: "0.9.0"},
	}
	if diff := cmp.Diff(want, viewOf(p).status().Vetoes); diff != "" {
		t.Errorf("vetoes (-want +got):\n%s", diff)
	}
	for n := range 200 {
		p.Vetoes = append(p.Vetoes, reconcile.Veto{TagDigest: *image(n)})
	}
	fits(t, "many vetoes", viewOf(p).status(), 3)
}

// A repository that a new process could not read yet keeps its rows, as they are known.
func TestRowsOfUnreadRepositoriesStay(t *testing.T) {
	fleet, other := placeOf("fleet", 0, reconcile.RolledBack), placeOf("other", 1, reconcile.UpToDate)
	fleet.Memory, other.Memory = memoryOf(3, 1), memoryOf(2)
	fleet.Vetoes = []reconcile.Veto{{TagDigest: *image(1)}}
	v := viewOf(fleet, other)
	v.policy.Status = stored(t, v.status())
	full := v.policy.Status
	v.places, v.unread = v.places[1:], []string{"prod/fleet"}
	v.policy.Status = stored(t, v.status())
	if diff := cmp.Diff([]any{full.Current, full.History, full.Vetoes}, []any{v.policy.Status.Current, v.policy.Status.History, v.policy.Status.Vetoes}); diff != "" {
		t.Errorf("what is known (-before +after):\n%s", diff)
	}
	if again := v.status(); !sameStatus(v.policy.Status, again) {
		t.Errorf("the status moves:\n%s", cmp.Diff(v.policy.Status, again))
	}
	v.unread = nil // it is gone
	if diff := cmp.Diff([]string{"other 2 1.2.0"}, revisionsIn(v.status())); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// What is long is cut, at a letter's end; what differs at each try is left out.
func TestMessagesInStatus(t *testing.T) {
	long := placeOf("fleet", 0, reconcile.Failed)
	long.Message = strings.Repeat("€", 1000)
	s := viewOf(long).status()
	fits(t, "long", s, 3)
	for _, message := range []string{s.Current[0].Message, meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady).Message} {
		if !strings.HasSuffix(message, "€…") || len(message) < maxMessage-8 {
			t.Errorf("%d bytes, ending in %q", len(message), message[len(message)-9:])
		}
	}
	broken := func(port int) v1alpha1.ImagePolicyStatus {
		p := placeOf("fleet", 0, reconcile.Failed)
		p.Message = fmt.Sprintf("r.example.com can't be reached: read tcp 10.0.0.7:%d->10.0.0.9:443: connection reset by peer", port)
		return with(viewOf(p), func(v *policyView) {
			v.resolution = reconcile.Resolution{Reason: reconcile.Failed, Message: p.Message}
		}).status()
	}
	if diff := cmp.Diff(broken(40001), broken(40002)); diff != "" {
		t.Errorf("the near port shows:\n%s", diff)
	}
	if m := broken(1).Current[0].Message; m != "r.example.com can't be reached: read tcp 10.0.0.9:443: connection reset by peer" {
		t.Errorf("the message is %q", m)
	}
}

// What was known of a digest stays while the registry gives no answer.
func TestMissingDigestIsNotForgotten(t *testing.T) {
	v := views()["left the registry"]
	v.policy.Status = stored(t, v.status())
	v.gone, v.unsure = nil, true
	if s := v.status(); meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionDigestMissing) == nil {
		t.Error("no answer counts as having the digest")
	}
	v.unsure = false
	if s := v.status(); meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionDigestMissing) != nil {
		t.Error("the condition stays although the registry has the digest")
	}
}

// A status is written when all that it tells is known, of this spec and selection.
func TestCompleteViews(t *testing.T) {
	v := viewOf()
	found := placeOf("fleet", 1, reconcile.UpToDate).outcome
	if !v.isNewest(found) {
		t.Error("what a pass found of this spec and selection does not count")
	}
	for title, change := range map[string]func(o *outcome){
		"another object":    func(o *outcome) { o.UID = "other" },
		"an earlier spec":   func(o *outcome) { o.Generation = 2 },
		"another selection": func(o *outcome) { o.Selected = image(0) },
		"no selection":      func(o *outcome) { o.Selected = nil },
	} {
		other := found
		if change(&other); v.isNewest(other) {
			t.Errorf("%s: what a pass found of it counts", title)
		}
	}
	found.Selected = image(0)
	if v.policy.Spec.Pin = (&v1alpha1.Pin{Tag: "1.0.0"}); !v.isNewest(found) {
		t.Error("what is pinned waits for a selection")
	}
	for _, test := range []struct{ resolved, pending, want bool }{{true, false, true}, {false, false, false}, {true, true, false}} {
		if got := (&policyView{resolved: test.resolved, pending: test.pending}).complete(); got != test.want {
			t.Errorf("%+v: complete %v", test, got)
		}
	}
}
