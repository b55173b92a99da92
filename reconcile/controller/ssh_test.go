// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// A repository over SSH is written with the Secret that Flux would have for it, and
// only if the server's key is the known one.
func TestRepositoryOverSSH(t *testing.T) {
	w := newOwnWorld(t)
	server := gitserver.NewSSH(t, gitserver.Options{})
	w.repo = server.Create("fleet")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	w.push("app", "1.0.0", "1.1.0")
	other, err := os.ReadFile(gitserver.NewKey(t, "ed25519", "") + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	git := secret(w.namespace, "git", corev1.SecretTypeOpaque, map[string]string{"identity": server.PrivateKey, "known_hosts": server.KnownHost(string(other))})
	repository := w.repository("fleet")
	repository.Spec.Credentials = &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git"}}
	w.create(git, w.policy("app", "app"), repository)
	w.restrict(shared)
	w.open(w.namespace)
	w.controller(controller.Options{LookEvery: time.Second})
	change := func(key, value string) { w.change(git, func() { git.StringData = map[string]string{key: value} }) }

	ready := w.untilReady(repository, "HostKeyChanged")
	expectSays(t, "changed", ready, []string{"another is known", "ask the server's owner"})
	change("known_hosts", "git.example.com "+string(other))
	ready = w.untilReady(repository, "HostKeyUnknown")
	expectSays(t, "unknown", ready, []string{"ssh-keyscan -p " + server.Port + " 127.0.0.1"})
	change("identity", "no key")
	ready = w.untilReady(repository, "GitUnauthorized")
	expectSays(t, "no key", ready, []string{"the private key can't be read", "check the Secret that spec.credentials names"})
	change("identity", server.PrivateKey)
	change("known_hosts", server.KnownHosts[0])
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(repository, "Synced")
	w.repo.Fsck(t)
}
