// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/signers"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// TestCommitsAsTheSpecSays: grouping, template, author and signature, with git as the
// judge. The key is replaced without a restart, and what the old one signed counts on.
func TestCommitsAsTheSpecSays(t *testing.T) {
	w := newOwnWorld(t)
	w.open(w.namespace)
	files := map[string]string{}
	for _, name := range []string{"api", "web"} {
		w.push(name, "1.0.0", "1.1.0")
		files["apps/"+name+".yaml"] = w.deployment(name, name+":1.0.0", name)
		w.create(w.policy(name, name))
	}
	w.repo.Seed(t, files, "First")
	first, second := signers.OpenPGP(t, "open sesame"), signers.SSH(t, "ed25519", "")
	key := secret(w.namespace, "signing", "", map[string]string{"signingKey": string(first.Private), "passphrase": "open sesame\n"})
	repository := w.repository("fleet")
	repository.Spec.Commit = v1alpha1.Commit{
		Author: &v1alpha1.Author{Name: "Fleet Bot", Email: "bot@example.com"}, Grouping: v1alpha1.GroupingAll,
		MessageTemplate: "deploy: {{len .Images}} images\n\n{{.Body}}", Signing: &v1alpha1.Signing{SecretRef: v1alpha1.LocalReference{Name: "signing"}},
	}
	w.create(key, repository)
	w.controller(controller.Options{})
	w.untilReady(repository, "Synced")
	w.untilTag("apps/web.yaml", "1.1.0")
	if err := first.Verify(t, w.repo.Dir, "main"); err != nil {
		t.Errorf("not signed: %v", err)
	}
	said := gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%an <%ae>%n%B", "main")
	if want := "Fleet Bot <bot@example.com>\ndeploy: 2 images\n\n| file "; !strings.HasPrefix(said, want) || strings.Count(said, "\nPintle-Update: ") != 2 {
		t.Errorf("the commit is\n%s\nwant it to begin with\n%s", said, want)
	}

	w.change(key, func() {
		key.StringData = map[string]string{"signingKey": string(second.Private), "passphrase": "", "trustedKeys": string(first.Public)}
	})
	w.revert()
	w.untilReady(w.policy("web", "web"), "RolledBack")
	w.push("web", "1.2.0")
	w.change(repository, func() { repository.Spec.Commit.MessageTemplate = "" })
	w.untilTag("apps/web.yaml", "1.2.0")
	if err := second.Verify(t, w.repo.Dir, "main"); err != nil {
		t.Errorf("not signed with the new key: %v", err)
	}
	said = gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%B", "main")
	if !strings.Contains(said, "\nPintle-Update: "+w.namespace+"/web 2 ") {
		t.Errorf("revisions do not count on:\n%s", said)
	}
}
