// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// gitCase is a repository of its own with the object that is wrong about it.
type gitCase struct {
	*world
	*v1alpha1.ManifestRepository

	git gitserver.Repo
}

// wrongRepository is spoilt at first and mended later.
type wrongRepository struct {
	spoil, mend func(c *gitCase)
	reason      string
	stalled     bool
	says        []string
}

// inURL is wrong in a way that another spec alone can mend.
func inURL(spoil func(s *v1alpha1.ManifestRepositorySpec), reason string, stalled bool, says ...string) wrongRepository {
	return wrongRepository{
		spoil: func(c *gitCase) { spoil(&c.Spec) },
		mend: func(c *gitCase) {
			c.change(c.ManifestRepository, func() { c.Spec = v1alpha1.ManifestRepositorySpec{URL: c.git.URL, Branch: "main"} })
		},
		reason: reason, stalled: stalled, says: says,
	}
}

// login makes the Secret of the object, and names it.
func (c *gitCase) login(data map[string]string) {
	c.nameSecret()
	c.create(secret(c.Namespace, "git-"+c.Name, corev1.SecretTypeOpaque, data))
}

func (c *gitCase) nameSecret() {
	c.Spec.Credentials = &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git-" + c.Name}}
}

// rotate gives the Secret of the object other content.
func (c *gitCase) rotate(data map[string]string) {
	s := secret(c.Namespace, "git-"+c.Name, "", nil)
	c.change(s, func() { s.StringData = data })
}

const gitUser, gitPassword = "bot", "correct horse"

func unsupportedRepositories() map[string]wrongRepository {
	type spec = v1alpha1.ManifestRepositorySpec
	return map[string]wrongRepository{
		"pull-request": inURL(func(s *spec) { s.Mode = v1alpha1.ModePullRequest }, "Unsupported", true, "spec.pullRequest.forge: it is not known whose API", "set it to GitHub, GitLab or Gitea"),
		"window-cron": inURL(func(s *spec) {
			s.Windows = []v1alpha1.Window{{Schedule: "at nine", Duration: metav1.Duration{Duration: time.Hour}}}
		}, "InvalidSpec", true, "spec.windows[0].schedule", "at nine"),
		"signing":  inURL(func(s *spec) { s.Commit.Signing = &v1alpha1.Signing{SecretRef: v1alpha1.LocalReference{Name: "key"}} }, "SecretNotFound", false, "/key, which spec.commit.signing.secretRef names", "create it"),
		"template": inURL(func(s *spec) { s.Commit.MessageTemplate = "{{.Sha}}" }, "InvalidSpec", true, "spec.commit.messageTemplate: the template fails on an example", "can't evaluate field Sha"),
		"defining": inURL(func(s *spec) { s.Commit.MessageTemplate = `{{define "a"}}{{end}}x` }, "InvalidSpec", true, "spec.commit.messageTemplate: the template defines a template"),
		"ssh":      inURL(func(s *spec) { s.URL = "ssh://git@127.0.0.1:2222/fleet.git" }, "HostKeyUnknown", false, "ssh-keyscan -p 2222 127.0.0.1"),
		"scp":      inURL(func(s *spec) { s.URL = "git@127.0.0.1:acme/fleet.git" }, "HostKeyUnknown", false, "ssh-keyscan 127.0.0.1"),
		"plain":    inURL(func(s *spec) { s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1) }, "PlainHTTPRefused", true, "spec.url", "use https", "--plain-http localhost"),
		"selector": inURL(func(s *spec) {
			s.Policies.Namespaces = v1alpha1.NamespaceGrant{From: v1alpha1.FromSelector, Selector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}}}}
		}, "InvalidSpec", true, "spec.policies.namespaces.selector", "Near"),
	}
}

func wrongRepositories() map[string]wrongRepository {
	type spec = v1alpha1.ManifestRepositorySpec
	right := map[string]string{"username": gitUser, "password": gitPassword}
	wrong := map[string]string{"username": gitUser, "password": "battery staple"}
	return map[string]wrongRepository{
		"refused":    inURL(func(s *spec) { s.URL = "http://127.0.0.1:1/fleet.git" }, "GitUnreachable", false, "http://127.0.0.1:1/fleet.git", "refused"),
		"repository": inURL(func(s *spec) { s.URL = strings.Replace(s.URL, ".git", "-missing.git", 1) }, "RepositoryNotFound", false, "there is no such repository", "spec.url"),
		"branch": {
			spoil: func(c *gitCase) { c.Spec.Branch = "release" },
			mend: func(c *gitCase) {
				gitserver.Git(c.t, c.git.Dir, "branch", "release", "main")
				gitserver.Git(c.t, c.git.Dir, "symbolic-ref", "HEAD", "refs/heads/release")
			},
			reason: "NoBranch", says: []string{`there is no branch "release"`, "spec.branch"},
		},
		"password": {
			spoil:  func(c *gitCase) { c.login(wrong) },
			mend:   func(c *gitCase) { c.rotate(right) },
			reason: "GitUnauthorized", says: []string{"other credentials", "check the Secret that spec.credentials names"},
		},
		"anonymous": {
			spoil:  func(*gitCase) {},
			mend:   func(c *gitCase) { c.change(c.ManifestRepository, func() { c.login(right) }) },
			reason: "GitUnauthorized", says: []string{"spec.credentials"},
		},
		"no-secret": {
			spoil:  (*gitCase).nameSecret,
			mend:   func(c *gitCase) { c.login(right) },
			reason: "SecretNotFound", says: []string{"git-no-secret", "spec.credentials.secretRef", "create it, or name another"},
		},
		"ssh-key": {
			spoil:  func(c *gitCase) { c.login(map[string]string{"identity": "x", "known_hosts": "y"}) },
			mend:   func(c *gitCase) { c.rotate(right) },
			reason: "SecretInvalid", says: []string{"SSH", "put a token"},
		},
		"forbidden": {
			spoil:  func(c *gitCase) { c.login(right) },
			mend:   func(c *gitCase) { c.open(c.Namespace) },
			reason: "SecretForbidden", says: []string{"Pintle may not read Secrets", "kubectl create rolebinding pintle-credentials"},
		},
		"read-only": {
			spoil:  func(c *gitCase) { gitserver.Git(c.t, c.git.Dir, "config", "http.receivepack", "false") },
			mend:   func(c *gitCase) { gitserver.Git(c.t, c.git.Dir, "config", "http.receivepack", "true") },
			reason: "GitForbidden", says: []string{"the server forbids it", "check that the credentials may read and push"},
		},
		"hook": {
			spoil: func(c *gitCase) { c.git.Hook(c.t, "pre-receive", "echo 'main is protected'\nexit 1") },
			mend: func(c *gitCase) {
				if err := os.Remove(filepath.Join(c.git.Dir, "hooks", "pre-receive")); err != nil {
					c.t.Fatal(err)
				}
			},
			reason: "PushRejected", says: []string{"main is protected", `check that branch "main" may be pushed to`},
		},
	}
}

// gitCase makes a repository, and an object that is spoilt and not yet created.
func (w *world) gitCase(name, namespace string, server *gitserver.Server, wrong wrongRepository) *gitCase {
	w.t.Helper()
	c := &gitCase{world: w, ManifestRepository: w.repository(name), git: server.Create(name)}
	c.git.Seed(w.t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	c.Namespace, c.Spec.URL, c.Spec.Policies.Namespaces.From = namespace, c.git.URL, v1alpha1.FromAll
	wrong.spoil(c)
	return c
}

// expectMended checks that a repository is written, once.
func (c *gitCase) expectMended() {
	c.t.Helper()
	c.untilReady(c.ManifestRepository, "Synced")
	if got := gitserver.Git(c.t, c.git.Dir, "rev-list", "--count", "HEAD"); got != "2" {
		c.t.Errorf("%s: %s commits, want the first and one more", c.Name, got)
	}
	if got := gitserver.Git(c.t, c.git.Dir, "show", "HEAD:app.yaml"); !strings.Contains(got, "app:1.1.0@") {
		c.t.Errorf("%s: the manifest is\n%s", c.Name, got)
	}
	c.git.Fsck(c.t)
}

// Every repository that is wrong ends in a condition that says what to do, without a
// storm, and is written, once, when it is mended.
func TestWrongRepositories(t *testing.T) {
	w := newOwnWorld(t)
	w.server = gitserver.New(t, gitserver.Options{})
	git, registry := w.fronts()
	secured := gitserver.New(t, gitserver.Options{Username: gitUser, Password: gitPassword})
	locked := newFront(t, secured)
	secured.URL = "http://" + locked.address
	closed := w.space(nil)
	w.restrict(shared)
	w.open(w.namespace)
	cluster, asked := counted(w.cluster)
	w.cluster = cluster
	w.push("app", "1.0.0", "1.1.0")
	cases, objects := unsupportedRepositories(), map[string]*gitCase{}
	maps.Copy(cases, wrongRepositories())
	for name, wrong := range cases {
		server, namespace := w.server, w.namespace
		if slices.Contains([]string{"password", "anonymous", "no-secret", "ssh-key"}, name) {
			server = secured
		}
		if name == "forbidden" {
			namespace = closed
		}
		objects[name] = w.gitCase(name, namespace, server, wrong)
	}
	policy, begun := w.policy("app", "app"), time.Now()
	policy.Spec.Schedule = "@yearly"
	for _, c := range objects {
		w.create(c.ManifestRepository)
	}
	w.create(policy)
	w.controller(controller.Options{LookEvery: 4 * time.Second})

	for name, wrong := range cases {
		c := objects[name].ManifestRepository
		ready := w.untilReady(c, wrong.reason)
		expectConforms(t, name, c, c.Status.ObservedGeneration, c.Status.Conditions, wrong.stalled)
		expectSays(t, name, ready, wrong.says)
	}
	w.stays(5*time.Second, "what was written to the API, or asked of the registry", func() string {
		return fmt.Sprintf("%d, %s", registry.count(), strings.Join(append(asked.with("PATCH"), asked.with("POST")...), "\n"))
	})
	// The first failure is tried again after 5 s, the next after 10 s.
	tries := 1 + int(time.Since(begun)/(4*time.Second))
	for name := range cases {
		const lookUps = 4 // of one try: to read, fetch, push, and see what became of the push
		if got := git.count("/"+name) + locked.count("/"+name); got > tries*lookUps {
			t.Errorf("%s: %d requests in %d tries", name, got, tries)
		}
		// The policy's first answer is news, for which a login is read again.
		if got := asked.count("GET", "/secrets/git-"+name); got > tries+1 {
			t.Errorf("%s: its Secret was read %d times in %d tries", name, got, tries)
		}
	}

	for name, c := range objects {
		cases[name].mend(c)
	}
	for _, c := range objects {
		c.expectMended()
	}
}
