// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// byImage is the index of policies by spec.image.
const byImage = "spec.image"

// policyReconciler looks at registries for policies, and writes their status.
type policyReconciler struct {
	client      client.Client
	live        client.Reader
	statuses    statuses[v1alpha1.ImagePolicyStatus]
	accounts    *accounts
	agenda      *agenda
	turns       *turns
	resolutions *reconcile.Resolutions
	builds      *builds
	trigger     *trigger
	board       *board
	wake        *wake
	metrics     *metrics
	recorder    events.EventRecorder
	suspended   bool
	now         func() time.Time
}

// Reconcile implements reconcile.Reconciler of controller-runtime.
func (r *policyReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	defer unlessEnded(ctx, &err)
	policy := &v1alpha1.ImagePolicy{}
	err = r.statuses.get(ctx, r.client, r.live, req.NamespacedName, policy, &policy.Status)
	if apierrors.IsNotFound(err) || err == nil && policy.DeletionTimestamp != nil {
		return ctrl.Result{}, r.forget(ctx, req.NamespacedName)
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if wrong, ok := errors.AsType[*reconcile.SpecError](reconcile.CheckPolicy(policy)); ok {
		if err := r.forget(ctx, req.NamespacedName); err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, r.patch(ctx, policy, invalidPolicy(policy, wrong, r.now()))
	}
	result, err := r.follow(ctx, policy)
	if errors.Is(err, errChanged) {
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	return result, err
}

// follow asks what is to be asked now, and writes the status.
func (r *policyReconciler) follow(ctx context.Context, policy *v1alpha1.ImagePolicy) (ctrl.Result, error) {
	asked, waits := false, false
	if q, due := r.agenda.due(policy, r.now()); due {
		var err error
		waits, err = r.inTurn(ctx, policy, func(turn context.Context) error { return r.look(ctx, turn, policy, q, r.now()) })
		if err != nil {
			return ctrl.Result{}, err
		}
		asked = true
	}
	view, err := r.view(ctx, policy)
	if err != nil {
		return ctrl.Result{}, err
	}
	next := max(time.Millisecond, r.agenda.next(policy, r.now()).Sub(r.now()))
	if view.complete() {
		if view.doubts() && !waits {
			if waits, err = r.inTurn(ctx, policy, func(turn context.Context) error { return r.missing(turn, view) }); err != nil {
				return ctrl.Result{}, err
			}
			asked = true
		}
		view.unsure = view.unsure || waits
		status := view.status()
		if again := r.trigger.follow(ctx, view, &status); again > 0 {
			next = min(next, again)
		}
		if err := r.patch(ctx, policy, status); err != nil {
			return ctrl.Result{}, err
		}
	}
	if waits {
		return ctrl.Result{RequeueAfter: roomAfter}, nil
	}
	if !asked {
		r.stayAway(ctx, key(policy))
	}
	return ctrl.Result{RequeueAfter: next}, nil
}

// forget drops what is known of a policy that is gone or can't be followed.
func (r *policyReconciler) forget(ctx context.Context, policy types.NamespacedName) error {
	r.stayAway(ctx, policy)
	r.statuses.forget(policy)
	r.agenda.forget(policy)
	r.builds.forget(policy)
	r.trigger.forget(policy)
	r.resolutions.Forget(policy.String())
	r.metrics.forgetPolicy(policy)
	repositories, err := Grantors(ctx, r.client, policy.Namespace)
	for _, repository := range repositories {
		if _, has, _ := r.board.of(key(repository), policy); has {
			r.wake.repository(ctx, key(repository))
		}
	}
	return err
}

// look asks the registry for the policy and all others that are due with the same image
// and login: what comes at once is to be written at once. It asks as long as its turn
// lasts.
func (r *policyReconciler) look(ctx, turn context.Context, policy *v1alpha1.ImagePolicy, q question, now time.Time) error {
	together, q, err := r.together(ctx, policy, q, now)
	if err != nil {
		return err
	}
	before := make([]reconcile.Resolution, len(together))
	for i, p := range together {
		before[i], _ = r.resolutions.Of(p)
	}
	r.builds.wait(turn)
	account, err := r.accounts.of(turn, policy, now)
	if err != nil {
		if turn.Err() != nil {
			return turn.Err()
		}
		for _, p := range together {
			r.resolutions.Fail(p, err.Error())
		}
	} else if err := r.resolutions.Look(turn, account, together, q.at, q.cause); err != nil {
		endless, ok := errors.AsType[*endlessError](context.Cause(turn))
		if !ok {
			return err
		}
		for _, p := range together {
			r.resolutions.Fail(p, endless.Error())
		}
	}
	for i, p := range together {
		after, _ := r.resolutions.Of(p)
		r.builds.compare(ctx, turn, p, q.at)
		r.metrics.resolved(after)
		changed := r.agenda.looked(p, q.at, r.now(), after.Reason == reconcile.Failed)
		if !changed && after.Equal(before[i]) {
			continue
		}
		if err := r.tell(ctx, p); err != nil {
			return err
		}
		if p != policy {
			r.wake.policy(ctx, key(p))
		}
	}
	return nil
}

// together are the policies to be looked at with one that is due: itself, and those
// with the same image and login that are due too. The newest of their questions is put.
func (r *policyReconciler) together(ctx context.Context, policy *v1alpha1.ImagePolicy, q question, now time.Time) ([]*v1alpha1.ImagePolicy, question, error) {
	var list v1alpha1.ImagePolicyList
	err := r.client.List(ctx, &list, client.InNamespace(policy.Namespace), client.MatchingFields{byImage: policy.Spec.Image})
	if err != nil {
		return nil, q, fmt.Errorf("cannot list the policies of %s: %w", policy.Spec.Image, err)
	}
	found := []*v1alpha1.ImagePolicy{policy}
	for i := range list.Items {
		p := &list.Items[i]
		if p.Name == policy.Name || p.DeletionTimestamp != nil || !reflect.DeepEqual(p.Spec.Registry, policy.Spec.Registry) || reconcile.CheckPolicy(p) != nil {
			continue
		}
		if other, due := r.agenda.due(p, now); due {
			found = append(found, p)
			if other.at.After(q.at) {
				q = other
			}
		}
	}
	return found, q, nil
}

// tell lets the repositories know that there is news of a policy.
func (r *policyReconciler) tell(ctx context.Context, policy *v1alpha1.ImagePolicy) error {
	repositories, err := Grantors(ctx, r.client, policy.Namespace)
	for _, repository := range repositories {
		r.wake.repository(ctx, key(repository))
	}
	return err
}

// view gathers what the status is made of.
func (r *policyReconciler) view(ctx context.Context, policy *v1alpha1.ImagePolicy) (*policyView, error) {
	repositories, err := Grantors(ctx, r.client, policy.Namespace)
	if err != nil {
		return nil, err
	}
	v := &policyView{policy: policy, granted: len(repositories), suspended: r.suspended, now: r.now()}
	v.resolution, v.resolved = r.resolutions.Of(policy)
	for _, repository := range repositories {
		found, has, looked := r.board.of(key(repository), key(policy))
		failing := r.board.failing(key(repository))
		newest := has && v.isNewest(found)
		v.pending = v.pending || !looked || !newest && !failing
		switch {
		case has:
			v.places = append(v.places, place{found, key(repository), !newest})
		case failing:
			v.unread = append(v.unread, key(repository).String())
		}
	}
	return v, ctx.Err()
}

// missing asks which digests that Git holds have left the registry.
func (r *policyReconciler) missing(turn context.Context, v *policyView) error {
	const most = 20 // of one repository, who may hold any number of them
	for _, p := range v.places {
		v.unsure = v.unsure || len(p.Digests) > most
		for _, digest := range p.Digests[:min(most, len(p.Digests))] {
			gone, sure := r.resolutions.Gone(turn, v.policy, digest)
			if gone {
				v.gone = append(v.gone, fmt.Sprintf("%s@%s, which %s holds", v.policy.Spec.Image, digest, p.repository))
			}
			v.unsure = v.unsure || !sure
		}
	}
	return nil
}

// patch writes the status if it says something new, and tells in events what.
func (r *policyReconciler) patch(ctx context.Context, policy *v1alpha1.ImagePolicy, status v1alpha1.ImagePolicyStatus) error {
	r.metrics.policy(policy, status)
	if sameStatus(policy.Status, status) {
		return nil
	}
	before := policy.DeepCopy()
	policy.Status = status
	err := r.client.Status().Patch(ctx, policy, client.MergeFrom(before))
	r.statuses.note(key(policy), policy.Status)
	if err != nil {
		return client.IgnoreNotFound(fmt.Errorf("cannot write the status of ImagePolicy %s: %w", key(policy), err))
	}
	for _, e := range policyEvents(before.Status, status) {
		e.tell(ctx, r.recorder, policy)
	}
	return nil
}

func key(object client.Object) types.NamespacedName { return client.ObjectKeyFromObject(object) }
