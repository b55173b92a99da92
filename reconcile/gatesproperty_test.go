// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// gateWalk goes at random through what can become of candidates and gates.
type gateWalk struct {
	*gated

	r      *rand.Rand
	engine *reconcile.Engine
	tags   int    // 1.0.0 to 1.<tags>.0 are in the registry
	gate   string // what stands in the policy
	undone int    // the highest that somebody undid; -1 for none
	done   []string
}

var someGates = []string{"", "minimumAge: 3h", "platforms: [linux/arm64]", "minimumAge: 2h\n  platforms: [linux/amd64, linux/arm64]"}

func newGateWalk(t *testing.T, seed uint64) *gateWalk {
	t.Helper()
	w := &gateWalk{gated: newGated(t, anySemver, "", "1.0.0"), r: rand.New(rand.NewPCG(seed, 5)), undone: -1}
	w.push(0)
	options := registry.Options{PlainHTTP: []string{w.registry}, Cache: openCache(t, w.folder), Limits: registry.NewLimits(-1)}
	engine, err := reconcile.OpenBeside(w.first, reconcile.Config{Repo: w.address, Registry: options, Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	w.engine = engine
	return w
}

// push gives a tag an image of its own for some platforms.
func (w *gateWalk) push(minor int) {
	platforms := [][]string{{"linux/amd64"}, {"linux/amd64", "linux/arm64"}, {"linux/arm64"}, {"linux/amd64", "linux/arm64"}}[w.r.IntN(4)]
	tag := fmt.Sprintf("1.%d.0", minor)
	w.front.answer("app/manifests/"+tag, nil)
	w.hasAs(tag, fmt.Sprint(w.r.Uint64()), platforms...)
}

func (w *gateWalk) step() string {
	switch w.r.IntN(8) {
	case 0, 1:
		w.tags++
		w.push(w.tags)
		return fmt.Sprintf("1.%d.0 is new", w.tags)
	case 2:
		again := w.r.IntN(w.tags + 1)
		w.push(again)
		return fmt.Sprintf("1.%d.0 is pushed again", again)
	case 3:
		lost := w.r.IntN(w.tags + 1)
		w.front.says(fmt.Sprintf("app/manifests/1.%d.0", lost), 404, "")
		return fmt.Sprintf("1.%d.0 has no image", lost)
	case 4:
		w.front.honest()
		return "all have an image"
	case 5:
		return "another gate: " + w.setGate(someGates[w.r.IntN(len(someGates))])
	case 6:
		return w.undo()
	default:
		w.now = w.now.Add(time.Hour)
		return "an hour passes"
	}
}

func (w *gateWalk) setGate(gate string) string {
	if gate == w.gate {
		return gate
	}
	u := w.user()
	if w.gate != "" {
		u.edit(policyFile, "\n  "+w.gate+"\n", "\n")
	}
	if gate != "" {
		u.edit(policyFile, "spec:\n", "spec:\n  "+gate+"\n")
	}
	u.commit("Another gate")
	u.push()
	w.gate = gate
	return gate
}

// undo reverts the newest commit, if Pintle made it.
func (w *gateWalk) undo() string {
	if !strings.Contains(gitserver.Git(w.t, w.repo.Dir, "log", "-1", "--format=%B", "main"), "Pintle-Update:") {
		return "nothing to undo"
	}
	w.undone = max(w.undone, w.holdsMinor())
	u := w.user()
	u.revert("HEAD")
	u.push()
	return fmt.Sprintf("1.%d.0 is undone", w.undone)
}

// holdsMinor is the n of the tag 1.n.0 that the field holds.
func (w *gateWalk) holdsMinor() (minor int) {
	w.t.Helper()
	if _, err := fmt.Sscanf(w.tag(app), "1.%d.0", &minor); err != nil {
		w.t.Fatal(err)
	}
	return minor
}

// sync checks that nothing went down, nor past what was undone, and that a second pass
// writes nothing.
func (w *gateWalk) sync() *reconcile.Report {
	w.t.Helper()
	before := w.holdsMinor()
	report, err := w.engine.Sync(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	again, err := w.engine.Sync(w.t.Context())
	if err != nil || len(again.Commits) > 0 {
		w.t.Fatalf("a second pass: %v: %+v", err, again)
	}
	now := w.holdsMinor()
	if now < before || len(report.Commits) > 0 && now <= w.undone {
		w.t.Errorf("1.%d.0 is written over 1.%d.0, with 1.%d.0 undone: %+v\n%s", now, before, w.undone, report.Policies[0], strings.Join(w.done, "\n"))
	}
	return report
}

// With whatever gates, ages, platforms and lost images, no write goes below what a field
// holds, nor to anything that does not rank above what was undone. Without them, the best
// one is written at last.
func TestNothingGoesDownForAGate(t *testing.T) {
	counts := map[reconcile.Reason]int{}
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newGateWalk(t, seed)
			for range 50 {
				w.done = append(w.done, w.step())
				report := w.sync()
				w.done = append(w.done, "  "+string(report.Policies[0].Reason)+": "+report.Policies[0].Message)
				counts[report.Policies[0].Reason]++
				if t.Failed() {
					return
				}
			}
			w.front.honest()
			w.setGate("")
			w.tags++
			w.push(w.tags)
			w.sync()
			if got := w.holdsMinor(); got != w.tags {
				t.Errorf("at last it holds 1.%d.0, want 1.%d.0", got, w.tags)
			}
		})
	}
	for _, reason := range []reconcile.Reason{reconcile.UpToDate, reconcile.Updated, reconcile.TooYoung, reconcile.NoMatch, reconcile.DowngradeRefused, reconcile.RolledBack} {
		if counts[reason] < 3 {
			t.Errorf("%s occurred %d times", reason, counts[reason])
		}
	}
}
