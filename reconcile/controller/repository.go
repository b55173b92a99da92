// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/credentials"
)

const (
	// defaultLook is how often the tip of a branch is looked up while nothing else
	// happens: somebody may have undone something, or put a marker.
	defaultLook = 30 * time.Second
	// firstRetry doubles with each failure in a row up to lastRetry.
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// newsRetry is the least between two tries of which news brings the second forward.
	newsRetry = 30 * time.Second
	// timeToTell bounds how long a process that is to end stays for the status.
	timeToTell = 10 * time.Second
)

// repositoryReconciler runs the passes of repositories, and writes their status.
type repositoryReconciler struct {
	client       client.Client
	getter       credentials.Getter
	live         client.Reader
	statuses     statuses[v1alpha1.ManifestRepositoryStatus]
	repositories *repositories
	crowds       *crowds // at Git servers
	gates        *gates
	resolutions  *reconcile.Resolutions
	board        *board
	wake         *wake
	metrics      *metrics
	recorder     events.EventRecorder
	plainHTTP    func(hostport string) bool
	suspended    bool
	lookEvery    time.Duration
	now          func() time.Time
}

// Reconcile implements reconcile.Reconciler of controller-runtime.
func (r *repositoryReconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	defer unlessEnded(ctx, &err)
	stays := false
	defer func() {
		if !stays {
			r.call(ctx, r.crowds.stayAway(req.NamespacedName))
		}
	}()
	repository := &v1alpha1.ManifestRepository{}
	err = r.statuses.get(ctx, r.client, r.live, req.NamespacedName, repository, &repository.Status)
	if apierrors.IsNotFound(err) || err == nil && repository.DeletionTimestamp != nil {
		r.forget(ctx, req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if why := refusal(repository, r.plainHTTP, ToWrite); why.reason != "" {
		r.repositories.forget(key(repository))
		if err := r.failed(ctx, repository); err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, r.patch(ctx, repository, stalled(repository, why, r.now()))
	}
	granted := Granted{r.client, repository}
	auth, err := credentials.Git(ctx, r.getter, repository.Namespace, repository.Spec.URL, repository.Spec.Credentials)
	if err != nil {
		return r.fail(ctx, repository, nil, err)
	}
	signer, err := credentials.Signing(ctx, r.getter, repository.Namespace, repository.Spec.Commit.Signing, r.repositories.signer(repository))
	if err != nil {
		return r.fail(ctx, repository, nil, err)
	}
	work, err := r.repositories.open(repository, granted, auth, signer, r.now())
	if err != nil {
		return r.fail(ctx, repository, nil, err)
	}
	wait, err := r.wait(ctx, work, granted)
	if err != nil || wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	stays = true
	server := serverOf(repository.Spec.URL)
	in, called := r.crowds.enter(key(repository), server)
	r.call(ctx, called)
	if !in {
		return ctrl.Result{RequeueAfter: roomAfter}, nil
	}
	defer func() { r.call(ctx, r.crowds.leave(key(repository), server)) }()
	return r.pass(ctx, repository, work)
}

// call wakes those whose turn it is.
func (r *repositoryReconciler) call(ctx context.Context, repositories []types.NamespacedName) {
	for _, name := range repositories {
		send(ctx, r.wake.repositories, name)
	}
}

func (r *repositoryReconciler) forget(ctx context.Context, repository types.NamespacedName) {
	r.repositories.forget(repository)
	r.statuses.forget(repository)
	r.gates.forget(repository)
	r.metrics.forgetRepository(repository)
	for _, policy := range r.board.drop(repository) {
		r.wake.policy(ctx, policy)
	}
}

// wait is how long the pass has to wait: for what else comes, and at the beginning for
// the first answers of the registries, so that a new fleet is one push; and after a
// failure for the next try.
func (r *repositoryReconciler) wait(ctx context.Context, work *opened, granted Granted) (time.Duration, error) {
	now := r.now()
	if left := r.untilRetry(work, granted, now); left > 0 {
		return left, nil
	}
	if left := work.since.Add(LongestWait).Sub(now); !work.passed && left > 0 {
		missing, err := unresolved(ctx, granted, r.resolutions)
		if err != nil || missing > 0 {
			return left, err
		}
	}
	if !work.passed {
		return 0, nil
	}
	return r.gates.of(key(granted.Repository)).wait(now), nil
}

// untilRetry is how long it is to the next try after a failure. News brings it forward,
// but the server that failed is not asked for each.
func (r *repositoryReconciler) untilRetry(work *opened, granted Granted, now time.Time) time.Duration {
	next := work.retry
	if soon := work.tried.Add(max(newsRetry, work.asked)); soon.Before(next) && r.gates.of(key(granted.Repository)).waits() {
		next = soon
	}
	return next.Sub(now)
}

// pass does the work and tells of it.
func (r *repositoryReconciler) pass(ctx context.Context, repository *v1alpha1.ManifestRepository, work *opened) (ctrl.Result, error) {
	unlock, err := r.repositories.lock(ctx, repository.Spec)
	if err != nil {
		return ctrl.Result{}, err
	}
	defer unlock()
	now := &v1alpha1.ManifestRepository{}
	if err := r.client.Get(ctx, key(repository), now); err != nil || now.UID != repository.UID || now.Generation != repository.Generation || now.DeletionTimestamp != nil {
		// It was changed, or deleted, while it waited for its turn.
		return ctrl.Result{RequeueAfter: time.Millisecond}, client.IgnoreNotFound(err)
	}
	repository = now // Its annotations may be newer.
	pace, err := PaceOf(repository, r.now())
	if err != nil {
		return r.fail(ctx, repository, work, err)
	}
	work.engine.Keep(pace)
	r.gates.of(key(repository)).pass(r.now())
	begun := r.now()
	do := work.engine.Sync
	if r.suspended || repository.Spec.Suspend {
		do = work.engine.Plan
	}
	report, err := do(ctx)
	if err != nil {
		return r.fail(ctx, repository, work, err)
	}
	if len(report.Commits) > 0 {
		// What was pushed is told of, also where the process is to end.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), timeToTell)
		defer cancel()
	}
	r.metrics.passed(repository, report, r.now().Sub(begun))
	r.written(ctx, repository, report)
	if err := r.recall(ctx, work, report); err != nil {
		return r.fail(ctx, repository, work, err)
	}
	work.passed, work.failures, work.asked, work.retry = true, 0, 0, time.Time{}
	for _, policy := range r.board.post(key(repository), r.outcomes(repository, work, report)) {
		r.wake.policy(ctx, policy)
	}
	report.Problems = append(report.Problems, r.rivals(ctx, repository)...)
	status := passedStatus(repository, report, work.memories, r.suspended, r.now())
	return ctrl.Result{RequeueAfter: r.lookEvery}, r.patch(ctx, repository, status)
}

// recall reads what Git remembers of the policies, where that can have changed.
func (r *repositoryReconciler) recall(ctx context.Context, work *opened, report *reconcile.Report) error {
	var names []string
	for _, p := range report.Policies {
		if len(p.Fields) > 0 {
			names = append(names, p.Namespace+"/"+p.Name)
		}
	}
	if work.head == report.Head && slices.Equal(work.names, names) {
		return nil
	}
	memories, err := work.engine.Recall(ctx, names)
	if err != nil {
		return err
	}
	work.head, work.names, work.memories = report.Head, names, memories
	return nil
}

// outcomes are by policy. Those that the pass left out, for want of an answer from
// their registry, stay as they were.
func (r *repositoryReconciler) outcomes(repository *v1alpha1.ManifestRepository, work *opened, report *reconcile.Report) map[types.NamespacedName]outcome {
	found := map[types.NamespacedName]outcome{}
	for name, was := range r.board.all(key(repository)) {
		if work.listing.listed[name] {
			found[name] = was
		}
	}
	for _, p := range report.Settled {
		found[types.NamespacedName{Namespace: p.Namespace, Name: p.Name}] = outcome{p, work.memories[p.Namespace+"/"+p.Name]}
	}
	return found
}

// written tells of what was pushed.
func (r *repositoryReconciler) written(ctx context.Context, repository *v1alpha1.ManifestRepository, report *reconcile.Report) {
	var commits []string
	for _, c := range report.Commits {
		if c.SHA != "" {
			commits = append(commits, fmt.Sprintf("%s (%s)", c.Subject, short(c.SHA)))
		}
	}
	if len(commits) > 0 {
		// One event: of several with one reason, the API's clients keep the first note.
		pushed := happened{corev1.EventTypeNormal, "Pushed", "Push", clipEvent(strings.Join(commits, "; "))}
		if repository.Spec.Mode == v1alpha1.ModePullRequest {
			pushed.reason, pushed.action = "Proposed", "Propose"
		}
		pushed.tell(ctx, r.recorder, repository)
	}
	for _, p := range report.Policies {
		if p.Reason != reconcile.Updated || p.Selected == nil {
			continue
		}
		policy := &v1alpha1.ImagePolicy{}
		if r.client.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: p.Name}, policy) != nil {
			continue
		}
		if known, ok := r.resolutions.Of(policy); ok {
			seen := known.FirstSeen
			if at := firstSeen(policy.Status)[p.Selected.Digest]; at != nil && at.Time.Before(seen) {
				seen = at.Time
			}
			r.metrics.toCommit(r.now().Sub(seen))
		}
	}
}

// rivals are other objects through which the same policies write the same files.
func (r *repositoryReconciler) rivals(ctx context.Context, repository *v1alpha1.ManifestRepository) []reconcile.Problem {
	var list v1alpha1.ManifestRepositoryList
	if err := r.client.List(ctx, &list); err != nil {
		return nil
	}
	var problems []reconcile.Problem
	for i := range list.Items {
		other := &list.Items[i]
		if key(other) == key(repository) || sameURL(other.Spec.URL) != sameURL(repository.Spec.URL) || r.repositories.branch(other) != r.repositories.branch(repository) {
			continue
		}
		path, both := overlap(repository.Spec.Paths, other.Spec.Paths)
		if !both {
			continue
		}
		var shared []string
		theirs := r.board.all(key(other))
		for name, is := range r.board.all(key(repository)) {
			if _, there := theirs[name]; there && len(is.Fields) > 0 {
				shared = append(shared, name.String())
			}
		}
		if slices.Sort(shared); len(shared) > 0 {
			const listed = 5
			problems = append(problems, reconcile.Problem{Message: fmt.Sprintf("%s may also be written through ManifestRepository %s, by %s: let only one of the two have it in spec.paths",
				path, key(other), strings.Join(shared[:min(listed, len(shared))], ", "))})
		}
	}
	slices.SortFunc(problems, func(a, b reconcile.Problem) int { return strings.Compare(a.Message, b.Message) })
	return problems
}

// fail tells of what went wrong, and when it is tried again. What was known stays.
func (r *repositoryReconciler) fail(ctx context.Context, repository *v1alpha1.ManifestRepository, work *opened, err error) (ctrl.Result, error) {
	if ctx.Err() != nil {
		return ctrl.Result{}, ctx.Err()
	}
	retry := r.lookEvery
	if work != nil {
		retry = work.failing(err, repository.Generation, r.now())
	}
	r.metrics.failed(repository)
	if err := r.failed(ctx, repository); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: retry}, r.patch(ctx, repository, failedStatus(repository, err, r.now()))
}

// failed lets policies have a status although the repository has none to tell.
func (r *repositoryReconciler) failed(ctx context.Context, repository *v1alpha1.ManifestRepository) error {
	if !r.board.fail(key(repository)) {
		return nil
	}
	policies, err := Granted{r.client, repository}.Policies(ctx)
	for _, p := range policies {
		r.wake.policy(ctx, key(p))
	}
	return err
}

func (r *repositoryReconciler) patch(ctx context.Context, repository *v1alpha1.ManifestRepository, status v1alpha1.ManifestRepositoryStatus) error {
	r.metrics.repository(repository, status)
	if sameStatus(repository.Status, status) {
		return nil
	}
	before := repository.DeepCopy()
	repository.Status = status
	err := r.client.Status().Patch(ctx, repository, client.MergeFrom(before))
	r.statuses.note(key(repository), repository.Status)
	if err != nil {
		return client.IgnoreNotFound(fmt.Errorf("cannot write the status of ManifestRepository %s: %w", key(repository), err))
	}
	for _, e := range repositoryEvents(before.Status, status) {
		e.tell(ctx, r.recorder, repository)
	}
	return nil
}

func short(commit string) string { return commit[:min(len(commit), 9)] }
