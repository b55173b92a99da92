// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/credentials"
)

func repositoryOf(change ...func(*v1alpha1.ManifestRepositorySpec)) *v1alpha1.ManifestRepository {
	r := &v1alpha1.ManifestRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "fleet", UID: "uid", Generation: 2}}
	r.Spec.URL = "https://git.example.com/acme/fleet.git"
	for _, c := range change {
		c(&r.Spec)
	}
	return r
}

// What can't be had is refused, and what concerns only updates does not keep a person
// from reading or from going back.
func TestRefusal(t *testing.T) {
	type spec = v1alpha1.ManifestRepositorySpec
	const never = ToWrite + 1
	for title, test := range map[string]struct {
		change  func(*spec)
		from    Purpose // refused for this and what is more
		reason  string
		message string
	}{
		"plain":      {func(*spec) {}, never, "", ""},
		"push":       {func(s *spec) { s.Mode, s.Commit.Grouping = v1alpha1.ModePush, v1alpha1.GroupingImage }, never, "", ""},
		"ssh":        {func(s *spec) { s.URL = "ssh://git@example.com/fleet.git" }, never, "", ""},
		"scp":        {func(s *spec) { s.URL = "git@example.com:acme/fleet.git" }, never, "", ""},
		"plain HTTP": {func(s *spec) { s.URL = "http://other.example.com/fleet" }, ToRead, "PlainHTTPRefused", "--plain-http other.example.com"},
		"allowed":    {func(s *spec) { s.URL = "http://plain.example.com:8080/fleet" }, never, "", ""},
		"a forge unknown": {func(s *spec) { s.Mode = v1alpha1.ModePullRequest }, ToWrite, "Unsupported",
			"spec.pullRequest.forge: it is not known whose API git.example.com speaks: set it to GitHub, GitLab or Gitea"},
		"a forge without a login": {func(s *spec) { s.Mode, s.PullRequest = v1alpha1.ModePullRequest, &v1alpha1.PullRequest{Forge: "Gitea"} }, ToWrite, "Unsupported",
			"spec.credentials: pull requests can't be opened without a login"},
		"a forge": {func(s *spec) {
			s.Mode, s.URL, s.Credentials = v1alpha1.ModePullRequest, "https://codeberg.org/acme/fleet", &v1alpha1.GitCredentials{}
		}, never, "", ""},
		"pace":     {func(s *spec) { s.MaxPerPush = 1 }, never, "", ""},
		"template": {func(s *spec) { s.Commit.MessageTemplate = "{{template `x`}}" }, ToRead, "InvalidSpec", "spec.commit.messageTemplate: the template calls a template"},
		"window":   {func(s *spec) { s.Windows = []v1alpha1.Window{{Schedule: "0 9 * * *", TimeZone: "UTC"}} }, never, "", ""},
		"a window's schedule": {func(s *spec) { s.Windows = []v1alpha1.Window{{Schedule: "0 9 * *", TimeZone: "UTC"}} }, ToRead, "InvalidSpec",
			"spec.windows[0].schedule: "},
		"a window's zone": {func(s *spec) { s.Windows = []v1alpha1.Window{{Schedule: "0 9 * * *", TimeZone: "Mars/Base"}} }, ToRead, "InvalidSpec",
			`spec.windows[0].timeZone: "Mars/Base" is no time zone`},
		"selector": {func(s *spec) {
			s.Policies.Namespaces = v1alpha1.NamespaceGrant{From: v1alpha1.FromSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "not a value!"}}}
		}, ToRead, "InvalidSpec", "spec.policies.namespaces.selector: "},
	} {
		hosts := []string{"plain.example.com"}
		for purpose := ToRead; purpose <= ToWrite; purpose++ {
			got := refusal(repositoryOf(test.change), plainHosts(hosts), purpose)
			err := Refusal(repositoryOf(test.change), hosts, purpose)
			switch {
			case purpose < test.from && (got != refused{} || err != nil):
				t.Errorf("%s, purpose %d: refused with %v, %v", title, purpose, got, err)
			case purpose >= test.from && (got.reason != test.reason || !strings.Contains(got.message, test.message) || err == nil || err.Error() != got.message):
				t.Errorf("%s, purpose %d: %v, %v; want %s with %q", title, purpose, got, err, test.reason, test.message)
			}
		}
	}
}

func TestPlainHosts(t *testing.T) {
	plain := plainHosts([]string{"Git.example.com", "other.example.com:8080", "[::1]"})
	for host, want := range map[string]bool{
		"git.example.com": true, "git.example.com:3000": true, "GIT.example.com": true, "x.git.example.com": false,
		"other.example.com": false, "other.example.com:8080": true, "other.example.com:80": false, "[::1]:3000": true, "": false,
	} {
		if got := plain(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}

func TestSameURL(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"https://git.example.com/acme/fleet.git", "https://Git.Example.com/acme/fleet/", true},
		{"https://git.example.com/acme/fleet", "http://git.example.com/acme/fleet.git", true},
		{"https://token@git.example.com/acme/fleet", "https://git.example.com/acme/fleet", true},
		{"https://git.example.com/acme/fleet", "https://git.example.com/acme/fleet2", false},
		{"git@git.example.com:acme/fleet.git", "ssh://git@git.example.com/acme/fleet", true},
		{"git@git.example.com:acme/fleet.git", "https://git.example.com/acme/fleet", true},
		{"git@git.example.com:acme/fleet.git", "git@other.example.com:acme/fleet.git", false},
		{"https://git.example.com/acme/fleet", "https://git.example.com:8443/acme/fleet", false},
		{"https://git.example.com/acme/fleet", "https://other.example.com/acme/fleet", false},
	} {
		if got := sameURL(test.a) == sameURL(test.b); got != test.want {
			t.Errorf("%s and %s: %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, test := range []struct {
		a, b   []string
		shared string
		want   bool
	}{
		{nil, nil, "the whole repository", true},
		{nil, []string{"apps"}, "apps", true},
		{[]string{"apps", "infra"}, nil, "apps, infra", true},
		{[]string{"apps"}, []string{"apps"}, "apps", true},
		{[]string{"apps"}, []string{"apps/prod/"}, "apps/prod", true},
		{[]string{"./apps/prod"}, []string{"apps"}, "apps/prod", true},
		{[]string{"."}, []string{"apps"}, "apps", true},
		{[]string{"."}, []string{"/"}, "the whole repository", true},
		{[]string{"apps"}, []string{"apps2"}, "", false},
		{[]string{"apps/a.yaml"}, []string{"apps/a.yaml.d"}, "", false},
		{[]string{"apps", "infra"}, []string{"charts", "infra/dns"}, "infra/dns", true},
		{[]string{"apps", "infra"}, []string{"charts", "docs"}, "", false},
	} {
		for range 2 {
			if shared, got := overlap(test.a, test.b); got != test.want || shared != test.shared {
				t.Errorf("%q and %q share %q, %v; want %q, %v", test.a, test.b, shared, got, test.shared, test.want)
			}
			test.a, test.b = test.b, test.a
		}
	}
}

// reportOf has policies with one field each and these reasons.
func reportOf(reasons ...reconcile.Reason) *reconcile.Report {
	r := &reconcile.Report{Head: "head", Branch: "main"}
	for _, reason := range reasons {
		p := placeOf("fleet", 1, reason).Policy
		if reason == reconcile.NoField {
			p.Fields = nil
		}
		r.Policies, r.Settled = append(r.Policies, p), append(r.Settled, p)
	}
	return r
}

func TestStatusOfRepositories(t *testing.T) {
	const suspendedAll = "the controller is suspended (--suspend): 1 policies wait"
	problem := reconcile.Problem{File: "a.yaml", Line: 7, Message: "names no policy"}
	for title, test := range map[string]struct {
		report    *reconcile.Report
		suspend   bool
		all       bool
		want      []string
		counts    v1alpha1.Counts
		reportsTo int // problems in the status
	}{
		"empty": {report: reportOf(), want: []string{"Ready=True Synced: 0 policies with 0 fields are looked after", "Written=True Synced: all that is due is written"}},
		"some": {report: reportOf(reconcile.UpToDate, reconcile.RolledBack, reconcile.Pinned, reconcile.ManuallySet, reconcile.NoField),
			want:   []string{"Ready=True Synced: 4 policies with 4 fields are looked after", "Written=True Synced: all that is due is written"},
			counts: v1alpha1.Counts{Policies: 4, Fields: 4, Held: 3}},
		"suspended": {report: reportOf(reconcile.Due, reconcile.UpToDate), suspend: true,
			want:   []string{"Ready=True Suspended: nothing is written while it is suspended", "Written=False Suspended: spec.suspend is true: 1 policies wait"},
			counts: v1alpha1.Counts{Policies: 2, Fields: 2}},
		"suspended with nothing to write": {report: reportOf(reconcile.UpToDate), suspend: true,
			want:   []string{"Ready=True Suspended: nothing is written while it is suspended", "Written=True Suspended: spec.suspend is true: 0 policies wait"},
			counts: v1alpha1.Counts{Policies: 1, Fields: 1}},
		"all suspended": {report: reportOf(reconcile.Due), suspend: true, all: true,
			want:   []string{"Ready=True Suspended: nothing is written while it is suspended", "Written=False Suspended: " + suspendedAll},
			counts: v1alpha1.Counts{Policies: 1, Fields: 1}},
		"a problem": {report: withProblems(problem),
			want:   []string{"Ready=True Problems: a.yaml:7: names no policy", "Written=True Synced: all that is due is written"},
			counts: v1alpha1.Counts{Problems: 1}, reportsTo: 1},
		"problems": {report: withProblems(reconcile.Problem{Message: "no place"}, problem),
			want:   []string{"Ready=True Problems: 2 problems, the first: no place", "Written=True Synced: all that is due is written"},
			counts: v1alpha1.Counts{Problems: 2}, reportsTo: 2},
		"many problems": {report: withProblems(make([]reconcile.Problem, 80)...),
			want:   []string{"Ready=True Problems: 80 problems, the first: ", "Written=True Synced: all that is due is written"},
			counts: v1alpha1.Counts{Problems: 80}, reportsTo: maxProblems},
	} {
		repository := repositoryOf(func(s *v1alpha1.ManifestRepositorySpec) { s.Suspend = test.suspend })
		s := passedStatus(repository, test.report, nil, test.all, noon)
		if diff := cmp.Diff(test.want, conditionsIn(s.Conditions)); diff != "" {
			t.Errorf("%s: conditions (-want +got):\n%s", title, diff)
		}
		if diff := cmp.Diff(&test.counts, s.Counts); diff != "" {
			t.Errorf("%s: counts (-want +got):\n%s", title, diff)
		}
		if s.Head != "head" || s.ObservedGeneration != 2 || len(s.Problems) != test.reportsTo {
			t.Errorf("%s: head %q, generation %d, %d problems", title, s.Head, s.ObservedGeneration, len(s.Problems))
		}
	}
}

func withProblems(problems ...reconcile.Problem) *reconcile.Report {
	r := reportOf()
	r.Problems = problems
	return r
}

// failures are what can go wrong with a repository, told by attempt number.
func failures(attempt int) map[string]error {
	reset := fmt.Errorf("read tcp 10.0.0.7:%d->10.0.0.9:443: connection reset by peer", 40000+attempt)
	return map[string]error{
		"GitUnreachable":  &mirror.Error{Repository: "https://git.example.com/fleet", Op: "read", Kind: mirror.Unreachable, Err: reset},
		"GitUnauthorized": &mirror.Error{Repository: "https://git.example.com/fleet", Op: "read", Kind: mirror.Unauthorized, Hint: "use --git-username"},
		"NoBranch":        fmt.Errorf("wrapped: %w", &mirror.Error{Repository: "https://git.example.com/fleet", Op: "read", Kind: mirror.NoBranch}),
		"SecretNotFound":  &credentials.Error{Namespace: "prod", Kind: "Secret", Name: "git", Field: "spec.credentials.secretRef", Reason: credentials.NotFound},
		"Failed":          fmt.Errorf("it broke: %w", errors.Join(errors.New("€€€"+strings.Repeat("€", 1000)), reset)),
	}
}

// What goes wrong has a reason and says what to do in a cluster; what was known of Git
// stays; and the same failure again writes nothing.
func TestStatusOfFailures(t *testing.T) {
	for reason, err := range failures(1) {
		repository := repositoryOf()
		repository.Status = stored(t, passedStatus(repository, reportOf(reconcile.UpToDate), nil, false, noon))
		before := repository.Status
		s := stored(t, failedStatus(repository, err, noon.Add(time.Minute)))
		for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionWritten} {
			c := meta.FindStatusCondition(s.Conditions, kind)
			if c.Status != metav1.ConditionFalse || c.Reason != reason || c.Message == "" || len(c.Message) > maxMessage || !c.LastTransitionTime.Equal(&metav1.Time{Time: noon.Add(time.Minute)}) {
				t.Errorf("%s: %s is %+v", reason, kind, c)
			}
			if strings.Contains(c.Message, "--git-username") {
				t.Errorf("%s: the message names a flag of the command: %s", reason, c.Message)
			}
		}
		if meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionStalled) != nil {
			t.Errorf("%s: it is stalled, although it is tried again", reason)
		}
		if diff := cmp.Diff([]any{before.Head, before.Counts}, []any{s.Head, s.Counts}); diff != "" {
			t.Errorf("%s: what is known of Git (-before +after):\n%s", reason, diff)
		}
		repository.Status = s
		if again := failedStatus(repository, failures(2)[reason], noon.Add(time.Hour)); !sameStatus(s, again) {
			t.Errorf("%s: the status moves:\n%s", reason, cmp.Diff(s, again))
		}
	}
}

// A repository goes from one state to any other, and each of them twice writes nothing.
func TestStatusOfRepositoriesSettles(t *testing.T) {
	push := reportOf(reconcile.UpToDate)
	push.Commits = []reconcile.Commit{{SHA: "abc"}, {SHA: "def"}}
	trouble := withProblems(reconcile.Problem{Message: "read tcp 10.0.0.7:40001->10.0.0.9:443: broken"})
	states := map[string]func(*v1alpha1.ManifestRepository, time.Time) v1alpha1.ManifestRepositoryStatus{
		"passed": func(r *v1alpha1.ManifestRepository, now time.Time) v1alpha1.ManifestRepositoryStatus {
			return passedStatus(r, reportOf(reconcile.UpToDate), map[string]reconcile.Memory{"prod/app": memoryOf(2, 1)}, false, now)
		},
		"problems": func(r *v1alpha1.ManifestRepository, now time.Time) v1alpha1.ManifestRepositoryStatus {
			return passedStatus(r, trouble, nil, false, now)
		},
		"suspended": func(r *v1alpha1.ManifestRepository, now time.Time) v1alpha1.ManifestRepositoryStatus {
			return passedStatus(r, reportOf(reconcile.Due), nil, true, now)
		},
		"stalled": func(r *v1alpha1.ManifestRepository, now time.Time) v1alpha1.ManifestRepositoryStatus {
			return stalled(r, refused{reasonUnsupported, "spec.windows is not supported yet"}, now)
		},
		"failed": func(r *v1alpha1.ManifestRepository, now time.Time) v1alpha1.ManifestRepositoryStatus {
			return failedStatus(r, errors.New("it broke"), now)
		},
	}
	for first, a := range states {
		for second, b := range states {
			repository := repositoryOf()
			repository.Status = stored(t, passedStatus(repository, push, nil, false, noon))
			if got := repository.Status.LastPush; got == nil || got.Commit != "def" || got.Commits != 2 || !got.Time.Equal(&metav1.Time{Time: noon}) {
				t.Fatalf("the last push is %+v", got)
			}
			repository.Status = stored(t, a(repository, noon.Add(time.Hour)))
			repository.Status = stored(t, b(repository, noon.Add(2*time.Hour)))
			if again := b(repository, noon.Add(3*time.Hour)); !sameStatus(repository.Status, again) {
				t.Errorf("%s, then %s twice: the status moves:\n%s", first, second, cmp.Diff(repository.Status, again))
			}
			if got := meta.FindStatusCondition(repository.Status.Conditions, v1alpha1.ConditionStalled) != nil; got != (second == "stalled") {
				t.Errorf("%s, then %s: stalled is %v", first, second, got)
			}
			if repository.Status.LastPush == nil {
				t.Errorf("%s, then %s: the last push is forgotten", first, second)
			}
		}
	}
}
