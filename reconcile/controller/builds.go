// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

const (
	// byOneName is the index of policies and of runs by registry.Canonical of the image,
	// which the two may spell in different ways.
	byOneName = "image"
	// findBuilds is how often it is asked whether there are BuildRuns in the cluster.
	findBuilds = time.Minute
	// runsInTime is how long looks wait at the start for the BuildRuns that there are.
	runsInTime = 5 * time.Second
	// clocksDiffer is by how much the clock of whoever completes a BuildRun may be behind.
	clocksDiffer = time.Minute
	// maxExpected bounds the builds that a policy can wait to be compared with its registry.
	maxExpected = 20
)

// builds watch the BuildRuns of Shipwright, where the cluster has them. One that succeeds
// brings a look at its image forward, as an event does, and is the cause of what is
// written of its digest.
type builds struct {
	policies    client.Client
	runs        client.WithWatch
	discovery   discovery.ServerResourcesInterface
	agenda      *agenda
	wake        *wake
	resolutions *reconcile.Resolutions
	recorder    events.EventRecorder
	log         logr.Logger
	every       time.Duration
	now         func() time.Time

	known chan struct{} // is closed when it is known which runs there are, or that there are none
	once  sync.Once     // closes it

	mu       sync.Mutex
	store    cache.Indexer // of the runs that there are, by image; nil while there is no such kind
	expected map[types.NamespacedName][]expected
}

// expected is a build that a policy is to be looked at for, and since when.
type expected struct {
	made

	since time.Time
}

// newBuilds makes them with all that the manager has.
func newBuilds(mgr manager.Manager, every time.Duration, agenda *agenda, wake *wake, resolutions *reconcile.Resolutions) (*builds, error) {
	runs, err := newBuildClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	found, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("cannot set up a client for builds: %w", err)
	}
	index := func(o client.Object) []string {
		p, ok := o.(*v1alpha1.ImagePolicy)
		if !ok {
			return nil
		}
		name, err := registry.Canonical(p.Spec.Image)
		if err != nil {
			return nil
		}
		return []string{name}
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.ImagePolicy{}, byOneName, index); err != nil {
		return nil, err
	}
	b := &builds{
		policies: mgr.GetClient(), runs: runs, discovery: found, agenda: agenda, wake: wake, resolutions: resolutions,
		recorder: mgr.GetEventRecorder("pintle"), log: mgr.GetLogger(), every: every, now: time.Now,
		known: make(chan struct{}), expected: map[types.NamespacedName][]expected{},
	}
	resolutions.Ask(b)
	return b, mgr.Add(b)
}

// Start implements manager.Runnable; it runs where the reconcilers do.
func (b *builds) Start(ctx context.Context) error {
	ctx = log.IntoContext(ctx, b.log)
	for {
		if b.served(ctx) {
			b.follow(ctx)
		}
		b.areKnown()
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(b.every):
		}
	}
}

func (b *builds) areKnown() { b.once.Do(func() { close(b.known) }) }

// wait lets a look wait until it can be known what made what it finds: the cause of what
// is written after a start is to be the same as without one.
func (b *builds) wait(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, runsInTime)
	defer cancel()
	select {
	case <-b.known:
	case <-ctx.Done():
	}
}

// served tells whether the cluster has BuildRuns. Anybody may ask that.
func (b *builds) served(ctx context.Context) bool {
	list, err := b.discovery.ServerResourcesForGroupVersion(shipwright.String())
	if err != nil {
		if !apierrors.IsNotFound(err) && ctx.Err() == nil {
			log.FromContext(ctx).Info("cannot ask whether there are BuildRuns: trying again in "+b.every.String(), "error", err.Error())
		}
		return false
	}
	return slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Kind == "BuildRun" })
}

// follow watches BuildRuns until there is no such kind any more.
func (b *builds) follow(ctx context.Context) {
	ctx, gone := context.WithCancel(ctx)
	defer gone()
	informer := cache.NewSharedIndexInformerWithOptions(b.listed(), &buildRun{}, cache.SharedIndexInformerOptions{
		ObjectDescription: "BuildRun", Indexers: cache.Indexers{byOneName: imageOf},
	})
	refused := false
	err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		switch {
		case apierrors.IsNotFound(err):
			log.FromContext(ctx).Info("the cluster has no BuildRuns any more")
			gone()
		case apierrors.IsForbidden(err) && !refused:
			refused = true
			log.FromContext(ctx).Info("BuildRuns are not followed: the controller may not list and watch buildruns of shipwright.io; give its ClusterRole these rights, as config/rbac/controller.yaml does", "error", err.Error())
		case !apierrors.IsForbidden(err):
			cache.DefaultWatchErrorHandler(ctx, r, err)
		}
		b.areKnown()
	})
	if err == nil {
		err = informer.SetTransform(slim)
	}
	if err == nil {
		_, err = informer.AddEventHandler(b.handler(ctx))
	}
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot follow BuildRuns")
		return
	}
	b.hold(informer.GetIndexer())
	defer b.hold(nil)
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
			log.FromContext(ctx).Info("BuildRuns of Shipwright are followed")
			b.areKnown()
		}
	}()
	informer.RunWithContext(ctx)
}

func (b *builds) hold(store cache.Indexer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.store = store
}

func (b *builds) listed() cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list := &buildRunList{}
			return list, b.runs.List(ctx, list, &client.ListOptions{Raw: &o, Limit: o.Limit, Continue: o.Continue})
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return b.runs.Watch(ctx, &buildRunList{}, &client.ListOptions{Raw: &o})
		},
	}
}

// slim keeps of a BuildRun what made reads: there may be many, and nobody knows how
// large others make them.
func slim(object any) (any, error) {
	run, ok := object.(*buildRun)
	if !ok {
		return object, nil
	}
	run.ObjectMeta = metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name, UID: run.UID, ResourceVersion: run.ResourceVersion}
	for i := range run.Status.Conditions {
		run.Status.Conditions[i].Message = ""
	}
	return run, nil
}

// imageOf is the image that a run made, as an index.
func imageOf(object any) ([]string, error) {
	run, ok := object.(*buildRun)
	if !ok {
		return nil, nil
	}
	m, ok := run.made()
	if !ok {
		return nil, nil
	}
	return []string{m.image}, nil
}

// handler takes what is new. A run that is seen again, as it is after a break, was
// there already.
func (b *builds) handler(ctx context.Context) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, atStart bool) {
			if run, ok := object.(*buildRun); ok {
				b.consider(ctx, run, atStart)
			}
		},
		UpdateFunc: func(before, after any) {
			was, ok := before.(*buildRun)
			is, alsoOK := after.(*buildRun)
			if !ok || !alsoOK {
				return
			}
			if _, done := was.made(); !done || was.UID != is.UID {
				b.consider(ctx, is, false)
			}
		},
	}
}

// consider brings the policies of a run's image forward. Of runs that are there when they
// are first listed, those count that can have pushed after the newest look: a start and
// a cluster full of old runs ask the registries nothing.
func (b *builds) consider(ctx context.Context, run *buildRun, atStart bool) {
	m, ok := run.made()
	if !ok {
		return
	}
	var list v1alpha1.ImagePolicyList
	if err := b.policies.List(ctx, &list, client.MatchingFields{byOneName: m.image}); err != nil {
		log.FromContext(ctx).Error(err, "a BuildRun is left to the schedules", "buildRun", m.run)
		return
	}
	for i := range list.Items {
		policy, now := key(&list.Items[i]), b.now()
		if looked, ever := b.agenda.lookedAt(policy); atStart && (!ever || m.completed.Before(looked.Add(-clocksDiffer))) {
			continue
		}
		b.expect(policy, expected{m, now})
		// What this look finds may be another's: MadeBy says what is this run's.
		if b.agenda.hint(policy, reconcile.BySchedule, now) {
			b.wake.policy(ctx, policy)
		}
	}
}

// lookedAt is when a policy was last looked at.
func (a *agenda) lookedAt(policy types.NamespacedName) (at time.Time, ever bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at = a.known[policy].looked
	return at, !at.IsZero()
}

func (b *builds) expect(policy types.NamespacedName, e expected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.expected[policy]
	b.expected[policy] = append(all[max(0, len(all)-maxExpected+1):], e)
}

func (b *builds) forget(policy types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.expected, policy)
}

// MadeBy implements reconcile.Makers. It names the run that told this digest, best one
// that told the tag too. One that told no digest has made what its tag stood for at the
// first look after it.
func (b *builds) MadeBy(policy, image string, selected reconcile.TagDigest, asked time.Time) (reconcile.Build, bool) {
	var best made
	for _, m := range b.candidates(policy, image, asked) {
		fits := m.digest == selected.Digest || m.digest == "" && m.tag == selected.Tag
		exact, better := m.tag == selected.Tag, best.tag == selected.Tag
		if fits && (best.image == "" || exact && !better || exact == better && m.completed.After(best.completed)) {
			best = m
		}
	}
	return best.is(), best.image != ""
}

// candidates are the builds of an image that told a digest, and those that the policy
// expects and that an answer can be about.
func (b *builds) candidates(policy, image string, asked time.Time) []made {
	one, err := registry.Canonical(image)
	if err != nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []made
	if b.store != nil {
		objects, _ := b.store.ByIndex(byOneName, one) // It fails without the index alone.
		for _, object := range objects {
			if run, ok := object.(*buildRun); ok {
				if m, ok := run.made(); ok && m.digest != "" {
					all = append(all, m)
				}
			}
		}
	}
	namespace, name, _ := strings.Cut(policy, "/")
	for _, e := range b.expected[types.NamespacedName{Namespace: namespace, Name: name}] {
		if e.image == one && !e.since.After(asked) {
			all = append(all, e.made)
		}
	}
	return all
}

// compare says where the registry has something else than the builds told that a policy
// was looked at for. What is no answer to them leaves them for the next look.
func (b *builds) compare(ctx, turn context.Context, policy *v1alpha1.ImagePolicy, asked time.Time) {
	b.mu.Lock()
	all := b.expected[key(policy)]
	delete(b.expected, key(policy))
	b.mu.Unlock()
	name, err := registry.Canonical(policy.Spec.Image)
	for _, e := range all {
		if err != nil || name != e.image {
			continue // The policy has another image by now.
		}
		served, sure := "", false
		if !e.since.After(asked) {
			served, sure = b.resolutions.Serves(turn, policy, e.tag)
		}
		if !sure {
			b.expect(key(policy), e)
		} else if wrong := e.wrong(served); wrong != "" {
			happened{corev1.EventTypeWarning, "BuildDiffers", "Resolve", clipEvent(wrong)}.tell(ctx, b.recorder, policy)
		}
	}
}
