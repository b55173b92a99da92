// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile"
)

var fleet = client.ObjectKey{Namespace: "prod", Name: "fleet"}

// TestKubectl goes through the commands, in the order of a bad release.
func TestKubectl(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	k.change(fleet, func(s *v1alpha1.ManifestRepositorySpec) {
		s.Commit.Author = &v1alpha1.Author{Name: "Fleet Bot", Email: "bot@example.com"}
	})
	head := "ManifestRepository prod/fleet " + k.repo.URL + "\n"
	k.well([]string{head, "+image: " + k.image() + ":1.1.0@sha256:", "in 1 commit: 1 field to move."}, "plan", "-n", "prod")
	if status, _, stderr := k.kubectl("plan", "-A", "--exit-code"); status != statusDue {
		t.Errorf("plan --exit-code: status %d, want %d: %s", status, statusDue, stderr)
	}
	k.writes(k.repo)
	k.push(t, "1.2.0")
	k.writes(k.repo)

	k.well([]string{head, "2         1.2.0@sha256:", "current"}, "history", "prod/app")
	k.well([]string{"moves back from 1.2.0 to 1.1.0", "field to move."}, "rollback", "app", "-n", "prod", "--dry-run")
	if got := k.holds(t); !strings.Contains(got, ":1.2.0@") {
		t.Fatalf("a dry run wrote %s", got)
	}
	k.well([]string{head, "moved back from 1.2.0 to 1.1.0", "Pushed 1 commit to main"}, "rollback", "prod/app")
	if got := k.holds(t); !strings.Contains(got, ":1.1.0@") {
		t.Errorf("after the rollback the field holds %s", got)
	}
	if got := gitserver.Git(t, k.repo.Dir, "log", "-1", "--format=%an <%ae>", "main"); got != "Fleet Bot <bot@example.com>" {
		t.Errorf("the commit is by %s", got)
	}
	k.well([]string{head, "prod/app follows " + k.image(), "VETOED", "1.2.0@sha256:"}, "explain", "prod/app")
	k.well([]string{head, "RolledBack", "Nothing is due"}, "plan", "-n", "prod", "--exit-code")
	k.well([]string{head, "moved from 1.1.0 to 1.2.0", "Pushed 1 commit"}, "resume", "prod/app")
	k.refused(statusFailed, `prod/fleet: cannot roll back prod/app: nothing in its history is called "9.9.9"`, "rollback", "prod/app", "--to", "9.9.9")
	k.refused(statusFailed, "cannot roll back prod/none: there is no such policy; the namespace prod has [app]", "rollback", "prod/none")
	k.refused(statusFailed, "there is no such policy; the namespace void has none", "history", "void/none")
	k.refused(statusFailed, "there is no ManifestRepository in the namespace default", "plan")
	k.repo.Fsck(t)
}

func TestKubectlRefresh(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	k.create(k.object("prod", "web", ">=1"))
	asked := func(name string) string {
		policy := &v1alpha1.ImagePolicy{}
		if err := k.admin.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: name}, policy); err != nil {
			t.Fatal(err)
		}
		return policy.Annotations[v1alpha1.RefreshAnnotation]
	}
	status, stdout, stderr := k.kubectl("refresh", "prod/app", "web", "prod/none", "-n", "prod")
	if status != statusFailed || stdout != "imagepolicy.pintle.dev/app refreshed\nimagepolicy.pintle.dev/web refreshed\n" {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	if want := "pintle: cannot refresh prod/none: there is no such policy; the namespace prod has [app web]\n"; stderr != want {
		t.Errorf("says %q, want %q", stderr, want)
	}
	first := asked("app")
	if first == "" || asked("web") == "" {
		t.Errorf("the annotations are %q and %q", first, asked("web"))
	}
	if k.well(nil, "refresh", "prod/app"); asked("app") == first {
		t.Errorf("a second time changes nothing: %s", first)
	}
}

func TestKubectlJSON(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	repo := k.another("prod:app")
	k.create(k.manifests("prod", "other", repo))
	k.change(fleet, func(s *v1alpha1.ManifestRepositorySpec) { s.Suspend = true })
	type located struct {
		origin
		reconcile.Report
	}
	var names []string
	for _, l := range decode[[]located](t, k.well(nil, "plan", "-n", "prod", "-o", "json")) {
		names = append(names, l.Repository)
		if len(l.Commits) != 1 || l.Head == "" || l.Policies[0].Reason != reconcile.Due || l.Problems == nil {
			t.Errorf("the plan of %s is %+v", l.Repository, l.Report)
		}
		if suspended := len(l.origin.Notices) == 1 && strings.Contains(l.origin.Notices[0], "it is suspended"); suspended != (l.Repository == "prod/fleet") || l.origin.Notices == nil {
			t.Errorf("the notices of %s are %q", l.Repository, l.origin.Notices)
		}
	}
	if diff := cmp.Diff([]string{"prod/fleet", "prod/other"}, names); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}
	k.writes(repo)
	histories := decode[[]struct {
		Repository string
		Revisions  []reconcile.Revision
	}](t, k.well(nil, "history", "prod/app", "-o", "json"))
	if len(histories) != 2 || len(histories[0].Revisions) != 1 || len(histories[1].Revisions) != 2 || histories[1].Repository != "prod/other" {
		t.Errorf("the histories are %+v", histories)
	}
	explained := decode[[]struct {
		reconcile.Explanation

		Repository string
	}](t, k.well(nil, "explain", "prod/app", "-o", "json"))
	if len(explained) != 2 || len(explained[0].Candidates) != 2 || explained[1].Policy.Reason != reconcile.UpToDate {
		t.Errorf("the explanations are %+v", explained)
	}
}

// TestKubectlInTwoRepositories has one policy in two repositories.
func TestKubectlInTwoRepositories(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	other := k.another("prod:app")
	without := k.another("")
	k.create(k.manifests("prod", "other", other), k.manifests("prod", "without", without))
	for _, repo := range []gitserver.Repo{k.repo, other} {
		k.writes(repo)
	}
	k.push(t, "1.2.0")
	for _, repo := range []gitserver.Repo{k.repo, other} {
		k.writes(repo)
	}

	k.refused(statusFailed, "each counts revisions of its own", "rollback", "prod/app", "--to", "1")
	said := k.well([]string{"ManifestRepository prod/fleet", "\n\nManifestRepository prod/other"}, "rollback", "prod/app", "--to", "1.1.0")
	if strings.Contains(said, "prod/without") || strings.Count(said, "Pushed 1 commit") != 2 {
		t.Errorf("the rollback says:\n%s", said)
	}
	for _, repo := range []gitserver.Repo{k.repo, other} {
		if got := repo.Read(t, "main", "app.yaml"); !strings.Contains(got, ":1.1.0@") {
			t.Errorf("after the rollback %s has %s", repo.URL, got)
		}
	}

	// The status says where fields are; what does not count is passed over.
	k.found("prod/other", "prod/gone")
	if said := k.well([]string{"ManifestRepository prod/other"}, "history", "prod/app"); strings.Contains(said, "prod/fleet") {
		t.Errorf("the history says:\n%s", said)
	}
	k.namespace("elsewhere", nil)
	k.create(k.manifests("elsewhere", "own", without))
	k.found("elsewhere/own", "prod/fleet")
	if said := k.well([]string{"ManifestRepository prod/fleet"}, "history", "prod/app"); strings.Contains(said, "elsewhere/own") {
		t.Errorf("a repository that does not admit the policy is read:\n%s", said)
	}
	k.found("prod/fleet", "prod/other")
	k.change(fleet, func(s *v1alpha1.ManifestRepositorySpec) { s.URL += "x" })
	status, stdout, stderr := k.kubectl("resume", "prod/app", "-o", "json")
	if status != statusFailed || !strings.HasPrefix(stderr, "pintle: prod/fleet: cannot ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d: %s", status, stderr)
	}
	if written := decode[[]struct{ Repository string }](t, stdout); len(written) != 1 || written[0].Repository != "prod/other" {
		t.Errorf("resume reports:\n%s", stdout)
	}
	if got := other.Read(t, "main", "app.yaml"); !strings.Contains(got, ":1.2.0@") {
		t.Errorf("the other repository has %s", got)
	}
}

// TestKubectlStopped is stopped by a signal while it pushes to the first of two
// repositories: what was written is told.
func TestKubectlStopped(t *testing.T) {
	isolate(t, "true")
	for format, wrote := range map[string]string{"": "Pushed 1 commit", "-o=json": `"repository": "prod/fleet"`} {
		t.Run(format, func(t *testing.T) {
			k := newKubeWorld(t, gitserver.Options{})
			other := k.another("prod:app")
			k.create(k.manifests("prod", "other", other))
			folder := t.TempDir()
			pushing, goOn := filepath.Join(folder, "pushing"), filepath.Join(folder, "goon")
			k.repo.Hook(t, "pre-receive", "touch "+pushing+"; until test -e "+goOn+"; do sleep 0.02; done")
			before := other.Head(t, "main")

			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				for _, err := os.Stat(pushing); err != nil && t.Context().Err() == nil; _, err = os.Stat(pushing) {
					time.Sleep(10 * time.Millisecond)
				}
				cancel()
				_ = os.WriteFile(goOn, nil, 0o600)
			}()
			var stdout, stderr bytes.Buffer
			args := []string{"resume", "prod/app", "--kubeconfig", k.kubeconfig, "--plain-http", k.host, "--plain-http", "127.0.0.1", format}
			status := run(ctx, slices.DeleteFunc(args, func(a string) bool { return a == "" }), &stdout, &stderr)
			if status != statusFailed || stderr.String() != "pintle: stopped by a signal\n" || !strings.Contains(stdout.String(), wrote) || strings.Contains(stdout.String(), "prod/other") {
				t.Errorf("status %d, want %q:\n%s%s", status, wrote, stdout.String(), stderr.String())
			}
			if got := other.Head(t, "main"); got != before || !strings.Contains(k.holds(t), ":1.1.0@") {
				t.Errorf("the first repository has %s, and the other is at %s", k.holds(t), got)
			}
		})
	}
}

// TestKubectlOfAnotherNamespace has a policy that a repository elsewhere admits.
func TestKubectlOfAnotherNamespace(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	repo := k.another("team:app")
	k.namespace("team", map[string]string{"fleet": "yes"})
	k.namespace("lone", nil)
	k.create(k.object("team", "app", ">=1"), k.object("lone", "app", ">=1"))
	shared := k.manifests("prod", "shared", repo)
	shared.Spec.Policies.Namespaces = v1alpha1.NamespaceGrant{From: v1alpha1.FromSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"fleet": "yes"}}}
	k.create(shared)
	k.well([]string{"ManifestRepository prod/shared", "1.1.0", "app.yaml:1"}, "explain", "team/app")
	k.refused(statusFailed, "no ManifestRepository admits policies of the namespace lone", "explain", "lone/app")

	// What admits the policy and has nothing of it is shown if nothing else has.
	k.change(client.ObjectKeyFromObject(shared), func(s *v1alpha1.ManifestRepositorySpec) {
		s.Policies.Namespaces = v1alpha1.NamespaceGrant{From: v1alpha1.FromAll}
	})
	k.well([]string{"ManifestRepository prod/shared", "1     1.1.0", "No field is bound"}, "explain", "lone/app")
	k.well([]string{"No field of this branch was ever bound"}, "history", "lone/app")
	k.refused(statusFailed, "prod/shared: cannot roll back lone/app: no field is bound to it", "rollback", "lone/app")
}

// TestKubectlUnfit has repositories that are not to be written so.
func TestKubectlUnfit(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	k.writes(k.repo)
	k.push(t, "1.2.0")
	k.writes(k.repo)
	whole := v1alpha1.ManifestRepositorySpec{}
	k.change(fleet, func(s *v1alpha1.ManifestRepositorySpec) { whole = *s.DeepCopy() })
	set := func(edit func(*v1alpha1.ManifestRepositorySpec)) {
		t.Helper()
		k.change(fleet, func(s *v1alpha1.ManifestRepositorySpec) { *s = *whole.DeepCopy(); edit(s) })
	}

	set(func(s *v1alpha1.ManifestRepositorySpec) { s.Mode = v1alpha1.ModePullRequest })
	k.well([]string{"Notice: the controller proposes by pull requests what is due", "Notice: the controller writes nothing to it: spec.pullRequest.forge: it is not known"}, "plan", "-n", "prod")
	k.well([]string{"Notice: the controller proposes by pull requests"}, "rollback", "prod/app", "--dry-run")
	set(func(s *v1alpha1.ManifestRepositorySpec) {
		s.Commit.Signing = &v1alpha1.Signing{SecretRef: v1alpha1.LocalReference{Name: "key"}}
	})
	k.refused(statusFailed, "cannot roll back prod/app: its commits are signed (spec.commit.signing), and what is not signed does not count", "rollback", "prod/app", "--dry-run")
	k.well([]string{"Notice: its commits are signed (spec.commit.signing), and are read here without a look at signatures"}, "plan", "-n", "prod")
	set(func(s *v1alpha1.ManifestRepositorySpec) { s.URL = "ssh://git@git.example.com/acme/fleet.git" })
	k.refused(statusFailed, "prod/fleet: cannot read ssh://git@git.example.com/acme/fleet.git: known_hosts has no key of the server git.example.com:22", "plan", "-n", "prod")
	set(func(s *v1alpha1.ManifestRepositorySpec) { s.URL = "http://git.example.com/acme/fleet.git" })
	k.refused(statusFailed, "spec.url: plain HTTP to git.example.com is not allowed: use https, or allow it with --plain-http git.example.com", "history", "prod/app")

	// A rollback does not wait.
	set(func(s *v1alpha1.ManifestRepositorySpec) {
		s.Windows = []v1alpha1.Window{{Schedule: time.Now().UTC().AddDate(0, 0, 2).Format("0 0 2 1 *"), Duration: metav1.Duration{Duration: time.Minute}}}
		s.MaxPerPush = 1
	})
	k.refused(statusFailed, "cannot resume prod/app: nothing may be written to its repository now: try again when the next window opens, at "+
		time.Now().UTC().AddDate(0, 0, 2).Format("2006-01-02T00:00:00Z"), "resume", "prod/app")
	k.change(fleet, func(s *v1alpha1.ManifestRepositorySpec) { s.Suspend = true })
	k.well([]string{"Notice: it is suspended (spec.suspend): nothing but a rollback is written to it", "Pushed 1 commit"}, "rollback", "prod/app")
	set(func(s *v1alpha1.ManifestRepositorySpec) { s.Suspend = true })
	k.refused(statusFailed, "cannot resume prod/app: the ManifestRepository is suspended: take its spec.suspend out first", "resume", "prod/app")
	k.well([]string{"Notice: it is suspended", "RolledBack"}, "plan", "-n", "prod")
}

func TestKubectlUsage(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	tests := map[string][]string{
		"--branch is for a repository, with --repo":                  {"plan", "--branch", "main"},
		"--policies is for a repository":                             {"history", "prod/app", "--policies", "x"},
		"--repo is empty":                                            {"rollback", "prod/app", "--repo", ""},
		"--kubeconfig is for a cluster, and --repo for a repository": {"plan", "--repo", "x"},
		`"prod/" is no NAMESPACE/NAME`:                               {"history", "prod/"},
		`"" is no NAMESPACE/NAME`:                                    {"refresh", ""},
		"history takes one argument":                                 {"history"},
		"refresh takes the NAMESPACE/NAME of each policy":            {"refresh"},
		"context \"none\" does not exist":                            {"plan", "--context", "none"},
		"--git-password-file needs --git-username":                   {"plan", "-n", "prod", "--git-password-file", passwordFile(t, "secret")},
		"unknown shorthand flag: 'A' in -A":                          {"history", "prod/app", "-A"},
	}
	for says, args := range tests {
		k.refused(statusUsage, says, args...)
	}
	for says, args := range map[string][]string{
		"--repo is missing, and there is no kubeconfig that can be used": {"plan"},
		"in a cluster, `pintle controller` syncs":                        {"sync"},
		"cannot find out which cluster to use":                           {"refresh", "prod/app"},
		"none: no such file":                                             {"plan", "--kubeconfig", "/none"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != statusUsage || !strings.Contains(stderr.String(), says) || stdout.Len() > 0 {
			t.Errorf("%v: status %d, want %q: %s", args, status, says, stderr.String())
		}
	}
}

// TestKubectlWithoutItsCluster has API servers that are of no use.
func TestKubectlWithoutItsCluster(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	tests := map[string]struct{ kubeconfig, says string }{
		"forbidden": {k.cluster.Kubeconfig(t, "nobody"), `the cluster does not let you: imagepolicies.pintle.dev "app" is forbidden: User "nobody" cannot get resource "imagepolicies" in API group "pintle.dev" in the namespace "prod"`},
	}
	empty := parts.KubeAPIServer(t)
	tests["no kinds"] = struct{ kubeconfig, says string }{parts.KubeconfigFile(t, empty.Config), "does not know Pintle's kinds: install them with `kubectl apply -k https://"}
	gone := *empty.Config
	gone.Host = "https://127.0.0.1:1"
	tests["unreachable"] = struct{ kubeconfig, says string }{parts.KubeconfigFile(t, &gone), "cannot reach the cluster at https://127.0.0.1:1: dial tcp"}
	gone = *empty.Config
	gone.CertData, gone.KeyData, gone.BearerToken = nil, nil, "wrong"
	tests["unknown user"] = struct{ kubeconfig, says string }{parts.KubeconfigFile(t, &gone), "does not take the login of the kubeconfig"}
	for name, test := range tests {
		for _, args := range [][]string{{"history", "prod/app"}, {"rollback", "prod/app"}, {"refresh", "prod/app"}, {"plan", "-n", "prod"}} {
			status, stdout, stderr := k.as(test.kubeconfig, args...)
			says := test.says
			if name == "forbidden" && args[0] != "history" && args[0] != "rollback" {
				says = "the cluster does not let you: "
			}
			if status != statusFailed || !strings.Contains(stderr, says) || stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Errorf("%s: %v: status %d, want %q:\n%s%s", name, args, status, says, stdout, stderr)
			}
		}
	}
}

// TestKubectlByName runs the program by the name that kubectl looks for, and through
// kubectl where the machine has it.
func TestKubectlByName(t *testing.T) {
	isolate(t, "true")
	k := newKubeWorld(t, gitserver.Options{})
	folder := t.TempDir()
	plugin := filepath.Join(folder, "kubectl-pintle")
	if err := os.Symlink(os.Args[0], plugin); err != nil {
		t.Fatal(err)
	}
	calls := map[string][]string{"by its file": {plugin}}
	if kubectl, err := exec.LookPath("kubectl"); err == nil {
		calls["by kubectl"] = []string{kubectl, "pintle"}
	}
	for name, call := range calls {
		say := func(args ...string) (int, string) {
			command := exec.CommandContext(t.Context(), call[0], append(call[1:len(call):len(call)], args...)...)
			command.Env = append(os.Environ(), runMain+"=1", "KUBECONFIG="+k.kubeconfig, "PATH="+folder+":"+os.Getenv("PATH"))
			said, _ := command.CombinedOutput()
			return command.ProcessState.ExitCode(), string(said)
		}
		for _, test := range []struct {
			want int
			says []string
			args []string
		}{
			{0, []string{"Usage:\n  kubectl pintle [", "kubectl pintle [command] --help"}, []string{"--help"}},
			{0, []string{"Usage:\n  kubectl pintle rollback NAMESPACE/NAME", "\n  kubectl pintle rollback prod/podinfo "}, []string{"rollback", "--help"}},
			{statusUsage, []string{"See `kubectl pintle history --help`."}, []string{"history"}},
			{0, []string{"ManifestRepository prod/fleet", "1.0.0"}, []string{"history", "prod/app", "--plain-http", "127.0.0.1"}},
		} {
			status, said := say(test.args...)
			for _, part := range test.says {
				if status != test.want || !strings.Contains(said, part) {
					t.Errorf("%s: %v: status %d, want %d and %q:\n%s", name, test.args, status, test.want, part, said)
				}
			}
		}
	}
}
