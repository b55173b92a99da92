// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// yardOf is a cluster's Builds, and the BuildRuns that were asked for.
type yardOf struct {
	client.Client

	builds []string
	wrong  map[string]error // by Build
	asked  []string
}

func (y *yardOf) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if list, ok := list.(*buildList); ok {
		for _, name := range y.builds {
			b := build{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name}}
			b.Spec.Output.Image = "ghcr.io/acme/" + name
			list.Items = append(list.Items, b)
		}
	}
	return nil
}

func (y *yardOf) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	run, ok := object.(*buildRun)
	if !ok {
		return fmt.Errorf("%T is no BuildRun", object)
	}
	y.asked = append(y.asked, run.Spec.Build.Name)
	return y.wrong[run.Spec.Build.Name]
}

// selection is a policy whose rule picks a tag and digest now.
func selection(p *v1alpha1.ImagePolicy, tag, digest string) *policyView {
	return &policyView{policy: p, resolved: true, resolution: reconcile.Resolution{Selected: &reconcile.TagDigest{Tag: tag, Digest: digest}}}
}

// What fails is tried again once a minute, what is done is not done again, and what can't
// be mended by waiting is not tried again at all.
func TestBuildsThatCanNotBeStarted(t *testing.T) {
	resource := schema.GroupResource{Group: shipwright.Group, Resource: "buildruns"}
	forbidden := apierrors.NewForbidden(resource, "x", errors.New("quota"))
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: shipwright.Group, Kind: "BuildRun"}, "x", nil)
	there := apierrors.NewAlreadyExists(resource, "x")
	y := &yardOf{builds: []string{"a", "b", "c", "d"}, wrong: map[string]error{"a": there, "b": forbidden, "c": invalid}}
	now := time.Now()
	r := newTrigger(y, y, false)
	r.now = func() time.Time { return now }
	p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "base"}}
	p.Spec.Image, p.Spec.Trigger = "ghcr.io/acme/base", &v1alpha1.Trigger{Builds: metav1.LabelSelector{MatchLabels: map[string]string{"base": "go"}}}
	status := v1alpha1.ImagePolicyStatus{Triggered: &v1alpha1.Triggered{Digest: someDigest}}

	step := func(what, tag, digest string, again time.Duration, reason string, asked ...string) {
		t.Helper()
		y.asked = nil
		if got := r.follow(t.Context(), selection(p, tag, digest), &status); got != again {
			t.Errorf("%s: again in %v, want %v", what, got, again)
		}
		is := ""
		if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionTriggered); c != nil {
			is = c.Reason
		}
		if diff := cmp.Diff(asked, y.asked); diff != "" || is != reason {
			t.Errorf("%s: the reason is %s, want %s; BuildRuns (-want +got):\n%s", what, is, reason, diff)
		}
	}
	step("nothing new", "1", someDigest, 0, "")
	step("a new digest", "2", anyDigest, time.Minute, "BuildsForbidden", "a", "b", "c", "d")
	now = now.Add(20 * time.Second)
	step("too soon", "2", anyDigest, 40*time.Second, "BuildsForbidden")
	now = now.Add(time.Minute)
	step("a minute later", "2", anyDigest, time.Minute, "BuildsForbidden", "b", "c")
	y.wrong["b"] = errors.New("the network is away")
	now = now.Add(time.Minute)
	step("no answer", "2", anyDigest, time.Minute, "BuildsFailed", "b", "c")
	y.wrong["b"] = nil
	now = now.Add(time.Minute)
	step("only what waiting does not mend", "2", anyDigest, 0, "BuildsFailed", "b", "c")
	step("that is all", "2", anyDigest, 0, "BuildsFailed")
	step("back again", "1", someDigest, 0, "BuildsFailed", "a", "b", "c", "d")
	step("with the same digest", "1.0", someDigest, 0, "")
	y.builds = make([]string, maxBuilds+1)
	step("too many", "3", anyDigest, 0, "TooManyBuilds")
	p.Spec.Trigger.Builds = metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "x", Operator: "Near"}}}
	step("no selector", "4", someDigest, 0, "InvalidSpec")
}

// What may not be written is not built upon.
func TestBuildsWait(t *testing.T) {
	y := &yardOf{builds: []string{"a"}}
	for reason, want := range map[reconcile.Reason]string{
		reconcile.RolledBack: "RolledBack", reconcile.ManuallySet: "ManuallySet", reconcile.Pinned: "Pinned",
		reconcile.Suspended: "Suspended", reconcile.DowngradeRefused: "DowngradeRefused", reconcile.TooYoung: "TooYoung", reconcile.WindowClosed: "WindowClosed",
		reconcile.UpToDate: "BuildRunsCreated", reconcile.Failed: "BuildRunsCreated", reconcile.NoField: "BuildRunsCreated",
	} {
		p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "base"}}
		p.Spec.Image, p.Spec.Trigger, p.Spec.Suspend = "ghcr.io/acme/base", &v1alpha1.Trigger{}, reason == reconcile.Suspended
		v := selection(p, "2", anyDigest)
		v.granted, v.places = 1, []place{{outcome: outcome{Policy: reconcile.Policy{Reason: reason}}}}
		status := v1alpha1.ImagePolicyStatus{Triggered: &v1alpha1.Triggered{Digest: someDigest}}
		newTrigger(y, y, false).follow(t.Context(), v, &status)
		is := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionTriggered)
		if is == nil || is.Reason != want || (is.Status == metav1.ConditionTrue) != (want == "BuildRunsCreated") {
			t.Errorf("%s: the condition is %+v", reason, is)
		}
		if started := status.Triggered.Digest == anyDigest; started != (want == "BuildRunsCreated") {
			t.Errorf("%s: builds were last started for %s", reason, status.Triggered.Digest)
		}
	}
	y.asked = nil
	p := &v1alpha1.ImagePolicy{Spec: v1alpha1.ImagePolicySpec{Trigger: &v1alpha1.Trigger{}}}
	status := v1alpha1.ImagePolicyStatus{Triggered: &v1alpha1.Triggered{Digest: someDigest}}
	newTrigger(y, y, true).follow(t.Context(), selection(p, "2", anyDigest), &status)
	if len(y.asked) > 0 || status.Triggered.Digest != someDigest {
		t.Errorf("--suspend: %v, %+v", y.asked, status)
	}
}

// What was selected before somebody asked for builds starts none; what came since does.
func TestFirstSelectionStartsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		before *v1alpha1.Selected
		asked  []string
	}{
		"a new policy":                        {nil, nil},
		"one that had the same":               {&v1alpha1.Selected{Tag: "2", Digest: anyDigest}, nil},
		"one that had another":                {&v1alpha1.Selected{Tag: "1", Digest: someDigest}, []string{"a"}},
		"one that never had a digest of such": {&v1alpha1.Selected{Tag: "1"}, nil},
	} {
		y := &yardOf{builds: []string{"a"}}
		p := &v1alpha1.ImagePolicy{Spec: v1alpha1.ImagePolicySpec{Image: "ghcr.io/acme/base", Trigger: &v1alpha1.Trigger{}}}
		p.Status.Selected = test.before
		var status v1alpha1.ImagePolicyStatus
		newTrigger(y, y, false).follow(t.Context(), selection(p, "2", anyDigest), &status)
		if diff := cmp.Diff(test.asked, y.asked); diff != "" || status.Triggered == nil || status.Triggered.Digest != anyDigest {
			t.Errorf("%s: %+v; BuildRuns (-want +got):\n%s", name, status.Triggered, diff)
		}
	}
}

func TestNamesOfBuildRuns(t *testing.T) {
	policy := types.NamespacedName{Namespace: "prod", Name: "base"}
	one := runName("app", policy, someDigest)
	if again := runName("app", policy, someDigest); again != one || !strings.HasPrefix(one, "app-") || len(one) != len("app-0123456789") {
		t.Errorf("%q, then %q", one, again)
	}
	long := strings.Repeat("a", 51) + ".b" + strings.Repeat("c", 200)
	for _, other := range []string{
		runName("app", policy, anyDigest), runName("app", types.NamespacedName{Namespace: "prod", Name: "other"}, someDigest),
		runName("app2", policy, someDigest), runName(long, policy, someDigest),
	} {
		if other == one || len(other) > maxLabel || strings.Contains(other, ".-") {
			t.Errorf("%q beside %q", other, one)
		}
	}
}

// The build that told the digest is the cause, best with the tag too; one that told none
// counts for what was asked after it alone.
func TestMadeBy(t *testing.T) {
	at := time.Now()
	run := func(name, tag, digest string, after time.Duration) expected {
		return expected{made{run: types.NamespacedName{Namespace: "ci", Name: name}, image: "ghcr.io/acme/app", tag: tag, digest: digest, completed: at.Add(after)}, at.Add(after)}
	}
	tests := map[string]struct {
		expected []expected
		want     string // empty for none
	}{
		"the digest":                 {[]expected{run("a", "1", someDigest, 0)}, "build/ci/a"},
		"another digest":             {[]expected{run("a", "1", anyDigest, 0)}, ""},
		"by another tag":             {[]expected{run("a", "2", someDigest, 0)}, "build/ci/a"},
		"better by the tag":          {[]expected{run("a", "1", someDigest, 0), run("b", "2", someDigest, time.Second)}, "build/ci/a"},
		"better by the tag, later":   {[]expected{run("a", "2", someDigest, 0), run("b", "1", someDigest, -time.Second)}, "build/ci/b"},
		"the newest":                 {[]expected{run("a", "1", someDigest, time.Second), run("b", "1", someDigest, 0)}, "build/ci/a"},
		"no digest was told":         {[]expected{run("a", "1", "", 0)}, "build/ci/a"},
		"nor is it the tag":          {[]expected{run("a", "2", "", 0)}, ""},
		"asked before the build did": {[]expected{run("a", "1", "", time.Hour)}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &builds{expected: map[types.NamespacedName][]expected{{Namespace: "prod", Name: "app"}: test.expected}}
			got, ok := b.MadeBy("prod/app", "ghcr.io/acme/app", reconcile.TagDigest{Tag: "1", Digest: someDigest}, at.Add(time.Minute))
			if ok != (test.want != "") || ok && got.Cause != test.want {
				t.Errorf("got %+v %v, want %q", got, ok, test.want)
			}
			if _, ok := b.MadeBy("prod/other", "ghcr.io/acme/app", reconcile.TagDigest{Tag: "1", Digest: someDigest}, at.Add(time.Minute)); ok {
				t.Error("another policy does not expect it")
			}
		})
	}
}
