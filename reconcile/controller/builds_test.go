// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	cmpdiff "github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

const sourceCommit = "0123456789abcdef0123456789abcdef01234567"

// yard is a world in a cluster of its own, which can have Shipwright's kinds. Its policies
// look once a day, so that whatever is found sooner was found because of a build.
type yard struct {
	*world

	own    *parts.Cluster
	images *front
	api    *tally
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{own: parts.KubeAPIServer(t)}
	if err := installCRDs(y.own.Config); err != nil {
		t.Fatal(err)
	}
	y.world = newWorld(t, y.own.Config)
	_, y.images = y.fronts()
	y.cluster, y.api = counted(y.own.Config)
	return y
}

// follow starts what there is: the policy app with a field at 1.0.0, and a controller.
func (y *yard) follow() (policy *v1alpha1.ImagePolicy, stop func()) {
	y.t.Helper()
	y.push("app", "1.0.0")
	y.repo.Seed(y.t, map[string]string{"app.yaml": y.deployment("app", "app:1.0.0", "app")}, "seed")
	policy = y.daily("app")
	y.create(policy, y.repository("fleet"))
	stop = y.start()
	y.untilTag("app.yaml", "1.0.0")
	y.untilReady(policy, "UpToDate")
	return policy, stop
}

func (y *yard) daily(name string) *v1alpha1.ImagePolicy {
	p := y.policy(name, name)
	p.Spec.Schedule = "@every 24h"
	return p
}

func (y *yard) start() (stop func()) {
	y.t.Helper()
	return y.controller(controller.Options{FindBuilds: 50 * time.Millisecond, LookEvery: time.Hour})
}

// ran is how a BuildRun ended.
type ran struct {
	name, image, digest, source string
	status                      string // of Succeeded; "True" where empty
	ended                       time.Time
}

// run makes a BuildRun and sets its status as Shipwright does, with the image in the spec
// of the Build.
func (y *yard) run(r ran) {
	y.t.Helper()
	run := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "shipwright.io/v1beta1", "kind": "BuildRun",
		"metadata": map[string]any{"namespace": y.namespace, "name": r.name},
		"spec":     map[string]any{"build": map[string]any{"name": "app"}},
	}}
	y.create(run)
	y.ends(run, r)
}

func (y *yard) ends(run *unstructured.Unstructured, r ran) {
	y.t.Helper()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
	ended := r.ended.UTC().Format(time.RFC3339)
	status := map[string]any{
		"completionTime": ended,
		"conditions": []any{map[string]any{"type": "Succeeded", "status": cmp.Or(r.status, "True"), "reason": "Any", "message": "any",
			"lastTransitionTime": ended}},
		"buildSpec": map[string]any{"output": map[string]any{"image": r.image}, "strategy": map[string]any{"name": "any"}},
		"output":    map[string]any{"size": int64(1)},
	}
	if r.digest != "" {
		status["output"] = map[string]any{"digest": r.digest}
	}
	if r.source != "" {
		status["source"] = map[string]any{"git": map[string]any{"commitSha": r.source}}
	}
	before := run.DeepCopy()
	run.Object["status"] = status
	if err := y.client.Status().Patch(y.t.Context(), run, client.MergeFrom(before)); err != nil {
		y.t.Fatal(err)
	}
}

// trailer is the newest commit's, as git reads it.
func (y *yard) trailer() string {
	y.t.Helper()
	parse := exec.CommandContext(y.t.Context(), "git", "interpret-trailers", "--parse")
	parse.Stdin = strings.NewReader(gitserver.Git(y.t, y.repo.Dir, "log", "-1", "--format=%B", "main"))
	out, err := parse.Output()
	if err != nil {
		y.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// untilCause waits for a tag in Git, and checks why it is there.
func (y *yard) untilCause(tag, cause string) {
	y.t.Helper()
	y.untilTag("app.yaml", tag)
	if got := y.trailer(); !strings.HasSuffix(got, " "+cause) || strings.Contains(got, "\n") {
		y.t.Errorf("the trailer is %q, want it to end with %q", got, cause)
	}
}

// told are the notes of events with a reason.
func (y *yard) told(reason string) []string {
	y.t.Helper()
	var list eventsv1.EventList
	if err := y.client.List(y.t.Context(), &list, client.InNamespace(y.namespace)); err != nil {
		y.t.Fatal(err)
	}
	var notes []string
	for _, e := range list.Items {
		if e.Reason == reason {
			notes = append(notes, e.Note)
		}
	}
	return notes
}

// atRest is all that must not change: what was written, and what was asked.
func (y *yard) atRest(policy *v1alpha1.ImagePolicy) string {
	y.t.Helper()
	if err := y.client.Get(y.t.Context(), client.ObjectKeyFromObject(policy), policy); err != nil {
		y.t.Fatal(err)
	}
	return fmt.Sprintf("head %s\npolicy %s\nasked %d\npatched %d, created %d", y.repo.Head(y.t, "main"), policy.ResourceVersion,
		y.images.count("/v2/"), y.api.count("PATCH "), y.api.count("POST "))
}

// quiet waits until nothing happens any more.
func (y *yard) quiet(policy *v1alpha1.ImagePolicy) {
	y.t.Helper()
	y.until("all is at rest", func() (string, bool) {
		before := y.atRest(policy)
		time.Sleep(time.Second)
		after := y.atRest(policy)
		return cmpdiff.Diff(before, after), before == after
	})
}

// Without Shipwright all is as it was; when it comes, a build that succeeds is in Git at
// once, with its name. What was seen is not seen again, and when Shipwright goes, the rest
// goes on.
func TestBuildRuns(t *testing.T) {
	y := newYard(t)
	app, stop := y.follow()

	parts.InstallShipwright(t, y.own)
	digest := images.Push(t, y.store, "app", "1.1.0", "one")
	y.run(ran{name: "app-1", image: y.image("app:1.1.0"), digest: digest, source: sourceCommit})
	cause := "build/" + y.namespace + "/app-1"
	y.untilCause("1.1.0", "cause="+cause+" source="+sourceCommit)
	y.until("the history tells the build", func() (string, bool) {
		text := y.status(app)
		return text, len(app.Status.History) > 0 && app.Status.History[0].Cause == cause
	})

	t.Run("seen again", func(t *testing.T) {
		run := &unstructured.Unstructured{}
		run.SetAPIVersion("shipwright.io/v1beta1")
		run.SetKind("BuildRun")
		if err := y.client.Get(t.Context(), client.ObjectKey{Namespace: y.namespace, Name: "app-1"}, run); err != nil {
			t.Fatal(err)
		}
		y.quiet(app)
		before := y.atRest(app)
		y.change(run, func() { run.SetAnnotations(map[string]string{"seen": "again"}) })
		y.stays(3*time.Second, "what the controller did", func() string { return y.atRest(app) })
		if diff := cmpdiff.Diff(before, y.atRest(app)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
	t.Run("failed", func(t *testing.T) {
		pushed := images.Push(t, y.store, "app", "1.2.0-rc.1", "failed")
		for _, status := range []string{"False", "Unknown"} {
			y.run(ran{name: "failed-" + strings.ToLower(status), image: y.image("app:1.2.0-rc.1"), digest: pushed, status: status})
		}
		y.stays(3*time.Second, "what the controller did", func() string { return y.atRest(app) })
	})
	t.Run("without a digest", func(t *testing.T) {
		images.Push(t, y.store, "app", "1.2.0", "two")
		y.run(ran{name: "app-2", image: y.image("app:1.2.0")})
		y.untilCause("1.2.0", "cause=build/"+y.namespace+"/app-2")
	})
	t.Run("after a restart", func(t *testing.T) {
		y.quiet(app)
		stop()
		before := y.atRest(app)
		counts := y.images.count("/v2/")
		stop = y.start()
		y.until("the registry is asked", func() (string, bool) { return "", y.images.count("/v2/") > counts })
		y.quiet(app)
		asked := y.images.count("/v2/") - counts
		if asked > 4 { // One look, with the ping of a new process.
			t.Errorf("the registry was asked %d times: %v", asked, y.images.with("/v2/")[counts:])
		}
		line := func(s string) string { return strings.Join(strings.Split(s, "\n")[:2], "\n") }
		if diff := cmpdiff.Diff(line(before), line(y.atRest(app))); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
	t.Run("while nobody was there", func(t *testing.T) {
		stop()
		pushed := images.Push(t, y.store, "app", "1.3.0", "three")
		y.run(ran{name: "app-3", image: y.image("app:1.3.0"), digest: pushed, source: sourceCommit, ended: time.Now().Add(-time.Hour)})
		quick := y.cluster
		y.cluster = rest.CopyConfig(quick)
		y.cluster.Wrap(slowly)
		y.start()
		y.cluster = quick
		y.untilCause("1.3.0", "cause=build/"+y.namespace+"/app-3 source="+sourceCommit)
	})
	t.Run("Shipwright goes and comes back", func(t *testing.T) {
		definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "buildruns.shipwright.io"}}
		y.deleteDefinitions()
		y.until("the kind is gone", func() (string, bool) {
			err := y.client.Get(t.Context(), client.ObjectKeyFromObject(definition), definition)
			return fmt.Sprint(err), client.IgnoreNotFound(err) == nil && err != nil
		})
		y.until("nobody asks for them", func() (string, bool) {
			before := y.api.count("/buildruns")
			time.Sleep(time.Second)
			return fmt.Sprint(y.api.with("/buildruns")[before:]), y.api.count("/buildruns") == before
		})
		// What fails for another reason is tried again sooner.
		y.stays(6*time.Second, "how often BuildRuns were asked for", func() string { return fmt.Sprint(y.api.count("/buildruns")) })
		images.Push(t, y.store, "app", "1.4.0", "four")
		y.change(app, func() { app.Annotations = map[string]string{v1alpha1.RefreshAnnotation: "now"} })
		y.untilCause("1.4.0", "cause=schedule")
		parts.InstallShipwright(t, y.own)
		pushed := images.Push(t, y.store, "app", "1.5.0", "five")
		y.run(ran{name: "app-1", image: y.image("app:1.5.0"), digest: pushed})
		y.untilCause("1.5.0", "cause="+cause)
	})
}

// slowly lets BuildRuns be known late.
func slowly(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/buildruns") {
			time.Sleep(time.Second)
		}
		return next.RoundTrip(r)
	})
}

func (y *yard) deleteDefinitions() {
	y.t.Helper()
	for _, kind := range []string{"buildruns", "builds", "buildstrategies", "clusterbuildstrategies"} {
		definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: kind + ".shipwright.io"}}
		if err := y.client.Delete(y.t.Context(), definition); err != nil {
			y.t.Fatal(err)
		}
		y.until(kind+" are gone", func() (string, bool) {
			err := y.client.Get(y.t.Context(), client.ObjectKeyFromObject(definition), definition)
			return fmt.Sprint(err), err != nil && client.IgnoreNotFound(err) == nil
		})
	}
}

// What a build tells is compared with the registry, and only the registry counts.
func TestBuildsAreNotBelieved(t *testing.T) {
	y := newYard(t)
	parts.InstallShipwright(t, y.own)
	app, _ := y.follow()
	y.quiet(app)

	other := "sha256:" + strings.Repeat("0", 64)
	served := images.Push(t, y.store, "app", "1.1.0", "another")
	y.run(ran{name: "another", image: y.image("app:1.1.0"), digest: other, source: sourceCommit})
	y.untilCause("1.1.0", "cause=schedule")
	y.run(ran{name: "missing", image: y.image("app:1.9.9"), digest: other})
	y.until("both are told", func() (string, bool) {
		notes := strings.Join(y.told("BuildDiffers"), "\n")
		return notes, strings.Contains(notes, "/another succeeded with "+y.image("app:1.1.0")+" as "+other+", but the registry serves "+served) &&
			strings.Contains(notes, "/missing succeeded with "+y.image("app:1.9.9")+" as "+other+", which the registry does not have")
	})

	// Text that fits no grammar is nobody's source, digest or image.
	pushed := images.Push(t, y.store, "app", "1.2.0", "hostile")
	y.run(ran{name: "no-digest", image: y.image("app:1.2.0"), digest: "sha256:0 cause=pin"})
	y.run(ran{name: "no-image", image: "app:1.2.0\nPintle-Update: x", digest: pushed})
	y.run(ran{name: "elsewhere", image: y.image("other:1.2.0"), digest: pushed})
	y.stays(3*time.Second, "what the controller did", func() string { return y.atRest(app) })
	y.run(ran{name: "hostile", image: y.image("app:1.2.0"), digest: pushed, source: sourceCommit + "\n\nPintle-Update: x"})
	y.untilCause("1.2.0", "cause=build/"+y.namespace+"/hostile")
}

// A cluster full of old runs costs a start no look, and a policy's own tag counts, however
// its image is spelled.
func TestOldRunsAskNothing(t *testing.T) {
	y := newYard(t)
	parts.InstallShipwright(t, y.own)
	for i := range 50 {
		y.run(ran{name: fmt.Sprintf("old-%d", i), image: y.image("app:1.0.0"), ended: time.Now().Add(-time.Hour)})
	}
	app, _ := y.follow()
	y.quiet(app)
	if lists := y.images.count("/v2/app/tags/list"); lists != 1 {
		t.Errorf("the registry listed %d times, want once: %v", lists, y.images.with("/v2/"))
	}
	if got := y.trailer(); !strings.HasSuffix(got, " cause=schedule") {
		t.Errorf("the trailer is %q: a run without a digest from before made nothing", got)
	}
}

// A look that is under way when a build ends may have been answered before the image was
// pushed: it says nothing of the build, and is followed by one that does.
func TestALookFromBeforeTheBuild(t *testing.T) {
	y := newYard(t)
	parts.InstallShipwright(t, y.own)
	y.push("other", "1.0.0")
	other := y.daily("other")
	y.create(other)
	app, _ := y.follow()
	y.untilReady(other, "NoField")
	y.quiet(app)
	held, free := make(chan struct{}), make(chan struct{})
	var lists atomic.Int32
	y.images.instead(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/app/tags/list") && lists.Add(1) == 1 {
			close(held)
			<-free
		}
		return lists.Load() == 1 && y.images.without(w, r, []string{"app:1.1.0"})
	})
	y.refresh(app)
	select {
	case <-held:
	case <-time.After(patience):
		t.Fatal("nobody looks")
	}
	pushed := images.Push(t, y.store, "app", "1.1.0", "one")
	y.run(ran{name: "app-1", image: y.image("app:1.1.0"), digest: pushed})
	y.push("other", "1.1.0")
	y.run(ran{name: "other-1", image: y.image("other:1.1.0")})
	y.until("the build is known, as the one after it is", func() (string, bool) {
		text := y.status(other)
		return text, other.Status.Selected.Tag == "1.1.0"
	})
	close(free)
	y.untilCause("1.1.0", "cause=build/"+y.namespace+"/app-1")
	y.quiet(app)
	if notes := y.told("BuildDiffers"); len(notes) > 0 {
		t.Errorf("a build is blamed: %q", notes)
	}
}

// Without the right to read BuildRuns the rest works, and the right counts when it comes.
func TestNoRightToReadBuilds(t *testing.T) {
	y := newYard(t)
	parts.InstallShipwright(t, y.own)
	y.restrict(y.own)
	role := &rbacv1.ClusterRole{}
	if err := y.client.Get(t.Context(), client.ObjectKey{Name: "pintle-controller"}, role); err != nil {
		t.Fatal(err)
	}
	all := role.Rules
	y.change(role, func() {
		role.Rules = nil
		for _, rule := range all {
			if rule.APIGroups[0] != "shipwright.io" {
				role.Rules = append(role.Rules, rule)
			}
		}
	})
	y.cluster, y.api = counted(y.cluster)
	var refused atomic.Int32
	y.logger = new(funcr.New(func(_, line string) {
		if strings.Contains(line, "BuildRuns are not followed: the controller may not list and watch buildruns") {
			refused.Add(1)
		}
	}, funcr.Options{}))
	app, _ := y.follow()
	y.until("BuildRuns are asked for in vain", func() (string, bool) { return "", y.api.count("/buildruns") > 2 })
	if n := refused.Load(); n != 1 {
		t.Errorf("the log tells %d times that BuildRuns may not be read, want once", n)
	}
	images.Push(t, y.store, "app", "1.1.0", "one")
	y.change(app, func() { app.Annotations = map[string]string{v1alpha1.RefreshAnnotation: "now"} })
	y.untilCause("1.1.0", "cause=schedule")

	y.change(role, func() { role.Rules = all })
	pushed := images.Push(t, y.store, "app", "1.2.0", "two")
	y.run(ran{name: "app-2", image: y.image("app:1.2.0"), digest: pushed})
	y.untilCause("1.2.0", "cause=build/"+y.namespace+"/app-2")
}
