// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// The reasons of the condition Triggered.
const (
	reasonStarted         = "BuildRunsCreated"
	reasonNoBuilds        = "NoBuilds"
	reasonTooManyBuilds   = "TooManyBuilds"
	reasonBuildLoop       = "BuildLoop"
	reasonNoShipwright    = "NoShipwright"
	reasonBuildsForbidden = "BuildsForbidden"
	reasonBuildsFailed    = "BuildsFailed"
)

const (
	// maxBuilds bounds what one selection starts.
	maxBuilds = 100
	// maxLabel is how long a label's value may be; Shipwright makes one of a BuildRun's name.
	maxLabel = 63
)

// trigger creates BuildRuns where a policy's selection has another digest than the one
// that builds were last started for, which the policy's status knows.
type trigger struct {
	policies  client.Client
	builds    client.Client
	suspended bool // the whole controller
	now       func() time.Time

	mu   sync.Mutex
	open map[types.NamespacedName]unfinished
}

// unfinished is a selection whose builds could not all be started.
type unfinished struct {
	digest string
	next   time.Time       // is when to try again
	done   map[string]bool // Builds; their BuildRuns may be deleted meanwhile, and are not made again
}

func newTrigger(policies, builds client.Client, suspended bool) *trigger {
	return &trigger{policies: policies, builds: builds, suspended: suspended, now: time.Now, open: map[types.NamespacedName]unfinished{}}
}

func (t *trigger) forget(policy types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, policy)
}

// follow starts what the selection is to start, and tells in the status that is about to be
// written. It gives when to try again, if that is to be.
func (t *trigger) follow(ctx context.Context, v *policyView, status *v1alpha1.ImagePolicyStatus) (again time.Duration) {
	c := conditions{&status.Conditions, v.policy.Generation, t.now()}
	selected := v.resolution.Selected
	switch {
	case v.policy.Spec.Trigger == nil:
		status.Triggered = nil
		c.remove(v1alpha1.ConditionTriggered)
		t.forget(key(v.policy))
		return 0
	case selected == nil:
		return 0 // Nothing is known, and what was known stays.
	case status.Triggered == nil:
		// What was selected before somebody asked for builds starts none.
		status.Triggered = &v1alpha1.Triggered{Digest: selected.Digest}
		if before := v.policy.Status.Selected; before != nil && before.Digest != "" {
			status.Triggered.Digest = before.Digest
		}
	}
	if status.Triggered.Digest == selected.Digest {
		t.forget(key(v.policy))
		if meta.IsStatusConditionFalse(status.Conditions, v1alpha1.ConditionTriggered) && !t.isAbout(status.Conditions, selected) {
			c.remove(v1alpha1.ConditionTriggered) // It told of a selection that is none any more.
		}
		return 0
	}
	if why := t.waits(v); why.reason != "" {
		c.set(v1alpha1.ConditionTriggered, false, string(why.reason), "no build is started for "+shown(selected)+" now: "+why.message)
		return 0
	}
	todo, wait := t.begin(key(v.policy), selected.Digest)
	if wait > 0 {
		return wait
	}
	found := t.start(ctx, v.policy, selected, todo.done)
	if ctx.Err() != nil {
		return 0
	}
	c.set(v1alpha1.ConditionTriggered, found.reason == reasonStarted, found.reason, found.message)
	if !found.again {
		status.Triggered.Digest = selected.Digest
		return 0
	}
	return t.later(key(v.policy), todo)
}

// isAbout tells whether the condition is about a selection.
func (t *trigger) isAbout(all []metav1.Condition, selected *reconcile.TagDigest) bool {
	is := meta.FindStatusCondition(all, v1alpha1.ConditionTriggered)
	return is != nil && strings.Contains(is.Message, shown(selected))
}

func shown(selected *reconcile.TagDigest) string { return selected.Tag + " at " + selected.Digest }

// unbuilt are the reasons, besides holds, for which nothing is written, nor built upon.
var unbuilt = []reconcile.Reason{reconcile.DowngradeRefused, reconcile.TooYoung, reconcile.WindowClosed}

// waits tells why a selection starts nothing yet: what may not be written is not built
// upon either.
func (t *trigger) waits(v *policyView) verdict {
	if t.suspended {
		return verdict{reconcile.Suspended, "the controller is suspended (--suspend)"}
	}
	if v.policy.Spec.Suspend {
		return verdict{reconcile.Suspended, "the policy is suspended"}
	}
	if g := v.gravest(); held(g.reason) || slices.Contains(unbuilt, g.reason) {
		return g
	}
	return verdict{}
}

// begin gives what is done already for a selection, or how long to leave it alone.
func (t *trigger) begin(policy types.NamespacedName, digest string) (todo unfinished, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	todo = t.open[policy]
	if todo.digest != digest {
		todo = unfinished{digest: digest, done: map[string]bool{}}
		t.open[policy] = todo
	}
	return todo, todo.next.Sub(t.now())
}

func (t *trigger) later(policy types.NamespacedName, todo unfinished) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	todo.next = t.now().Add(retryAfter)
	t.open[policy] = todo
	return retryAfter
}

// started is what came of it.
type started struct {
	reason, message string
	again           bool // it may go better later
}

// start makes a BuildRun of each Build that is selected and has none yet.
func (t *trigger) start(ctx context.Context, policy *v1alpha1.ImagePolicy, selected *reconcile.TagDigest, done map[string]bool) started {
	builds, wrong := t.selected(ctx, policy)
	if wrong.reason != "" {
		wrong.message = "no build is started for " + shown(selected) + ": " + wrong.message
		return wrong
	}
	var names, messages []string
	all := started{reason: reasonStarted}
	for i := range builds {
		name := runName(builds[i].Name, key(policy), selected.Digest)
		one := started{}
		if !done[builds[i].Name] {
			one = t.startOne(ctx, policy, selected, &builds[i], name)
		}
		if one.reason == "" {
			done[builds[i].Name] = true
			names = append(names, name)
			continue
		}
		messages = append(messages, one.message)
		if !all.again { // What can be tried again counts more.
			all.reason, all.again = one.reason, one.again
		}
	}
	created := "BuildRun " + strings.Join(names, ", ")
	if len(names) == 0 {
		created = "none"
	}
	all.message = strings.Join(append([]string{"created for " + shown(selected) + ": " + created}, messages...), "; ")
	return all
}

// startOne is start for one Build. It gives no reason where that is well.
func (t *trigger) startOne(ctx context.Context, policy *v1alpha1.ImagePolicy, selected *reconcile.TagDigest, b *build, name string) started {
	loop, err := t.loops(ctx, policy, b)
	if err == nil && loop != "" {
		return started{reason: reasonBuildLoop, message: loop}
	}
	if err == nil {
		err = t.builds.Create(ctx, newRun(name, b.Name, policy, selected))
	}
	if err == nil || apierrors.IsAlreadyExists(err) {
		return started{}
	}
	wrong := buildsError(policy.Namespace, err)
	wrong.message = fmt.Sprintf("the Build %s is not started: %s", b.Name, wrong.message)
	return wrong
}

// selected are the Builds that the policy selects, sorted by name.
func (t *trigger) selected(ctx context.Context, policy *v1alpha1.ImagePolicy) ([]build, started) {
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.Trigger.Builds)
	if err != nil {
		return nil, started{reason: reasonInvalid, message: "spec.trigger.builds: " + err.Error()}
	}
	var list buildList
	if err := t.builds.List(ctx, &list, client.InNamespace(policy.Namespace), client.MatchingLabelsSelector{Selector: selector}, client.Limit(maxBuilds+1)); err != nil {
		return nil, buildsError(policy.Namespace, err)
	}
	switch {
	case len(list.Items) == 0:
		return nil, started{reason: reasonNoBuilds, message: fmt.Sprintf("no Build of the namespace %s has the labels of spec.trigger.builds (%s): set them on the Builds that use the image; the next selection counts", policy.Namespace, selector)}
	case len(list.Items) > maxBuilds:
		return nil, started{reason: reasonTooManyBuilds, message: fmt.Sprintf("more than %d Builds of the namespace %s have the labels of spec.trigger.builds (%s): name others", maxBuilds, policy.Namespace, selector)}
	}
	slices.SortFunc(list.Items, func(a, b build) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, started{}
}

// buildsError says what to do about an answer of the API server.
func buildsError(namespace string, err error) started {
	switch {
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return started{reasonBuildsFailed, "the API server refuses it: " + err.Error(), false}
	case apierrors.IsNotFound(err):
		return started{reasonNoShipwright, "the cluster has no Builds and BuildRuns of shipwright.io/v1beta1: install Shipwright, or take spec.trigger out", true}
	case apierrors.IsForbidden(err):
		return started{reasonBuildsForbidden, fmt.Sprintf("it is not allowed: give the controller the ClusterRole pintle-builds in the namespace %s, as docs/shipwright.md tells (%s)", namespace, err), true}
	}
	return started{reasonBuildsFailed, err.Error(), true}
}

// runName is the same for everybody who starts a Build for a digest, so that the API server
// takes one of them.
func runName(build string, policy types.NamespacedName, digest string) string {
	const hash = 10
	sum := sha256.Sum256([]byte(policy.String() + "\x00" + build + "\x00" + digest))
	front := strings.TrimRight(build[:min(len(build), maxLabel-hash-1)], "-.")
	return fmt.Sprintf("%s-%x", front, sum[:hash/2])
}

// newRun has no owner: a policy that is deleted is not to take builds along that are under way.
func newRun(name, build string, policy *v1alpha1.ImagePolicy, selected *reconcile.TagDigest) *buildRun {
	run := &buildRun{ObjectMeta: metav1.ObjectMeta{
		Namespace: policy.Namespace, Name: name,
		Labels:      map[string]string{"app.kubernetes.io/managed-by": "pintle"},
		Annotations: map[string]string{v1alpha1.PolicyKey: key(policy).String(), v1alpha1.SelectionAnnotation: policy.Spec.Image + ":" + selected.Tag + "@" + selected.Digest},
	}}
	if len(policy.Name) <= maxLabel {
		run.Labels[v1alpha1.PolicyKey] = policy.Name
	}
	run.Spec.Build.Name = build
	return run
}

// triggered tells of builds that were started, or why none were.
func triggered(before, after []metav1.Condition) []happened {
	was, is := meta.FindStatusCondition(before, v1alpha1.ConditionTriggered), meta.FindStatusCondition(after, v1alpha1.ConditionTriggered)
	if is == nil || was != nil && was.Reason == is.Reason && was.Message == is.Message {
		return nil
	}
	level := corev1.EventTypeWarning
	if is.Status == metav1.ConditionTrue || held(reconcile.Reason(is.Reason)) || is.Reason == string(reconcile.Suspended) {
		level = corev1.EventTypeNormal
	}
	return []happened{{level, is.Reason, "Build", clipEvent(is.Message)}}
}
