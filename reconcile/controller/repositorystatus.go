// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/credentials"
)

// The reasons of a repository's conditions, besides those of credentials and Git.
const (
	reasonSynced      = "Synced"
	reasonProblems    = "Problems"
	reasonSuspended   = "Suspended"
	reasonUnsupported = "Unsupported"
	reasonPlainHTTP   = "PlainHTTPRefused"
	reasonFailed      = "Failed"
)

const maxProblems = 50

// gitHints say what to do in a cluster, where there are no flags.
var gitHints = map[mirror.Kind]string{
	mirror.NotFound: "check spec.url, and that the credentials may see it", mirror.NoBranch: "check spec.branch, or push a first commit there",
	mirror.Unauthorized: "check the Secret that spec.credentials names",
}

// gitReasons name the kinds of Git's errors.
var gitReasons = map[mirror.Kind]string{
	mirror.Unreachable: "GitUnreachable", mirror.NotFound: "RepositoryNotFound", mirror.NoBranch: "NoBranch",
	mirror.Unauthorized: "GitUnauthorized", mirror.Forbidden: "GitForbidden", mirror.Rejected: "PushRejected",
	mirror.Shallow: "Shallow", mirror.Limit: "TooLarge",
	mirror.HostKeyUnknown: "HostKeyUnknown", mirror.HostKeyChanged: "HostKeyChanged",
}

// forgeReasons name the reasons of a forge's errors.
var forgeReasons = map[forge.Reason]string{
	forge.Unreachable: "ForgeUnreachable", forge.Unauthorized: "ForgeUnauthorized", forge.Forbidden: "ForgeForbidden",
	forge.NotFound: "ForgeNotFound", forge.TooMany: "ForgeLimited", forge.Refused: "ForgeRefused", forge.Limit: "TooManyRequests",
}

// refused is why a repository can't be used as its spec is.
type refused struct{ reason, message string }

// Purpose is what a repository is to be used for.
type Purpose int

// The purposes.
const (
	ToRead Purpose = iota
	// ToRollBack one policy, which waits for nothing: windows and pace do not count.
	ToRollBack
	ToWrite
)

// Refusal says why a repository can't be used as its spec is; nil where it can.
// plainHTTP are the hosts that may be spoken to without TLS.
func Refusal(repository *v1alpha1.ManifestRepository, plainHTTP []string, purpose Purpose) error {
	if why := refusal(repository, plainHosts(plainHTTP), purpose); why.reason != "" {
		return errors.New(why.message)
	}
	return nil
}

// refusal finds what a spec asks for and can't be had. To write all the same, without
// it, would be a wrong write.
func refusal(repository *v1alpha1.ManifestRepository, plainHTTP func(hostport string) bool, purpose Purpose) refused {
	for _, wrong := range document.CheckRepository(repository) {
		return refused{reasonInvalid, wrong.Field + ": " + wrong.Message}
	}
	spec := repository.Spec
	if u, err := url.Parse(spec.URL); err == nil && u.Scheme == "http" && !plainHTTP(u.Host) {
		return refused{reasonPlainHTTP, fmt.Sprintf("spec.url: plain HTTP to %s is not allowed: use https, or allow it with --plain-http %s", u.Host, u.Host)}
	}
	if why := requestsRefusal(spec); why != "" && purpose == ToWrite {
		return refused{reasonUnsupported, why}
	}
	if _, err := Commits(spec.Commit); err != nil {
		return refused{reasonInvalid, err.Error()}
	}
	return refused{}
}

// plainHosts tells whether the operator named a host for plain HTTP, as HOST for each
// of its ports or as HOST:PORT.
func plainHosts(named []string) func(hostport string) bool {
	return func(hostport string) bool {
		hostport = strings.ToLower(hostport)
		host, _, err := net.SplitHostPort(hostport)
		return slices.ContainsFunc(named, func(n string) bool {
			n = strings.ToLower(n)
			return n == hostport || err == nil && strings.Trim(n, "[]") == host
		})
	}
}

// conditions sets one after the other, with the time of those that change.
type conditions struct {
	all        *[]metav1.Condition
	generation int64
	now        time.Time
}

func (c conditions) set(kind string, status bool, reason, message string) {
	condition := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: clip(steady(message)), ObservedGeneration: c.generation, LastTransitionTime: metav1.NewTime(c.now)}
	if status {
		condition.Status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(c.all, condition)
}

func (c conditions) remove(kind string) { meta.RemoveStatusCondition(c.all, kind) }

// stalled is the status of a repository that waits for another spec.
func stalled(repository *v1alpha1.ManifestRepository, why refused, now time.Time) v1alpha1.ManifestRepositoryStatus {
	s := *repository.Status.DeepCopy()
	s.ObservedGeneration = repository.Generation
	c := conditions{&s.Conditions, repository.Generation, now}
	c.set(v1alpha1.ConditionReady, false, why.reason, why.message)
	c.set(v1alpha1.ConditionWritten, false, why.reason, why.message)
	c.set(v1alpha1.ConditionStalled, true, why.reason, why.message)
	return s
}

// failedStatus is the status after a pass that could not be made. What was known of
// Git stays.
func failedStatus(repository *v1alpha1.ManifestRepository, err error, now time.Time) v1alpha1.ManifestRepositoryStatus {
	s := *repository.Status.DeepCopy()
	s.ObservedGeneration = repository.Generation
	reason, message := explain(err)
	c := conditions{&s.Conditions, repository.Generation, now}
	c.set(v1alpha1.ConditionReady, false, reason, message)
	c.set(v1alpha1.ConditionWritten, false, reason, message)
	c.remove(v1alpha1.ConditionStalled)
	return s
}

func explain(err error) (reason, message string) {
	if secret, ok := errors.AsType[*credentials.Error](err); ok {
		return secret.Kind + string(secret.Reason), secret.Error()
	}
	if git, ok := errors.AsType[*mirror.Error](err); ok {
		told := *git
		told.Hint = cmp.Or(gitHints[git.Kind], git.Hint)
		return gitReasons[git.Kind], told.Error()
	}
	if at, ok := errors.AsType[*forge.Error](err); ok {
		return forgeReasons[at.Kind], at.Error()
	}
	return reasonFailed, err.Error()
}

// lastPush is Pintle's newest push: the one that was just made, the one that the status
// has, or what Git remembers of one that a process did not live to tell of.
func lastPush(known *v1alpha1.Push, report *reconcile.Report, memories map[string]reconcile.Memory, now time.Time) *v1alpha1.Push {
	pushed := int32(0)
	for _, c := range report.Commits {
		if c.SHA != "" {
			pushed++
			known = &v1alpha1.Push{Commit: c.SHA, Time: metav1.NewTime(now.Truncate(time.Second)), Commits: pushed}
		}
	}
	for _, m := range memories {
		if len(m.Revisions) == 0 {
			continue
		}
		newest, older := m.Revisions[0], m.Revisions[1:]
		at := parseTime(newest.Time)
		later := func() bool {
			return known.Time.Before(at) || slices.ContainsFunc(older, func(r reconcile.Revision) bool { return r.Commit == known.Commit })
		}
		if at != nil && (known == nil || later()) {
			known = &v1alpha1.Push{Commit: newest.Commit, Time: *at}
		}
	}
	return known
}

// passedStatus is the status after a pass.
func passedStatus(repository *v1alpha1.ManifestRepository, report *reconcile.Report, memories map[string]reconcile.Memory, suspended bool, now time.Time) v1alpha1.ManifestRepositoryStatus {
	s := *repository.Status.DeepCopy()
	s.ObservedGeneration, s.Head = repository.Generation, report.Head
	s.LastPush = lastPush(s.LastPush, report, memories, now)
	s.Counts = counts(report)
	s.Problems = nil
	for _, p := range report.Problems[:min(maxProblems, len(report.Problems))] {
		s.Problems = append(s.Problems, v1alpha1.Problem{File: clip(p.File), Line: int32(min(p.Line, 1<<30)), Message: clip(p.Message)}) //nolint:gosec // bounded
	}
	c := conditions{&s.Conditions, repository.Generation, now}
	c.remove(v1alpha1.ConditionStalled)
	stops := suspended || repository.Spec.Suspend
	c.written(report, suspended, stops)
	switch {
	case stops:
		c.set(v1alpha1.ConditionReady, true, reasonSuspended, "nothing is written while it is suspended")
	case len(report.Problems) > 0:
		c.set(v1alpha1.ConditionReady, true, reasonProblems, problemsWords(report.Problems))
	default:
		c.set(v1alpha1.ConditionReady, true, reasonSynced, fmt.Sprintf("%d policies with %d fields are looked after", s.Counts.Policies, s.Counts.Fields))
	}
	return s
}

// written says whether all that is due stands in Git.
func (c conditions) written(report *reconcile.Report, suspended, stops bool) {
	waiting, proposed, later := 0, 0, ""
	for _, p := range report.Settled {
		if p.Reason == reconcile.Due || p.Reason == reconcile.WindowClosed {
			waiting++
			later = cmp.Or(later, p.Namespace+"/"+p.Name+" "+p.Message)
		}
		if p.Reason == reconcile.Proposed {
			proposed++
		}
	}
	switch {
	case suspended:
		c.set(v1alpha1.ConditionWritten, waiting == 0, reasonSuspended, fmt.Sprintf("the controller is suspended (--suspend): %d policies wait", waiting))
	case stops:
		c.set(v1alpha1.ConditionWritten, waiting == 0, reasonSuspended, fmt.Sprintf("spec.suspend is true: %d policies wait", waiting))
	case waiting > 0:
		c.set(v1alpha1.ConditionWritten, false, string(reconcile.WindowClosed), fmt.Sprintf("%d policies wait: %s", waiting, later))
	case proposed > 0:
		c.set(v1alpha1.ConditionWritten, false, string(reconcile.Proposed), fmt.Sprintf("%d policies wait for pull requests to be merged", proposed))
	default:
		c.set(v1alpha1.ConditionWritten, true, reasonSynced, "all that is due is written")
	}
}

func problemsWords(problems []reconcile.Problem) string {
	first := problems[0]
	place := ""
	if first.File != "" {
		place = fmt.Sprintf("%s:%d: ", first.File, first.Line)
	}
	if len(problems) == 1 {
		return place + first.Message
	}
	return fmt.Sprintf("%d problems, the first: %s%s", len(problems), place, first.Message)
}

func counts(report *reconcile.Report) *v1alpha1.Counts {
	c := &v1alpha1.Counts{Problems: int32(min(len(report.Problems), 1<<30))}
	for _, p := range report.Settled {
		if len(p.Fields) > 0 {
			c.Policies++
			c.Fields += int32(min(len(p.Fields), 1<<20))
		}
		if held(p.Reason) {
			c.Held++
		}
	}
	return c
}

// ends are the two ends of a connection, of which the near one is another each time.
var ends = regexp.MustCompile(`\S+:\d+->`)

// steady takes out of a message what changes although nothing does.
func steady(message string) string { return ends.ReplaceAllString(message, "") }
