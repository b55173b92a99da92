// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

const loginPassword = "s3cret"

// newGuardedWorld has a Git server that wants a login, which a Secret of the cluster
// has. 1.1.0 was written after 1.0.0.
func newGuardedWorld(t *testing.T) *kubeWorld {
	t.Helper()
	isolate(t, "echo username=ada; echo password="+loginPassword)
	k := newKubeWorld(t, gitserver.Options{Username: "ada", Password: loginPassword})
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "git"},
		StringData: map[string]string{"username": "ada", "password": loginPassword},
	}
	k.create(secret)
	t.Cleanup(func() {
		if err := k.admin.Delete(context.Background(), secret); err != nil {
			t.Error(err)
		}
	})
	k.change(fleet, func(s *v1alpha1.ManifestRepositorySpec) {
		s.Credentials = &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git"}}
	})
	k.writes(k.repo)
	k.push(t, "1.2.0")
	k.writes(k.repo)
	return k
}

// TestKubectlReader may get and list the two kinds, and has a Git login of his own.
func TestKubectlReader(t *testing.T) {
	k := newGuardedWorld(t)
	reader := k.grant("reader", "", "get", "list")
	for _, args := range [][]string{
		{"plan", "-A"}, {"history", "prod/app"}, {"explain", "prod/app"},
		{"rollback", "prod/app", "--dry-run"}, {"rollback", "prod/app"}, {"resume", "prod/app"},
	} {
		status, stdout, stderr := k.as(reader, args...)
		if status != 0 || stderr != "" {
			t.Errorf("%v: status %d:\n%s%s", args, status, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, loginPassword) {
			t.Errorf("%v prints the password:\n%s%s", args, stdout, stderr)
		}
	}
	if got := gitserver.Git(t, k.repo.Dir, "log", "-2", "--format=%s", "main"); !strings.HasPrefix(got, "Update ") || !strings.Contains(got, "\nRoll back ") {
		t.Errorf("the newest commits are:\n%s", got)
	}
	status, stdout, stderr := k.as(reader, "refresh", "prod/app")
	if want := `cannot patch resource "imagepolicies"`; status != statusFailed || stdout != "" || !strings.Contains(stderr, want) {
		t.Errorf("refresh: status %d, want %q:\n%s%s", status, want, stdout, stderr)
	}
}

// TestKubectlLendsNothing shows that no right in the cluster, be it all of them, is a
// right to push.
func TestKubectlLendsNothing(t *testing.T) {
	k := newGuardedWorld(t)
	isolate(t, "exit 1")
	annotator := k.grant("annotator", "", "get", "list", "patch", "update")
	before := k.repo.Head(t, "main")
	for name, kubeconfig := range map[string]string{"annotator": annotator, "admin": k.kubeconfig} {
		for _, args := range [][]string{{"rollback", "prod/app"}, {"rollback", "prod/app", "--force"}, {"resume", "prod/app"}, {"plan", "-n", "prod"}} {
			status, stdout, stderr := k.as(kubeconfig, args...)
			if status != statusFailed || stdout != "" || !strings.Contains(stderr, "the server wants other credentials") {
				t.Errorf("%s: %v: status %d:\n%s%s", name, args, status, stdout, stderr)
			}
		}
		if status, _, stderr := k.as(kubeconfig, "refresh", "prod/app"); status != 0 {
			t.Errorf("%s: refresh: status %d: %s", name, status, stderr)
		}
	}
	if got := k.repo.Head(t, "main"); got != before {
		t.Errorf("the branch moved to %s", got)
	}
	k.well([]string{"Pushed 1 commit"}, "rollback", "prod/app", "--git-username", "ada", "--git-password-file", passwordFile(t, loginPassword))
}

// TestKubectlInOneNamespace is for somebody who has rights in a single one.
func TestKubectlInOneNamespace(t *testing.T) {
	k := newGuardedWorld(t)
	local := k.grant("local", "prod", "get", "list")
	const notice = "pintle: only the ManifestRepositories of the namespace prod are looked at: you may not list those of the others\n"
	status, stdout, stderr := k.as(local, "rollback", "prod/app")
	if status != 0 || stderr != notice || !strings.Contains(stdout, "Pushed 1 commit") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	k.namespace("platform", nil)
	repo := k.another("")
	elsewhere := k.manifests("platform", "shared", repo)
	elsewhere.Spec.Policies.Namespaces.From = v1alpha1.FromAll
	k.create(elsewhere)
	k.found("platform/shared", "prod/fleet")
	status, stdout, stderr = k.as(local, "resume", "prod/app")
	if want := `pintle: platform/shared: cannot read the ManifestRepository: the cluster does not let you: manifestrepositories.pintle.dev "shared" is forbidden`; status != statusFailed || !strings.HasPrefix(stderr, want) {
		t.Errorf("status %d, want %q: %s", status, want, stderr)
	}
	if !strings.Contains(stdout, "ManifestRepository prod/fleet") || !strings.Contains(stdout, "Pushed 1 commit") {
		t.Errorf("resume says:\n%s", stdout)
	}
	if status, _, stderr := k.as(local, "plan", "-A"); status != statusFailed || !strings.Contains(stderr, `cannot list resource "manifestrepositories" in API group "pintle.dev" at the cluster scope`) {
		t.Errorf("plan -A: status %d: %s", status, stderr)
	}
}

// TestKubectlPasswordOfOneServer shows that a password that is given for one server
// does not go to that of another object.
func TestKubectlPasswordOfOneServer(t *testing.T) {
	k := newGuardedWorld(t)
	isolate(t, "exit 1")
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("WWW-Authenticate", `Basic realm="other"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	k.create(k.manifests("prod", "other", gitserver.Repo{URL: other.URL + "/fleet.git"}))
	login := []string{"--git-username", "ada", "--git-password-file", passwordFile(t, loginPassword)}
	k.refused(statusUsage, "--git-password-file would go to http://127.0.0.1:", append([]string{"rollback", "prod/app"}, login...)...)
	if got := asked.Load(); got != 0 {
		t.Errorf("the other server was asked %d times", got)
	}
	k.found("prod/fleet")
	k.well([]string{"Pushed 1 commit"}, append([]string{"rollback", "prod/app"}, login...)...)
	if got := asked.Load(); got != 0 {
		t.Errorf("the other server was asked %d times", got)
	}
}

// TestKubectlBesideTheController rolls back while a controller runs: it takes that for
// a decision, and goes on with what is newer.
func TestKubectlBesideTheController(t *testing.T) {
	k := newGuardedWorld(t)
	k.runController()
	if got := k.ready("UpToDate"); len(got.Status.Current) != 1 || got.Status.Current[0].Repository != "prod/fleet" {
		t.Errorf("the controller found %+v", got.Status.Current)
	}
	k.well([]string{"moved back from 1.2.0 to 1.1.0", "Pushed 1 commit"}, "rollback", "prod/app")
	rolledBack := k.repo.Head(t, "main")
	k.well(nil, "refresh", "prod/app")
	if got := k.ready("RolledBack"); len(got.Status.Vetoes) != 1 || got.Status.Vetoes[0].Tag != "1.2.0" {
		t.Errorf("the vetoes are %+v", got.Status.Vetoes)
	}
	k.push(t, "1.3.0")
	k.well(nil, "refresh", "prod/app")
	k.ready("UpToDate")
	if got := gitserver.Git(t, k.repo.Dir, "log", "--format=%s", rolledBack+"..main"); got != "Update "+k.image()+" to 1.3.0" {
		t.Errorf("after the rollback the controller wrote:\n%s", got)
	}
	k.repo.Fsck(t)
}

// runController runs until the test ends.
func (k *kubeWorld) runController() {
	k.t.Helper()
	ctrl.SetLogger(logr.Discard())
	scheme, err := newScheme()
	if err != nil {
		k.t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(k.cluster.Config, ctrl.Options{Scheme: scheme, Logger: logr.Discard(), Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		k.t.Fatal(err)
	}
	err = controller.Add(mgr, controller.Options{
		PlainHTTP: []string{"127.0.0.1"}, LookEvery: 200 * time.Millisecond, Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.t.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	k.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			k.t.Errorf("the controller ended with: %v", err)
		}
	})
}

// ready waits until prod/app is Ready for a reason.
func (k *kubeWorld) ready(reason string) *v1alpha1.ImagePolicy {
	k.t.Helper()
	const patience = 30 * time.Second
	policy, deadline := &v1alpha1.ImagePolicy{}, time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if err := k.admin.Get(k.t.Context(), client.ObjectKey{Namespace: "prod", Name: "app"}, policy); err != nil {
			k.t.Fatal(err)
		}
		if c := meta.FindStatusCondition(policy.Status.Conditions, v1alpha1.ConditionReady); c != nil && c.Reason == reason {
			return policy
		}
		time.Sleep(20 * time.Millisecond)
	}
	k.t.Fatalf("not %s after %v: %+v", reason, patience, policy.Status)
	return nil
}
