// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// longHistory is how many commits of other people stand on Pintle's.
const longHistory = 100_000

// lengthen adds commits that have nothing to do with images: each writes one of
// a hundred notes in a folder.
func (w *world) lengthen(folder string, commits int) {
	w.t.Helper()
	script := filepath.Join(w.t.TempDir(), "import")
	file, err := os.Create(script)
	if err != nil {
		w.t.Fatal(err)
	}
	out := bufio.NewWriter(file)
	when := time.Now().Add(-time.Hour).Unix()
	for i := range commits {
		fmt.Fprintf(out, "commit refs/heads/main\ncommitter Ada Person <ada@example.com> %d +0000\ndata 4\nNote\n", when)
		if i == 0 {
			fmt.Fprintf(out, "from refs/heads/main^0\n")
		}
		text := fmt.Sprintf("note %d\n", i)
		fmt.Fprintf(out, "M 100644 inline %s/%02d.txt\ndata %d\n%s\n", folder, i%100, len(text), text)
	}
	fmt.Fprintln(out, "done")
	if err := out.Flush(); err != nil {
		w.t.Fatal(err)
	}
	if _, err := file.Seek(0, 0); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), "git", "fast-import", "--quiet", "--done")
	cmd.Dir, cmd.Stdin = w.repo.Dir, file
	if said, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("cannot import: %v: %s", err, said)
	}
	if err := file.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestLongHistory: what a pass reads of 100,000 commits is what it needs. One
// with nothing due reads none; the texts are read once, the trees in batches for
// as far back as the field was not written by Pintle; and a process that has
// read them reads only what is new.
func TestLongHistory(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.lengthen("notes", longHistory)

	timed := func(what string, e *reconcile.Engine, reason reconcile.Reason, want gitserver.Counts) {
		t.Helper()
		w.server.Reset()
		started := time.Now()
		report, err := e.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Policies[0]; got.Reason != reason {
			t.Fatalf("%s: the reason is %s (%s), want %s", what, got.Reason, got.Message, reason)
		}
		t.Logf("%-40s %5.2f s  %+v", what, time.Since(started).Seconds(), w.server.Counts())
		if diff := cmp.Diff(want, w.server.Counts()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", what, diff)
		}
	}
	timed("cold, nothing due", w.engine(), reconcile.UpToDate, gitserver.Counts{Lookups: 1, UploadPacks: 1})

	u := w.user()
	u.edit(app, u.reference(), w.image("app:1.0.0"))
	u.commit("Back")
	u.push()
	e := w.engine()
	// The tip, the texts, the entry's trees and blobs, the trees that show who undid it.
	timed("cold, held", e, reconcile.RolledBack, gitserver.Counts{Lookups: 1, UploadPacks: 5})
	timed("warm, held", e, reconcile.RolledBack, gitserver.Counts{Lookups: 1})

	w.push("app", "1.2.0")
	// The same, and 100,000 trees, 2,000 in a request.
	timed("cold, due after 100,000 commits", w.engine(), reconcile.Updated, gitserver.Counts{Lookups: 1, UploadPacks: 55, ReceivePacks: 1})
	w.push("app", "1.3.0")
	timed("warm, due", e, reconcile.Updated, gitserver.Counts{Lookups: 1, UploadPacks: 1, ReceivePacks: 1})
	w.push("app", "1.4.0")
	timed("cold, due", w.engine(), reconcile.Updated, gitserver.Counts{Lookups: 1, UploadPacks: 4, ReceivePacks: 1})
	started := time.Now()
	rows, err := w.engine().History(t.Context(), "prod/app")
	if err != nil || len(rows) != 6 {
		t.Errorf("the history has %d rows, %v", len(rows), err)
	}
	t.Logf("%-40s %5.2f s", "cold, history", time.Since(started).Seconds())
}

// TestBusyFolder: where a field's folder changed in many commits since its newest entry,
// their trees come with those of the entry.
func TestBusyFolder(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.lengthen("apps", 1000)
	w.push("app", "1.2.0")
	w.server.Reset()
	w.expect(reconcile.Updated, at("1.2.0"))
	// The head, the texts, the trees of the entry and since then, the entry's blobs.
	want := gitserver.Counts{Lookups: 1, UploadPacks: 4, ReceivePacks: 1}
	if diff := cmp.Diff(want, w.server.Counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestShallowCheckout: a checkout without its history is refused, with what to do.
func TestShallowCheckout(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	dir := filepath.Join(t.TempDir(), "shallow")
	gitserver.Git(t, t.TempDir(), "clone", "--quiet", "--depth=1", "file://"+w.repo.Dir, dir)
	_, err := reconcile.Open(reconcile.Config{Repo: dir})
	if err == nil || !strings.Contains(err.Error(), "git fetch --unshallow") {
		t.Errorf("a shallow checkout: %v", err)
	}
}

// TestFirstTouch: the first time that a process writes to a folder, what Pintle and
// others did there comes in one request for trees and one for blobs. Trees that came
// with those of another folder are not asked for again, and later all is known.
func TestFirstTouch(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	files := map[string]string{}
	for _, name := range []string{"app", "web", "api"} {
		w.push(name, "1.0.0", "1.1.0")
		files["policies/"+name+".yaml"] = w.policy(name, name)
		files["fleet/"+name+"/prod/app.yaml"] = w.deployment(name, name+":1.0.0", name)
	}
	w.repo.Seed(t, files, "First")
	w.sync()
	w.lengthen("fleet/web/notes", 5)
	e := w.engine()
	pass := func(what string, packs int) {
		t.Helper()
		w.server.Reset()
		report, err := e.Sync(t.Context())
		if err != nil || len(report.Commits) != 1 {
			t.Fatalf("%s: %v, %v", what, report, err)
		}
		if diff := cmp.Diff(gitserver.Counts{Lookups: 1, UploadPacks: packs, ReceivePacks: 1}, w.server.Counts()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", what, diff)
		}
	}
	w.push("app", "1.2.0")
	pass("the first write", 4) // The head, the texts, trees, blobs.
	w.push("web", "1.2.0")
	pass("the first write to another folder", 1)
	w.push("web", "1.3.0")
	pass("the next one", 0)
	u := w.user()
	u.edit("fleet/web/notes/01.txt", "note", "NOTE")
	u.commit("A note")
	u.push()
	w.push("web", "1.4.0")
	pass("the next one after somebody's push", 1)
}
