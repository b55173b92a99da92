// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/signers"
	"github.com/pintle-dev/pintle/gitwriter/signing"
	"github.com/pintle-dev/pintle/reconcile"
)

// keysOf are a signer's, with others whose commits count.
func keysOf(t *testing.T, s signers.Signer, others ...signers.Signer) *signing.Keys {
	t.Helper()
	own, err := signing.NewKey(s.Private, s.Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	keys := &signing.Keys{Own: own}
	var public []byte
	for _, o := range others {
		public = append(public, o.Public...)
	}
	if len(others) > 0 {
		if keys.Others, err = signing.NewTrusted(public); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// TestSignedCommits has git and gpg or ssh-keygen say whether the commits are signed,
// each of a push, and an update after a revert too.
func TestSignedCommits(t *testing.T) {
	for name, s := range signers.All(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := groupedWorld(t)
			commits := reconcile.Commits{Keys: keysOf(t, s)}
			w.with(commits)
			if err := s.Verify(t, w.repo.Dir, "main", "main~1"); err != nil {
				t.Errorf("not signed: %v", err)
			}
			if err := s.Verify(t, w.repo.Dir, "main~2"); err == nil {
				t.Error("what is not signed passes for signed")
			}
			if err := signers.SSH(t, "ed25519", "").Verify(t, w.repo.Dir, "main"); err == nil {
				t.Error("another key passes")
			}
			u := w.user()
			u.git("revert", "--no-edit", "HEAD")
			u.push()
			want := []string{"prod/app UpToDate", "prod/app-too UpToDate", "prod/web RolledBack"}
			if diff := cmp.Diff(want, reasons(w.with(commits))); diff != "" {
				t.Errorf("after the revert (-want +got):\n%s", diff)
			}
			w.expectNext(commits)
			if err := s.Verify(t, w.repo.Dir, "main", "main~1"); err != nil {
				t.Errorf("not signed: %v", err)
			}
		})
	}
}

// wants syncs and checks the first policy, and that there is no problem.
func (w *world) wants(commits reconcile.Commits, reason reconcile.Reason, tag string) *reconcile.Report {
	w.t.Helper()
	report := w.with(commits)
	if p := report.Policies[0]; p.Reason != reason || w.tag(app) != tag {
		w.t.Fatalf("it is %s at %s, want %s at %s: %s", p.Reason, w.tag(app), reason, tag, p.Message)
	}
	if len(report.Problems) > 0 {
		w.t.Fatalf("problems: %v", report.Problems)
	}
	return report
}

// revert undoes the newest commit.
func (w *world) revert() {
	u := w.user()
	u.git("revert", "--no-edit", "HEAD")
	u.push()
}

// TestSigningForgetsNothing: what was undone before signing began stays undone, and
// revisions count on.
func TestSigningForgetsNothing(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	signed := reconcile.Commits{Keys: keysOf(t, signers.SSH(t, "ed25519", ""))}
	w.wants(reconcile.Commits{}, reconcile.Updated, "1.1.0")
	w.push("app", "1.2.0")
	w.wants(reconcile.Commits{}, reconcile.Updated, "1.2.0")
	w.revert()
	w.wants(signed, reconcile.RolledBack, "1.1.0")
	w.push("app", "1.3.0")
	w.wants(signed, reconcile.Updated, "1.3.0")
	if diff := cmp.Diff([]string{"prod/app 3"}, w.entries(1)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	w.revert()
	w.wants(signed, reconcile.RolledBack, "1.1.0")
	report := w.with(signed)
	if len(report.Commits) != 0 {
		t.Error("it is no fixpoint")
	}
	e, err := reconcile.OpenBeside(w.first, reconcile.Config{Repo: w.address, Commits: signed})
	if err != nil {
		t.Fatal(err)
	}
	history, err := e.History(t.Context(), "prod/app")
	if err != nil {
		t.Fatal(err)
	}
	var revisions []int
	for _, r := range history {
		if r.Revision > 0 {
			revisions = append(revisions, r.Revision)
		}
	}
	if diff := cmp.Diff([]int{3, 2, 1}, revisions); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
}

// TestUnsignedEntriesDoNotCount: once Pintle signed a commit, one that looks like its
// own and is not signed, or with another key, lifts nothing and casts nothing. It is
// reported until a proven entry follows.
func TestUnsignedEntriesDoNotCount(t *testing.T) {
	for name, forger := range map[string]reconcile.Commits{
		"not signed": {}, "signed by another": {Keys: keysOf(t, signers.SSH(t, "ed25519", ""))},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, gitserver.Options{})
			w.seed()
			signed := reconcile.Commits{Keys: keysOf(t, signers.SSH(t, "ed25519", ""))}
			w.wants(signed, reconcile.Updated, "1.1.0")
			w.push("app", "1.2.0")
			w.wants(signed, reconcile.Updated, "1.2.0")
			w.revert()
			w.wants(signed, reconcile.RolledBack, "1.1.0")
			// Somebody resumes with Pintle's own command, and without its key.
			w.push("app", "1.3.0")
			w.wants(forger, reconcile.Updated, "1.3.0")
			w.revert()
			// The hold of what the forger wrote is by the file's history, not by its entry.
			report := w.with(signed)
			if p := report.Policies[0]; p.Reason != reconcile.RolledBack || w.tag(app) != "1.1.0" {
				t.Fatalf("it is %s at %s: %s", p.Reason, w.tag(app), p.Message)
			}
			found := false
			for _, p := range report.Problems {
				found = found || strings.Contains(p.Message, "not signed with a key of Pintle's: taken for an edit by hand")
			}
			if !found {
				t.Errorf("problems: %v", report.Problems)
			}
			w.push("app", "1.4.0")
			w.with(signed)
			if diff := cmp.Diff([]string{"prod/app 3"}, w.entries(1)); diff != "" || w.tag(app) != "1.4.0" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			w.wants(signed, reconcile.UpToDate, "1.4.0")
		})
	}
}

// TestKeyRotation: what the old key signed counts on where it is listed.
func TestKeyRotation(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	first, second := signers.OpenPGP(t, ""), signers.SSH(t, "ed25519", "")
	w.wants(reconcile.Commits{Keys: keysOf(t, first)}, reconcile.Updated, "1.1.0")
	w.revert()
	rotated := reconcile.Commits{Keys: keysOf(t, second, first)}
	w.wants(rotated, reconcile.RolledBack, "1.0.0")
	w.push("app", "1.2.0")
	w.wants(rotated, reconcile.Updated, "1.2.0")
	if err := second.Verify(t, w.repo.Dir, "main"); err != nil {
		t.Errorf("not signed with the new key: %v", err)
	}
	if diff := cmp.Diff([]string{"prod/app 2"}, w.entries(1)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// TestUnsignedLineFromBefore: what claims to be an entry on a line that left before
// signing began, and is merged later, does not count; nor does a copy of a signed one.
func TestUnsignedLineFromBefore(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	signed := reconcile.Commits{Keys: keysOf(t, signers.SSH(t, "ed25519", ""))}
	base := w.repo.Head(t, "main")
	digest := w.wants(signed, reconcile.Updated, "1.1.0").Policies[0].Selected.Digest
	w.revert()
	w.wants(signed, reconcile.RolledBack, "1.0.0")
	u := w.user()
	// Somebody's resume, which would lift the veto of 1.1.0 if it were one.
	for _, mine := range []string{"HEAD", base} {
		u.git("switch", "--quiet", "--detach", mine)
		u.edit(app, w.image("app:1.0.0"), w.image("app:1.1.0@"+digest))
		u.forge(w.claims(2, "1.0.0", "1.1.0@"+digest, "resume"))
		u.edit(app, w.image("app:1.1.0@"+digest), w.image("app:1.0.0"))
		u.commit("Back")
		u.git("switch", "--quiet", "main")
		u.git("merge", "--quiet", "--no-ff", "--no-edit", "HEAD@{1}")
		u.push()
		report := w.with(signed)
		if p := report.Policies[0]; p.Reason != reconcile.RolledBack || len(report.Commits) > 0 {
			t.Fatalf("it is %s: %s", p.Reason, p.Message)
		}
		if len(report.Problems) == 0 || !strings.Contains(report.Problems[0].Message, "not signed with a key of Pintle's") {
			t.Errorf("problems: %v", report.Problems)
		}
	}
	w.push("app", "1.2.0")
	w.with(signed)
	if diff := cmp.Diff([]string{"prod/app 2"}, w.entries(1)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}
