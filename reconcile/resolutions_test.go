// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// looks is what a process of a cluster knows of a registry, of which all that is asked
// is known.
type looks struct {
	*reconcile.Resolutions
	*front

	t       *testing.T
	scene   *scene
	account *reconcile.Account
}

func newLooks(t *testing.T) *looks {
	t.Helper()
	s, f := newFront(t)
	s.push("app", "1.0.0", "1.1.0")
	s.push("web", "1.0.0")
	l := &looks{reconcile.NewResolutions(), f, t, s, nil}
	l.account = l.logIn()
	f.take()
	return l
}

func (l *looks) logIn() *reconcile.Account {
	return reconcile.NewAccount(registry.Options{PlainHTTP: []string{l.scene.registry}})
}

// object is a policy of a cluster.
func (w *world) object(name, image string) *v1alpha1.ImagePolicy {
	p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name, UID: "uid", Generation: 1}}
	p.Spec.Image, p.Spec.Schedule = w.image(image), "@every 5m"
	p.Spec.Select.Semver = &v1alpha1.Semver{Range: ">=1.0.0"}
	return p
}

// look asks about policies with a question of some time.
func (l *looks) look(question time.Time, policies ...*v1alpha1.ImagePolicy) {
	l.t.Helper()
	if err := l.Look(l.t.Context(), l.account, policies, question, reconcile.BySchedule); err != nil {
		l.t.Fatal(err)
	}
}

// expectAsked checks what the registry was asked since the last time.
func (l *looks) expectAsked(when string, want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.take()); diff != "" {
		l.t.Errorf("%s, the registry was asked (-want +got):\n%s", when, diff)
	}
}

const (
	listApp = "GET app/tags/list"
	headApp = "HEAD app/manifests/1.1.0"
)

// An answer counts for all whose question came up before it was asked for, whatever else
// is asked in between; a later question is asked anew.
func TestLookSharesAnswers(t *testing.T) {
	l := newLooks(t)
	app, twin, web := l.scene.object("app", "app"), l.scene.object("twin", "app"), l.scene.object("web", "web")
	below := l.scene.object("below", "app")
	below.Spec.Select.Semver.Range = "<1.1.0"
	far := l.scene.object("app", "app")
	far.Namespace = "team"
	first := time.Now()

	l.look(first, app)
	l.expectAsked("at first", "GET ", listApp, headApp)
	l.look(first, twin)
	l.expectAsked("by another policy with the rule")
	l.look(first, below, app)
	l.expectAsked("by another rule", "HEAD app/manifests/1.0.0")
	second := time.Now()
	l.look(second, web)
	l.expectAsked("about another image", "GET web/tags/list", "HEAD web/manifests/1.0.0")
	l.look(first, far)
	l.expectAsked("with a question of the first moment")
	l.look(second, app)
	l.expectAsked("with one of the second", listApp, headApp)
	l.look(second, twin, far)
	l.expectAsked("with another one of the second")
	l.account = l.logIn()
	l.look(second, app)
	l.expectAsked("with another login", "GET ", listApp, headApp)

	for _, p := range []*v1alpha1.ImagePolicy{app, twin, far} {
		if got, ok := l.Of(p); !ok || got.Selected == nil || got.Selected.Tag != "1.1.0" || got.Reason != "" {
			t.Errorf("%s/%s: %+v", p.Namespace, p.Name, got)
		}
	}
	if got, _ := l.Of(below); got.Selected == nil || got.Selected.Tag != "1.0.0" {
		t.Errorf("below: %+v", got)
	}
}

// Whoever asks at the same time waits for one answer.
func TestLooksAtOnceAskOnce(t *testing.T) {
	l := newLooks(t)
	question := time.Now()
	var group sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		group.Go(func() {
			if err := l.Look(t.Context(), l.account, []*v1alpha1.ImagePolicy{l.scene.object(name, "app")}, question, reconcile.BySchedule); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	l.expectAsked("by eight at once", "GET ", listApp, headApp)
}

// What a registry said counts while the policy asks for the same.
func TestResolutionIsOfARule(t *testing.T) {
	l := newLooks(t)
	app := l.scene.object("app", "app")
	if _, ok := l.Of(app); ok {
		t.Error("something is known before the first look")
	}
	l.look(time.Now(), app)
	for title, test := range map[string]struct {
		change func(*v1alpha1.ImagePolicySpec)
		counts bool
	}{
		"pin":           {func(s *v1alpha1.ImagePolicySpec) { s.Pin = &v1alpha1.Pin{Tag: "1.0.0"} }, true},
		"targets":       {func(s *v1alpha1.ImagePolicySpec) { s.Targets = make([]v1alpha1.Target, 1) }, true},
		"suspend":       {func(s *v1alpha1.ImagePolicySpec) { s.Suspend = true }, true},
		"schedule":      {func(s *v1alpha1.ImagePolicySpec) { s.Schedule = "@daily" }, true},
		"write":         {func(s *v1alpha1.ImagePolicySpec) { s.Write = v1alpha1.WriteTag }, true},
		"history":       {func(s *v1alpha1.ImagePolicySpec) { s.HistoryLimit = new(int32(1)) }, true},
		"the same rule": {func(s *v1alpha1.ImagePolicySpec) { s.Select.Semver = &v1alpha1.Semver{Range: ">=1.0.0"} }, true},
		"range":         {func(s *v1alpha1.ImagePolicySpec) { s.Select.Semver = &v1alpha1.Semver{Range: ">=1.0.1"} }, false},
		"exclude":       {func(s *v1alpha1.ImagePolicySpec) { s.Select.Exclude = []string{"x"} }, false},
		"image":         {func(s *v1alpha1.ImagePolicySpec) { s.Image += "2" }, false},
		"platforms":     {func(s *v1alpha1.ImagePolicySpec) { s.Platforms = []string{"linux/amd64"} }, false},
		"age":           {func(s *v1alpha1.ImagePolicySpec) { s.MinimumAge = &metav1.Duration{Duration: time.Hour} }, false},
	} {
		p := app.DeepCopy()
		test.change(&p.Spec)
		if _, ok := l.Of(p); ok != test.counts {
			t.Errorf("after another %s it counts: %v, want %v", title, ok, test.counts)
		}
	}
	l.Forget("prod/app")
	if _, ok := l.Of(app); ok {
		t.Error("something is known of what was forgotten")
	}
}

// When a digest was first seen stays until another one is there.
func TestFirstSeenOfAResolution(t *testing.T) {
	l := newLooks(t)
	app := l.scene.object("app", "app")
	seen := func() reconcile.Resolution {
		l.look(time.Now(), app)
		got, _ := l.Of(app)
		return got
	}
	begun := time.Now()
	first := seen()
	if first.FirstSeen.Before(begun) || first.FirstSeen.After(time.Now()) {
		t.Errorf("first seen at %s", first.FirstSeen)
	}
	if again := seen(); !again.FirstSeen.Equal(first.FirstSeen) || !again.Equal(first) {
		t.Errorf("a second look: %+v, want %+v", again, first)
	}
	images.Push(t, l.scene.registry, "app", "1.1.0", "built again")
	if other := seen(); !other.FirstSeen.After(first.FirstSeen) || other.Equal(first) {
		t.Errorf("another digest: %+v, after %+v", other, first)
	}
}

// The reasons why nothing is selected, by what the registry says.
func TestResolutionsWithoutASelection(t *testing.T) {
	l := newLooks(t)
	none, missing, app := l.scene.object("none", "app"), l.scene.object("missing", "missing"), l.scene.object("app", "app")
	none.Spec.Select.Semver.Range = ">=9"
	l.look(time.Now(), none, missing, app)
	reasons := func() map[string]reconcile.Reason {
		found := map[string]reconcile.Reason{}
		for _, p := range []*v1alpha1.ImagePolicy{none, missing, app} {
			r, _ := l.Of(p)
			if (r.Selected == nil) == (r.Reason == "") || (r.Reason == "") != (r.Message == "") {
				t.Errorf("%s: %+v", p.Name, r)
			}
			found[p.Name] = r.Reason
		}
		return found
	}
	if diff := cmp.Diff(map[string]reconcile.Reason{"none": reconcile.NoMatch, "missing": reconcile.Failed, "app": ""}, reasons()); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	l.Fail(app, "cannot read Secret prod/pull")
	if got, ok := l.Of(app); !ok || got.Reason != reconcile.Failed || got.Message != "cannot read Secret prod/pull; the last selection was 1.1.0" || got.Selected != nil {
		t.Errorf("without a login: %+v", got)
	}
	l.look(time.Now(), app)
	if got, _ := l.Of(app); got.Selected == nil {
		t.Errorf("with a login: %+v", got)
	}
}

// Whether a digest left the registry is asked once after each look, and not of a registry
// that does not answer.
func TestGone(t *testing.T) {
	l := newLooks(t)
	old := images.Push(t, l.scene.registry, "app", "1.0.0", "old")
	app, twin := l.scene.object("app", "app"), l.scene.object("twin", "app")
	l.take()
	expect := func(when string, p *v1alpha1.ImagePolicy, digest string, wantGone, wantSure bool) {
		t.Helper()
		if gone, sure := l.Gone(t.Context(), p, digest); gone != wantGone || sure != wantSure {
			t.Errorf("%s: gone %v, sure %v; want %v, %v", when, gone, sure, wantGone, wantSure)
		}
	}
	expect("before the first look", app, old, false, false)
	l.expectAsked("before the first look")
	l.look(time.Now(), app, twin)
	l.take()
	selected, _ := l.Of(app)
	expect("the selection", app, selected.Selected.Digest, false, true)
	l.expectAsked("about the selection")
	for range 3 {
		expect("an old one", app, old, false, true)
		expect("an old one", twin, old, false, true)
	}
	l.expectAsked("about an old one", "HEAD app/manifests/"+old)

	l.says("app/manifests/"+old, http.StatusNotFound, "")
	expect("as of the look", app, old, false, true)
	l.look(time.Now(), app, twin)
	expect("after the next look", app, old, true, true)
	expect("after the next look", twin, old, true, true)
	l.expectAsked("after the next look", listApp, headApp, "HEAD app/manifests/"+old)

	l.says("app/tags/list", http.StatusNotFound, "")
	l.look(time.Now(), app)
	expect("with the whole repository gone", app, old, true, true)
	l.says("app/manifests/"+old, http.StatusServiceUnavailable, "")
	l.look(time.Now(), app)
	expect("without an answer", app, old, false, false)
	l.take()
	l.says("app/tags/list", http.StatusServiceUnavailable, "")
	l.look(time.Now(), app)
	l.take()
	expect("without an answer to the look", app, old, false, false)
	l.Fail(app, "no login")
	expect("without a login", app, old, false, false)
	l.expectAsked("of which it gives no answer")
}

// An answer that comes late does not replace one that was asked for later.
func TestLateAnswersDoNotCount(t *testing.T) {
	l := newLooks(t)
	app := l.scene.object("app", "app")
	asked, release := make(chan struct{}), make(chan struct{})
	l.answer("app/tags/list", func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		_, _ = w.Write([]byte(`{"name":"app","tags":["1.0.0"]}`))
	})
	done := make(chan error)
	go func() {
		done <- l.Look(t.Context(), l.account, []*v1alpha1.ImagePolicy{app}, time.Now(), reconcile.BySchedule)
	}()
	<-asked
	l.honest()
	l.look(time.Now(), app)
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, _ := l.Of(app); got.Selected == nil || got.Selected.Tag != "1.1.0" {
		t.Errorf("the late answer counts: %+v", got)
	}
}

// A look that is called off, or that can't be made, leaves what is known.
func TestLooksThatAreNot(t *testing.T) {
	l := newLooks(t)
	app, wrong := l.scene.object("app", "app"), l.scene.object("wrong", "app")
	wrong.Spec.Select.Semver.Range = "banana"
	if _, is := errors.AsType[*reconcile.SpecError](l.Look(t.Context(), l.account, []*v1alpha1.ImagePolicy{app, wrong}, time.Now(), reconcile.BySchedule)); !is {
		t.Error("an invalid policy is looked at")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Look(ctx, l.account, []*v1alpha1.ImagePolicy{app}, time.Now(), reconcile.BySchedule); !errors.Is(err, context.Canceled) {
		t.Errorf("a look that was called off says %v", err)
	}
	if _, ok := l.Of(app); ok {
		t.Error("something is known after no look")
	}
	l.expectAsked("in vain")
}
