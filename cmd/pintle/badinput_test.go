// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile"
)

// Credentials that must not be printed, in whatever form they are sent.
const (
	gitUser, gitPassword       = "ada", "s3cret-of-git"
	imageUser, imagePassword   = "puller", "s3cret-of-docker"
	wrongPassword              = "wr0ng-s3cret"
	healthyFile, healthyPolicy = "healthy/web.yaml", "healthy/policy.yaml"
)

func secrets() []string {
	list := []string{gitPassword, imagePassword, wrongPassword}
	for _, pair := range []string{gitUser + ":" + gitPassword, gitUser + ":" + wrongPassword, imageUser + ":" + imagePassword, imageUser + ":" + wrongPassword} {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(pair)))
	}
	return list
}

// parties are a registry and a Git server that both want a login, and a front
// of that registry that can be told to misbehave.
type parties struct {
	registry string // HOST:PORT
	front    string // HOST:PORT; the same, by way of fault
	fault    func(w http.ResponseWriter, r *http.Request) (answered bool)
	git      *gitserver.Server
}

func newParties(t *testing.T) *parties {
	t.Helper()
	p := &parties{ // Before isolate: the registry is built once, in the user's cache.
		registry: parts.Registry(t, parts.RegistryOptions{Username: imageUser, Password: imagePassword}),
		git:      gitserver.New(t, gitserver.Options{Username: gitUser, Password: gitPassword}),
	}
	isolate(t, "exit 1")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: p.registry})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.fault == nil || !p.fault(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	p.front = strings.TrimPrefix(front.URL, "http://")
	p.dockerLogin(t, imagePassword)
	for _, image := range []string{"app", "web"} {
		for _, tag := range []string{"1.0.0", "1.1.0"} {
			images.PushImage(t, p.registry, image, tag, images.Image{Seed: image + tag},
				remote.WithAuth(&authn.Basic{Username: imageUser, Password: imagePassword}))
		}
	}
	return p
}

// dockerLogin writes what `docker login` would; the front takes the wrong
// password where one is given, the registry always the right one.
func (p *parties) dockerLogin(t *testing.T, frontPassword string) {
	t.Helper()
	dir := t.TempDir()
	auth := func(password string) map[string]string {
		return map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(imageUser + ":" + password))}
	}
	config, err := json.Marshal(map[string]any{"auths": map[string]any{p.registry: auth(imagePassword), p.front: auth(frontPassword)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

// policy declares prod/app, which follows the front's image app.
func (p *parties) policy() string { return policyOf("app", p.front+"/app") }

func policyOf(name, image string) string {
	return `apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata: {name: ` + name + `, namespace: prod}
spec:
  image: ` + image + `
  select: {semver: {range: ">=1"}}
`
}

// field is a line of YAML with a marker.
func field(image, policy string) string {
	return "image: " + image + ` # {"$imagepolicy": "prod:` + policy + `"}` + "\n"
}

// fleet makes a repository with a healthy policy and field besides what a case
// puts there.
func (p *parties) fleet(t *testing.T, name string, files map[string]string) gitserver.Repo {
	t.Helper()
	repo := p.git.Create(name)
	repo.Seed(t, map[string]string{
		healthyPolicy: policyOf("web", p.registry+"/web"),
		healthyFile:   field(p.registry+"/web:1.0.0", "web"),
	}, "Begin")
	if len(files) > 0 {
		repo.Seed(t, files, "Break something")
	}
	return repo
}

// withLogin is the repository's URL as careless people write it.
func withLogin(t *testing.T, address, password string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.User = url.UserPassword(gitUser, password)
	return parsed.String()
}

// said is what a command printed and how it ended.
type said struct {
	status         int
	stdout, stderr string
}

// pintle runs the command and fails the test where a secret is printed.
func (p *parties) pintle(t *testing.T, args ...string) said {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if args[0] != "lint" {
		args = append(args, "--plain-http", p.registry, "--plain-http", p.front, "--plain-http", "127.0.0.1:1")
	}
	status := run(t.Context(), args, &stdout, &stderr)
	for _, secret := range secrets() {
		if strings.Contains(stdout.String()+stderr.String(), secret) {
			t.Errorf("%v prints the secret %q:\n%s%s", args, secret, stdout.String(), stderr.String())
		}
	}
	return said{status, stdout.String(), stderr.String()}
}

// complaint is one thing that a report says is wrong. Its message is what the
// real one contains.
type complaint struct {
	file    string
	line    int
	message string
}

// outcome is what sync is expected to say about bad input.
type outcome struct {
	problems []complaint
	// reason and message are those of prod/app; empty where it is not declared.
	reason  reconcile.Reason
	message string
	status  int
}

// check plans, syncs and plans again, and wants one message with its place, the
// healthy field moved, and nothing else touched but files that may move.
func (p *parties) check(t *testing.T, repo gitserver.Repo, want outcome, moves ...string) {
	t.Helper()
	before := repo.Head(t, "main")
	address := withLogin(t, repo.URL, gitPassword)
	plan := p.pintle(t, "plan", "--exit-code", "--repo", address)
	wantPlan := want.status
	if wantPlan == 0 {
		wantPlan = statusDue
	}
	if plan.status != wantPlan || plan.stderr != "" {
		t.Errorf("plan ends with %d, want %d:\n%s%s", plan.status, wantPlan, plan.stdout, plan.stderr)
	}
	checkTold(t, plan.stdout, want)

	file := passwordFile(t, gitPassword)
	sync := p.pintle(t, "sync", "-o", "json", "--repo", repo.URL, "--git-username", gitUser, "--git-password-file", file)
	if sync.status != want.status || sync.stderr != "" {
		t.Errorf("sync ends with %d, want %d:\n%s", sync.status, want.status, sync.stderr)
	}
	checkReport(t, sync.stdout, want)
	changed := strings.Fields(gitserver.Git(t, repo.Dir, "diff", "--name-only", before, "main"))
	moves = append(moves, healthyFile)
	slices.Sort(moves)
	if diff := cmp.Diff(moves, changed); diff != "" {
		t.Errorf("sync changes other files (-want +got):\n%s", diff)
	}
	if got := repo.Read(t, "main", healthyFile); !strings.Contains(got, "/web:1.1.0@sha256:") {
		t.Errorf("the healthy field is not moved: %s", got)
	}
	repo.Fsck(t)
	if again := p.pintle(t, "plan", "--exit-code", "--repo", address); again.status != want.status {
		t.Errorf("plan after sync ends with %d, want %d:\n%s%s", again.status, want.status, again.stdout, again.stderr)
	}
}

// checkTold wants each problem once in the text for people, behind its place,
// and a policy's message once.
func checkTold(t *testing.T, text string, want outcome) {
	t.Helper()
	for _, c := range want.problems {
		place := "  " + c.file + ": "
		if c.line > 0 {
			place = fmt.Sprintf("  %s:%d: ", c.file, c.line)
		}
		_, told, ok := strings.Cut(text, place)
		told, _, _ = strings.Cut(told, "\n")
		if !ok || !strings.Contains(told, c.message) || strings.Count(text, place) != 1 {
			t.Errorf("plan does not say once %s%s:\n%s", place, c.message, text)
		}
	}
	if count := strings.Count(text, want.message); want.message != "" && count != 1 {
		t.Errorf("plan says %q %d times, want once:\n%s", want.message, count, text)
	}
}

func checkReport(t *testing.T, text string, want outcome) {
	t.Helper()
	var report reconcile.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	got := []complaint{}
	for i, p := range report.Problems {
		c := complaint{p.File, p.Line, p.Message}
		if i < len(want.problems) && strings.Contains(p.Message, want.problems[i].message) {
			c.message = want.problems[i].message
		}
		got = append(got, c)
	}
	if diff := cmp.Diff(append([]complaint{}, want.problems...), got, cmp.AllowUnexported(complaint{})); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	reasons := map[string]reconcile.Reason{}
	for _, policy := range report.Policies {
		reasons[policy.Name] = policy.Reason
		if policy.Name == "app" && !strings.Contains(policy.Message, want.message) {
			t.Errorf("prod/app says %q, want %q", policy.Message, want.message)
		}
	}
	wantReasons := map[string]reconcile.Reason{"web": reconcile.Updated}
	if want.reason != "" {
		wantReasons["app"] = want.reason
	}
	if diff := cmp.Diff(wantReasons, reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}
