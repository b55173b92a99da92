// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// lagging is a cache that sees what was written when a test lets it.
type lagging struct {
	server client.WithWatch
	seen   map[client.ObjectKey]client.Object
	reads  int // of the server itself
}

func lagOf(server client.WithWatch) (l *lagging, c client.Client, live client.Reader) {
	l = &lagging{server: server, seen: map[client.ObjectKey]client.Object{}}
	c = interceptor.NewClient(server, interceptor.Funcs{Get: func(ctx context.Context, server client.WithWatch, name client.ObjectKey, o client.Object, options ...client.GetOption) error {
		if l.seen[name] == nil {
			if err := server.Get(ctx, name, o, options...); err != nil {
				return err
			}
			l.seen[name], _ = o.DeepCopyObject().(client.Object)
		}
		switch o := o.(type) {
		case *v1alpha1.ImagePolicy:
			if seen, ok := l.seen[name].(*v1alpha1.ImagePolicy); ok {
				seen.DeepCopyInto(o)
			}
		case *v1alpha1.ManifestRepository:
			if seen, ok := l.seen[name].(*v1alpha1.ManifestRepository); ok {
				seen.DeepCopyInto(o)
			}
		}
		return nil
	}})
	live = interceptor.NewClient(server, interceptor.Funcs{Get: func(ctx context.Context, server client.WithWatch, name client.ObjectKey, o client.Object, options ...client.GetOption) error {
		l.reads++
		return server.Get(ctx, name, o, options...)
	}})
	return l, c, live
}

// catchUp lets the cache see what is there now.
func (l *lagging) catchUp() { clear(l.seen) }

// A status that is reckoned while the cache lags behind what was written a moment ago is
// true at once, also where it is the one that the cache still has.
func TestStatusWhileTheCacheLags(t *testing.T) {
	policy := followed()
	server := objects(t, policy)
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	l, cache, live := lagOf(server)
	r := &policyReconciler{client: cache, live: live, metrics: m, recorder: events.NewFakeRecorder(9)}
	read := func() *v1alpha1.ImagePolicy {
		p := &v1alpha1.ImagePolicy{}
		if err := r.statuses.get(t.Context(), r.client, r.live, key(policy), p, &p.Status); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write := func(status v1alpha1.ImagePolicyStatus) {
		t.Helper()
		if err := r.patch(t.Context(), read(), status); err != nil {
			t.Fatal(err)
		}
		is := &v1alpha1.ImagePolicy{}
		if err := server.Get(t.Context(), key(policy), is); err != nil {
			t.Fatal(err)
		}
		if !sameStatus(is.Status, status) {
			t.Errorf("the status is %+v, want %+v", is.Status, status)
		}
	}
	first, second := v1alpha1.ImagePolicyStatus{ObservedGeneration: 1}, v1alpha1.ImagePolicyStatus{ObservedGeneration: 1, Selected: &v1alpha1.Selected{Tag: "1.0.0"}}
	write(first)
	l.catchUp()
	read()
	write(second)
	write(first) // which the cache still has
	write(second)
	l.catchUp()
	before := l.reads
	for range 3 {
		write(second)
	}
	if l.reads != before {
		t.Errorf("%d reads of the server although the cache has seen all", l.reads-before)
	}
}

// Without an API server nothing can be read past the cache, and the work goes on.
func TestReadWithoutAnAPIServer(t *testing.T) {
	policy := followed()
	server := objects(t, policy)
	away := interceptor.NewClient(server, interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return errors.New("the API server is away")
	}})
	var s statuses[v1alpha1.ImagePolicyStatus]
	s.note(key(policy), v1alpha1.ImagePolicyStatus{ObservedGeneration: 7})
	found := &v1alpha1.ImagePolicy{}
	if err := s.get(t.Context(), server, away, key(policy), found, &found.Status); err != nil || found.Spec.Image != policy.Spec.Image {
		t.Errorf("got %v, with the image %q", err, found.Spec.Image)
	}
}

// Both reconcilers read so.
func TestReconcilersReadPastALag(t *testing.T) {
	policy, repository := followed(), repositoryOf()
	policy.Spec.Select.Semver = &v1alpha1.Semver{Range: "no range"}
	repository.Spec.URL = "ftp://git.example.com/fleet.git"
	server := objects(t, policy, repository)
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	l, cache, live := lagOf(server)
	wake := newWake(newGates(0), func() time.Time { return noon })
	policies := &policyReconciler{client: cache, live: live, turns: newTurns(longestLook), agenda: newAgenda(), wake: wake, board: newBoard(), resolutions: reconcile.NewResolutions(),
		builds: &builds{}, trigger: newTrigger(nil, nil, false), metrics: m, recorder: events.NewFakeRecorder(9), now: wake.now}
	repositories, err := newRepositories(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	writes := &repositoryReconciler{client: cache, live: live, repositories: repositories, crowds: newCrowds(1, 1), gates: wake.gates, wake: wake, board: newBoard(),
		metrics: m, recorder: events.NewFakeRecorder(9), plainHTTP: plainHosts(nil), now: wake.now}
	for range 2 {
		if _, err := writes.Reconcile(t.Context(), ctrl.Request{NamespacedName: key(repository)}); err != nil {
			t.Fatal(err)
		}
		if _, err := policies.Reconcile(t.Context(), ctrl.Request{NamespacedName: key(policy)}); err != nil {
			t.Fatal(err)
		}
	}
	if l.reads != 2 {
		t.Errorf("%d reads of the server, want one of each, after what the cache had not seen", l.reads)
	}
}
