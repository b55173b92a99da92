// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	engine "github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
	"github.com/pintle-dev/pintle/registry/events"
)

// Options of the controllers.
type Options struct {
	// PlainHTTP lists the hosts, HOST or HOST:PORT, of registries and Git servers that
	// are spoken to without TLS.
	PlainHTTP []string
	// Asking is how registries are asked, besides PlainHTTP, Limits and the logins that
	// policies name.
	Asking registry.Options
	// Quiet is how long a repository gathers changes after a push.
	Quiet time.Duration
	// LookEvery is how often the tip of an idle repository is looked up; 0 is 30 s.
	LookEvery time.Duration
	// FindBuilds is how often it is asked whether the cluster has BuildRuns; 0 is 1 min.
	FindBuilds time.Duration
	// Hints of events are taken from here; nil where none can come.
	Hints *events.Inbox
	// Receiver is where they come from, to count what it answers; nil without one.
	Receiver *events.Receiver
	// Limits bound what registries are asked; nil is the usual.
	Limits *registry.Limits
	// Suspend stops all writing to Git.
	Suspend bool
	// CacheDir is a folder that keeps what is read of repositories for the next process;
	// empty for none.
	CacheDir string
	// Metrics registers what is counted.
	Metrics prometheus.Registerer
}

const (
	// policiesAtOnce and repositoriesAtOnce bound what runs side by side.
	policiesAtOnce     = 256
	repositoriesAtOnce = 32
	// perRegistry and perServer are how many of them may be about one host.
	perRegistry = 8
	perServer   = 4
	// policiesOfNamespace and repositoriesOfNamespace are how many of them may be of one
	// namespace, whatever hosts they name: the rest is for others.
	policiesOfNamespace     = 32
	repositoriesOfNamespace = 8
)

// Add adds the controllers to a manager, whose scheme must have the types of
// v1alpha1.
func Add(mgr manager.Manager, o Options) error {
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return fmt.Errorf("cannot register metrics: %w", err)
	}
	asking := o.Asking
	asking.PlainHTTP, asking.Limits, asking.Observe, asking.InCluster = o.PlainHTTP, o.Limits, m.request, true
	resolutions := engine.NewResolutions()
	resolutions.Asking = asking
	repositories, err := newRepositories(o.PlainHTTP, resolutions)
	if err != nil {
		return err
	}
	repositories.config.CacheDir = o.CacheDir
	repositories.config.Warn = func(err error) { mgr.GetLogger().Error(err, "The cache is not used") }
	gates, board := newGates(o.Quiet), newBoard()
	wake := newWake(gates, time.Now)
	policies := &policyReconciler{
		client: mgr.GetClient(), live: mgr.GetAPIReader(),
		accounts: newAccounts(mgr.GetAPIReader(), asking),
		agenda:   newAgenda(), turns: newTurns(longestLook), resolutions: resolutions, board: board, wake: wake, metrics: m,
		recorder: mgr.GetEventRecorder("pintle"), suspended: o.Suspend, now: time.Now,
	}
	if policies.builds, err = newBuilds(mgr, cmp.Or(o.FindBuilds, findBuilds), policies.agenda, wake, resolutions); err != nil {
		return fmt.Errorf("cannot set up what follows builds: %w", err)
	}
	policies.trigger = newTrigger(mgr.GetClient(), policies.builds.runs, o.Suspend)
	if err := policies.add(mgr); err != nil {
		return fmt.Errorf("cannot set up the controller of policies: %w", err)
	}
	if o.Receiver != nil {
		o.Receiver.Observe(m.event)
	}
	if o.Hints != nil {
		if err := mgr.Add(&hints{inbox: o.Hints, client: mgr.GetClient(), agenda: policies.agenda, wake: wake, now: time.Now}); err != nil {
			return fmt.Errorf("cannot set up the reader of events: %w", err)
		}
	}
	writes := &repositoryReconciler{
		client: mgr.GetClient(), getter: mgr.GetAPIReader(), live: mgr.GetAPIReader(), repositories: repositories, crowds: newCrowds(perServer, repositoriesOfNamespace), gates: gates, resolutions: resolutions,
		board: board, wake: wake, metrics: m, recorder: mgr.GetEventRecorder("pintle"),
		plainHTTP: plainHosts(o.PlainHTTP), suspended: o.Suspend, lookEvery: cmp.Or(o.LookEvery, defaultLook), now: time.Now,
	}
	if err := writes.add(mgr); err != nil {
		return fmt.Errorf("cannot set up the controller of repositories: %w", err)
	}
	return nil
}

func (r *policyReconciler) add(mgr manager.Manager) error {
	index := func(o client.Object) []string {
		if p, ok := o.(*v1alpha1.ImagePolicy); ok {
			return []string{p.Spec.Image}
		}
		return nil
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.ImagePolicy{}, byImage, index); err != nil {
		return err
	}
	asked := predicate.NewPredicateFuncs(func(client.Object) bool { return true })
	asked.UpdateFunc = func(e event.UpdateEvent) bool {
		changed := e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || e.ObjectOld.GetUID() != e.ObjectNew.GetUID() ||
			e.ObjectNew.GetDeletionTimestamp() != nil
		if changed {
			r.turns.stop(key(e.ObjectNew))
		}
		return changed || e.ObjectOld.GetAnnotations()[v1alpha1.RefreshAnnotation] != e.ObjectNew.GetAnnotations()[v1alpha1.RefreshAnnotation]
	}
	asked.DeleteFunc = func(e event.DeleteEvent) bool {
		r.turns.stop(key(e.Object))
		return true
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("imagepolicy").
		For(&v1alpha1.ImagePolicy{}, builder.WithPredicates(asked)).
		WatchesRawSource(source.TypedChannel(r.wake.policies, byName)).
		WithOptions(options(policiesAtOnce)).
		Complete(r)
}

func (r *repositoryReconciler) add(mgr manager.Manager) error {
	freezes := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		was, frozen := e.ObjectOld.GetAnnotations()[v1alpha1.FreezeAnnotation]
		is, freezes := e.ObjectNew.GetAnnotations()[v1alpha1.FreezeAnnotation]
		return frozen != freezes || was != is
	}}
	return ctrl.NewControllerManagedBy(mgr).
		Named("manifestrepository").
		For(&v1alpha1.ManifestRepository{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, freezes))).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.bySelector), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WatchesRawSource(source.TypedChannel(r.wake.repositories, byName)).
		WithOptions(options(repositoriesAtOnce)).
		Complete(r)
}

// unlessEnded takes back an error where the process ends: what is called off is none.
func unlessEnded(ctx context.Context, err *error) {
	if ctx.Err() != nil {
		*err = nil
	}
}

// byName puts names of objects into the queue.
var byName = handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
	GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		q.Add(reconcile.Request{NamespacedName: e.Object})
	},
}

// options bound how soon and how often something is tried again that fails: mostly a write
// of a status while the API server is away, which is to be made up for when it is back.
func options(atOnce int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: atOnce,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, 30*time.Second),
	}
}

// bySelector are the repositories whose grant depends on the labels of namespaces.
func (r *repositoryReconciler) bySelector(ctx context.Context, _ client.Object) []reconcile.Request {
	var list v1alpha1.ManifestRepositoryList
	if err := r.client.List(ctx, &list); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if list.Items[i].Spec.Policies.Namespaces.From == v1alpha1.FromSelector {
			requests = append(requests, reconcile.Request{NamespacedName: key(&list.Items[i])})
		}
	}
	return requests
}
