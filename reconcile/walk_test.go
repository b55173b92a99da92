// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	ours "github.com/pintle-dev/pintle/registry"
)

const (
	walks        = 100 // each with its own seed, repository and registry
	stepsPerWalk = 100
	leastOften   = 50 // every verdict and every form of undo
)

// TestWalk goes at random through what people, registries and Pintle do, and
// checks after each step that the engine does what the model says; that a second
// pass writes nothing; that a process which knows all that came before and one
// that knows nothing see the same; that no vetoed digest is written, and nothing
// moves down by accident. To see one walk again: -run 'TestWalk/seed_17$'.
func TestWalk(t *testing.T) {
	first, err := reconcile.Open(reconcile.Config{Repo: newWorld(t, gitserver.Options{}).address})
	if err != nil {
		t.Fatal(err)
	}
	tally := &tally{first: first, counts: map[string]int{}}
	t.Run("walks", func(t *testing.T) {
		for seed := range uint64(walks) {
			t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
				t.Parallel()
				newWalker(t, seed, tally).walk(stepsPerWalk)
			})
		}
	})
	if t.Failed() || tally.counts["steps"] < walks*stepsPerWalk {
		return // A part of the walks was asked for, or one failed.
	}
	for _, what := range slices.Sorted(maps.Keys(tally.counts)) {
		t.Logf("%6d %s", tally.counts[what], what)
	}
	for _, what := range mustOccur() {
		if tally.counts[what] < leastOften {
			t.Errorf("%s occurred %d times, want %d", what, tally.counts[what], leastOften)
		}
	}
}

// mustOccur lists the verdicts and the forms of undo.
func mustOccur() []string {
	var all []string
	for _, reason := range []reconcile.Reason{
		reconcile.UpToDate, reconcile.Updated, reconcile.Due, reconcile.RolledBack, reconcile.ManuallySet, reconcile.Pinned, reconcile.Suspended,
		reconcile.TooYoung, reconcile.NoMatch, reconcile.DowngradeRefused, reconcile.NoField, reconcile.Failed,
	} {
		all = append(all, "verdict "+string(reason))
	}
	for _, s := range steps {
		all = append(all, s.name)
	}
	return all
}

// tally counts what occurred in all walks.
type tally struct {
	first  *reconcile.Engine // whose schema the others share
	mu     sync.Mutex
	counts map[string]int
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what]++
}

// walker is one walk.
type walker struct {
	*model

	t     *testing.T
	r     *rand.Rand
	tally *tally
	host  string
	repo  gitserver.Repo
	// address is what engines are given.
	address string
	person  *person
	warm    *reconcile.Engine
	seen    *ours.Cache // holds when digests were first seen
	pushed  int
	// done tells of the steps so far, for a failure.
	done []string
}

func newWalker(t *testing.T, seed uint64, tally *tally) *walker {
	w := &walker{t: t, r: rand.New(rand.NewPCG(seed, 3)), tally: tally, model: &model{
		tags: map[string]string{}, hidden: map[string]bool{}, policy: "app", below: 1000,
		write: []string{"TagAndDigest", "TagAndDigest", "TagAndDigest", "Digest", "Tag"}[seed%5],
	}}
	server := httptest.NewServer(&hidingRegistry{w, registry.New(registry.Logger(log.New(io.Discard, "", 0)))})
	t.Cleanup(server.Close)
	w.host = strings.TrimPrefix(server.URL, "http://")
	git := gitserver.New(t, gitserver.Options{NoFilter: seed%20 == 7})
	w.repo = git.Create("fleet")
	w.address = w.repo.Dir
	w.seen = openCache(t, t.TempDir())
	if seed%10 == 7 {
		w.address = w.repo.URL
	}
	w.person = newPerson(t, w.repo)
	w.push("1.0.0")
	w.push("1.1.0")
	w.pushed = 1
	w.add(map[string]ref{"a.yaml": {tag: "1.0.0"}, "b.yaml": {tag: "1.0.0"}}, nil)
	files := map[string]string{"policy.yaml": w.policyText(), "notes.txt": "0\n"}
	for path, r := range w.now().fields {
		files[path] = w.field(path, r)
	}
	w.person.move(w.person.commit(files, "First"))
	w.warm = w.engine()
	return w
}

func (w *walker) engine() *reconcile.Engine {
	w.t.Helper()
	e, err := reconcile.OpenBeside(w.tally.first, reconcile.Config{Repo: w.address, Registry: ours.Options{PlainHTTP: []string{w.host}, Cache: w.seen, Limits: ours.NewLimits(10_000)}, Now: w.tick})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// tick is Pintle's clock, which is behind the person's.
func (w *walker) tick() time.Time {
	return w.person.clock.Add(-30 * time.Second)
}

// push puts a tag with content of its own into the registry.
func (w *walker) push(tag string) {
	w.t.Helper()
	digest := images.Push(w.t, w.host, "app", tag, fmt.Sprintf("%s %d", tag, w.r.Uint64()))
	w.tags[tag] = digest
}

func (w *walker) image(r ref) string {
	switch {
	case r.foreign():
		return w.host + "/other:2.0.0"
	case r.digest == "":
		return w.host + "/app:" + r.tag
	case r.tag == "":
		return w.host + "/app@" + r.digest
	}
	return w.host + "/app:" + r.tag + "@" + r.digest
}

func (w *walker) field(path string, r ref) string {
	return fmt.Sprintf("# %s\nkind: Thing\nmetadata: {name: %s}\nspec:\n  image: %s # {\"$imagepolicy\": \"prod:%s\"}\n", path, strings.TrimSuffix(path, ".yaml"), w.image(r), w.policy)
}

func (w *walker) policyText() string {
	text := fmt.Sprintf("apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: %s, namespace: prod}\nspec:\n  image: %s/app\n  write: %s\n  select: {semver: {range: \">=1.0.0 <1.%d.0\"}}\n",
		w.policy, w.host, w.write, w.below)
	if w.suspended {
		text += "  suspend: true\n"
	}
	if w.young {
		text += "  minimumAge: 99999h\n"
	}
	switch pin := w.pin; {
	case pin == nil:
	case pin.revision > 0:
		text += fmt.Sprintf("  pin: {revision: %d}\n", pin.revision)
	case pin.tag != "":
		text += fmt.Sprintf("  pin: {tag: %q}\n", pin.tag)
	default:
		text += fmt.Sprintf("  pin: {digest: %q}\n", pin.digest)
	}
	return text
}

// walk takes steps; each is followed by a sync, and by all checks.
func (w *walker) walk(steps int) {
	for range steps {
		w.done = append(w.done, w.step())
		w.tally.add("steps")
		w.check()
		if w.t.Failed() {
			engine, err := w.warm.Explain(w.t.Context(), "prod/"+w.policy)
			w.t.Fatalf("after these steps:\n%s\nand these moments:\n%sthe engine says %+v, %v\nthe model has %+v", strings.Join(w.done, "\n"), w.model, engine, err, w.standing())
		}
	}
	w.repo.Fsck(w.t)
}

// check syncs as the model says, and sees that all that must always hold does.
func (w *walker) check() {
	want := w.sync()
	before := w.held()
	report, err := w.warm.Sync(context.WithoutCancel(w.t.Context()))
	if err != nil {
		w.t.Errorf("sync: %v", err)
		return
	}
	w.expect("sync", report, want)
	w.trustworthy(before, want)
	if len(report.Commits) > 0 {
		w.tally.add("verdict " + string(reconcile.Due)) // As a plan would have put it.
		w.tally.add("verdict " + string(want.reason))
	}
	w.wrote(want)
	w.still()
}

// still sees that a second pass writes nothing, and that one who knows nothing
// but the repository agrees.
func (w *walker) still() {
	settled := w.sync()
	if len(settled.moved) > 0 {
		w.t.Errorf("the model does not come to rest: %v", settled)
	}
	head := w.person.head().Hash
	again, err := w.warm.Sync(w.t.Context())
	if err != nil {
		w.t.Errorf("second sync: %v", err)
		return
	}
	w.expect("a second sync", again, settled)
	if w.person.head().Hash != head {
		w.t.Error("a second sync moved the branch")
	}
	w.tally.add("verdict " + string(settled.reason))
	fresh := w.engine()
	plan, err := fresh.Plan(w.t.Context())
	if err != nil {
		w.t.Errorf("plan: %v", err)
		return
	}
	if diff := gocmp.Diff(again.Policies, plan.Policies); diff != "" {
		w.t.Errorf("a fresh process sees it otherwise (-warm +fresh):\n%s", diff)
	}
	w.remembers(fresh)
}

// remembers sees that a history made from a fresh clone is the live one, and
// that both have the revisions that the model knows.
func (w *walker) remembers(fresh *reconcile.Engine) {
	name := "prod/" + w.policy
	live, err := w.warm.History(w.t.Context(), name)
	if err != nil {
		w.t.Errorf("history: %v", err)
		return
	}
	rebuilt, err := fresh.History(w.t.Context(), name)
	if err != nil {
		w.t.Errorf("history of a fresh process: %v", err)
		return
	}
	byCommit := func(a, b reconcile.Revision) int {
		return cmp.Or(strings.Compare(a.Commit, b.Commit), strings.Compare(a.Tag, b.Tag), strings.Compare(a.Digest, b.Digest))
	}
	var revisions, known []string
	for _, row := range live {
		if row.Revision > 0 {
			revisions = append(revisions, fmt.Sprintf("%d %s@%s %s", row.Revision, row.Tag, row.Digest, row.Cause))
		}
	}
	for _, e := range slices.Backward(w.entries()) {
		known = append(known, fmt.Sprintf("%d %s@%s %s", e.revision, e.wrote.tag, e.wrote.digest, e.cause))
	}
	if diff := gocmp.Diff(known, revisions); diff != "" {
		w.t.Errorf("revisions (-model +engine):\n%s", diff)
	}
	slices.SortFunc(live, byCommit)
	slices.SortFunc(rebuilt, byCommit)
	if diff := gocmp.Diff(live, rebuilt); diff != "" {
		w.t.Errorf("a history made from a fresh clone differs (-live +rebuilt):\n%s", diff)
	}
}

// expect compares what the engine reports and what the branch holds with the
// model.
func (w *walker) expect(what string, report *reconcile.Report, want prediction) {
	if got := report.Policies[0]; got.Reason != want.reason {
		w.t.Errorf("%s says %s (%s), want %s", what, got.Reason, got.Message, want.reason)
	}
	if wrote := len(report.Commits) > 0; wrote != (len(want.moved) > 0) {
		w.t.Errorf("%s wrote: %v; the model moves %v", what, wrote, want.moved)
	}
	if diff := gocmp.Diff(want.fields, w.held(), gocmp.AllowUnexported(ref{})); diff != "" {
		w.t.Errorf("after %s the fields (-model +branch):\n%s", what, diff)
	}
}

// held is what the fields hold at the head.
func (w *walker) held() map[string]ref {
	held := map[string]ref{}
	for path, content := range w.person.files(w.person.head()) {
		if path == "policy.yaml" || path == "notes.txt" {
			continue
		}
		name, ok := strings.CutPrefix(imageIn(content), w.host+"/app")
		if !ok {
			held[path] = ref{}
			continue
		}
		tag, digest, _ := strings.Cut(name, "@")
		held[path] = ref{strings.TrimPrefix(tag, ":"), digest}
	}
	return held
}

// trustworthy checks what must hold whatever the model says: a sync writes no
// vetoed digest but by a pin, and goes down only from what the rule does not
// admit, or by a pin.
func (w *walker) trustworthy(before map[string]ref, want prediction) {
	for path, held := range w.held() {
		if held == before[path] || w.pin != nil {
			continue
		}
		for _, v := range want.vetoes {
			if v.same(held) {
				w.t.Errorf("%s was undone, and is written into %s", v, path)
			}
		}
		from, ok := version(w.known(before[path]).tag)
		to, okToo := version(want.wrote.tag)
		if ok && okToo && to < from && w.admits(w.known(before[path])) {
			w.t.Errorf("%s went down from %s to %s", path, before[path], held)
		}
	}
}

// hidingRegistry leaves tags out, as a registry does that lags or lost them.
type hidingRegistry struct {
	w    *walker
	real http.Handler
}

func (h *hidingRegistry) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/tags/list") {
		h.real.ServeHTTP(out, r)
		return
	}
	recorded := httptest.NewRecorder()
	h.real.ServeHTTP(recorded, r)
	var list struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	if json.Unmarshal(recorded.Body.Bytes(), &list) != nil {
		http.Error(out, recorded.Body.String(), recorded.Code)
		return
	}
	list.Tags = slices.DeleteFunc(list.Tags, func(tag string) bool { return h.w.hidden[tag] })
	body, err := json.Marshal(list)
	if err != nil {
		h.w.t.Error(err)
	}
	_, _ = out.Write(body)
}
