// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// apiDoor stands before a Gitea and can shut its API alone.
type apiDoor struct {
	url   string
	shut  atomic.Bool
	asked atomic.Int32 // while it was shut
}

func newAPIDoor(t *testing.T, to string) *apiDoor {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	d := &apiDoor{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.shut.Load() && strings.HasPrefix(r.URL.Path, "/api/v1/") {
			d.asked.Add(1)
			http.Error(w, `{"message": "this token lacks a scope"}`, http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// A forge that refuses is a condition and asked rarely. Then a request is opened, its
// closing holds the policy, and a newer image that is merged is what Git holds.
func TestPullRequestsInACluster(t *testing.T) {
	w := newOwnWorld(t)
	g := parts.Gitea(t)
	door := newAPIDoor(t, g.URL)
	door.shut.Store(true)
	w.push("app", "1.0.0", "1.1.0")
	g.CreateRepository(t, "fleet")
	seedGitea(t, g, "apps/app.yaml", w.deployment("app", "app:1.0.0", "app"))
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	repository.Spec.URL, repository.Spec.Mode = door.url+"/ada/fleet.git", v1alpha1.ModePullRequest
	repository.Spec.PullRequest = &v1alpha1.PullRequest{Forge: "Gitea", Labels: []string{"images"}}
	repository.Spec.Credentials = &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git"}}
	w.create(secret(w.namespace, "git", "", map[string]string{"password": g.Token}), policy, repository)
	w.controller(controller.Options{})

	refused := w.untilReady(repository, "ForgeForbidden")
	if want := "cannot find out whose login this is at " + strings.TrimPrefix(door.url, "http://") + ": it answers 403 Forbidden: this token lacks a scope"; refused.Message != want {
		t.Errorf("the message is %q, want %q", refused.Message, want)
	}
	w.stays(2*time.Second, "the status", func() string { return w.status(repository) })
	if asked := door.asked.Load(); asked > 2 {
		t.Errorf("the forge was asked %d times while it refused", asked)
	}
	door.shut.Store(false)

	proposed := w.untilReady(policy, "Proposed")
	if !strings.Contains(proposed.Message, "#1 (") {
		t.Errorf("the policy says %q", proposed.Message)
	}
	w.untilCondition(repository, v1alpha1.ConditionWritten, "Proposed")
	w.untilReady(repository, "Synced")
	w.untilEvent(repository, "Proposed")
	w.stays(2*time.Second, "the statuses", func() string { return w.status(repository) + w.status(policy) })

	g.Call(t, http.MethodPatch, "/repos/ada/fleet/pulls/1", map[string]any{"state": "closed"}, nil)
	w.untilReady(policy, "RolledBack")
	w.push("app", "1.2.0")
	w.untilReady(policy, "Proposed")
	w.until("the second request is merged", func() (string, bool) {
		err := g.Try(t, http.MethodPost, "/repos/ada/fleet/pulls/2/merge", map[string]any{"Do": "rebase"}, nil)
		return fmt.Sprint(err), err == nil
	})
	w.untilReady(policy, "UpToDate")
	if c := policy.Status.Current; len(c) != 1 || c[0].Tag != "1.2.0" || len(policy.Status.History) != 1 {
		t.Errorf("the policy's status is %+v", policy.Status)
	}
	w.untilCondition(repository, v1alpha1.ConditionWritten, "Synced")
}

// seedGitea commits one file to main.
func seedGitea(t *testing.T, g *parts.Forge, file, content string) {
	t.Helper()
	u, err := url.Parse(g.URL + "/ada/fleet.git")
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(g.Username, g.Password)
	dir := t.TempDir()
	gitserver.Git(t, dir, "init", "--quiet", "--initial-branch=main")
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	gitserver.Git(t, dir, "add", "--all")
	gitserver.Git(t, dir, "commit", "--quiet", "--message", "First")
	gitserver.Git(t, dir, "push", "--quiet", u.String(), "main")
}

func (w *world) untilEvent(o client.Object, reason string) {
	w.t.Helper()
	w.until("an event "+reason, func() (string, bool) {
		var list corev1.EventList
		if err := w.client.List(w.t.Context(), &list, client.InNamespace(o.GetNamespace())); err != nil {
			return err.Error(), false
		}
		seen := ""
		for _, e := range list.Items {
			seen += e.Reason + " of " + e.InvolvedObject.Name + "\n"
			if e.Reason == reason && e.InvolvedObject.Name == o.GetName() {
				return "", true
			}
		}
		return seen, false
	})
}
