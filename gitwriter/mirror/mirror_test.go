// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

func open(t *testing.T, repo string) *mirror.Mirror {
	t.Helper()
	m, err := mirror.Open(repo, "", mirror.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func fetch(t *testing.T, m *mirror.Mirror) {
	t.Helper()
	if _, err := m.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// commit drafts one commit with these files and pushes it.
func commit(ctx context.Context, m *mirror.Mirror, files map[string][]byte) error {
	d, err := m.NewDraft()
	if err != nil {
		return err
	}
	author := object.Signature{Name: "Pintle", Email: "noreply@pintle.dev", When: time.Unix(1_700_000_000, 0)}
	if _, err := d.Commit(files, author, "Update\n", nil); err != nil {
		return err
	}
	return d.Push(ctx)
}

// eachTransport runs a test over every way to reach a repository.
func eachTransport(t *testing.T, test func(t *testing.T, repo gitserver.Repo, connect func() *mirror.Mirror)) {
	for name, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
		t.Run("http, "+name, func(t *testing.T) {
			repo := gitserver.New(t, options).Create("fleet")
			test(t, repo, func() *mirror.Mirror { return open(t, repo.URL) })
		})
		t.Run("ssh, "+name, func(t *testing.T) {
			server := gitserver.NewSSH(t, options)
			repo := server.Create("fleet")
			var opened []*mirror.Mirror
			test(t, repo, func() *mirror.Mirror {
				m := openSSH(t, server, repo)
				opened = append(opened, m)
				return m
			})
			sessionsEnd(t, opened...)
		})
	}
	t.Run("path", func(t *testing.T) {
		repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
		test(t, repo, func() *mirror.Mirror { return open(t, repo.Dir) })
	})
	t.Run("file URL", func(t *testing.T) {
		repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
		test(t, repo, func() *mirror.Mirror { return open(t, "file://"+repo.Dir) })
	})
}

func TestWriteAndFollow(t *testing.T) {
	eachTransport(t, func(t *testing.T, repo gitserver.Repo, connect func() *mirror.Mirror) {
		repo.Seed(t, map[string]string{"apps/a/x.yaml": "a: 1\n", "apps/b/y.yaml": "b: 1\n", "z.yaml": "z: 1\n"}, "First")
		repo.Seed(t, map[string]string{"apps/a/x.yaml": "a: 2\n"}, "Second")
		m := connect()
		fetch(t, m)

		if err := commit(t.Context(), m, map[string][]byte{"apps/a/x.yaml": []byte("a: 3\n"), "z.yaml": []byte("z: 3\n")}); err != nil {
			t.Fatal(err)
		}
		repo.Fsck(t)
		if got := gitserver.Git(t, repo.Dir, "diff", "--name-only", "main~1", "main"); got != "apps/a/x.yaml\nz.yaml" {
			t.Errorf("the commit changes %q", got)
		}

		// Somebody else goes back to content that only the history holds.
		clone := repo.Clone(t)
		gitserver.Git(t, clone, "revert", "--no-edit", "HEAD")
		gitserver.Git(t, clone, "push", "--quiet", "origin", "main")
		fetch(t, m)
		history, err := m.History(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(history) != 4 || history[3].Hash.String() != repo.Head(t, "main") {
			t.Fatalf("history has %d commits, want 4 up to the head", len(history))
		}
		pairs := make([]mirror.Pair, 0, 3)
		for _, c := range slices.Backward(history[1:]) {
			pairs = append(pairs, mirror.Pair{Old: c.Parents[0].Tree, New: c.Tree})
		}
		diffs, err := m.Diff(t.Context(), pairs, func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		var paths [][]string
		for _, d := range diffs {
			var names []string
			for _, f := range d {
				names = append(names, f.Path)
				if err := m.Need(t.Context(), []plumbing.Hash{f.Old, f.New}); err != nil {
					t.Fatal(err)
				}
				if _, err := m.Blob(f.New); err != nil {
					t.Errorf("blob of %s: %v", f.Path, err)
				}
			}
			paths = append(paths, names)
		}
		want := [][]string{{"z.yaml", "apps/a/x.yaml"}, {"z.yaml", "apps/a/x.yaml"}, {"apps/a/x.yaml"}}
		if diff := cmp.Diff(want, paths); diff != "" {
			t.Errorf("changed files (-want +got):\n%s", diff)
		}
	})
}

func TestLostRace(t *testing.T) {
	eachTransport(t, func(t *testing.T, repo gitserver.Repo, connect func() *mirror.Mirror) {
		repo.Seed(t, map[string]string{"a.yaml": "a: 1\n", "b.yaml": "b: 1\n"}, "First")
		ours, theirs := connect(), connect()
		fetch(t, ours)
		fetch(t, theirs)
		if err := commit(t.Context(), theirs, map[string][]byte{"b.yaml": []byte("b: 2\n")}); err != nil {
			t.Fatal(err)
		}
		err := commit(t.Context(), ours, map[string][]byte{"a.yaml": []byte("a: 2\n")})
		if _, lost := errors.AsType[*mirror.RaceError](err); !lost {
			t.Fatalf("the push says %v, want a lost race", err)
		}
		fetch(t, ours)
		if err := commit(t.Context(), ours, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
			t.Fatal(err)
		}
		repo.Fsck(t)
		if got := gitserver.Git(t, repo.Dir, "show", "main:a.yaml", "main:b.yaml"); got != "a: 2\nb: 2" {
			t.Errorf("the branch holds %q", got)
		}
	})
}

func TestTraffic(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	m := open(t, repo.URL)
	steps := []struct {
		name string
		do   func()
		want gitserver.Counts
	}{
		{"first", func() { fetch(t, m) }, gitserver.Counts{Lookups: 1, UploadPacks: 1}},
		{"idle", func() { fetch(t, m) }, gitserver.Counts{Lookups: 1}},
		{"write", func() {
			if err := commit(t.Context(), m, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
				t.Fatal(err)
			}
		}, gitserver.Counts{ReceivePacks: 1}},
		{"after the write", func() { fetch(t, m) }, gitserver.Counts{Lookups: 1}},
	}
	for _, s := range steps {
		server.Reset()
		s.do()
		if diff := cmp.Diff(s.want, server.Counts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.name, diff)
		}
	}
}

func TestCheckout(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	dir := repo.Clone(t)
	before := repo.Head(t, "main")
	m := open(t, dir)
	fetch(t, m)
	if err := commit(t.Context(), m, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "a.yaml"))
	if err != nil || string(content) != "a: 2\n" {
		t.Errorf("a.yaml holds %q, %v", content, err)
	}
	if status := gitserver.Git(t, dir, "status", "--porcelain"); status != "" {
		t.Errorf("the checkout is not clean: %s", status)
	}
	if repo.Head(t, "main") != before {
		t.Error("the checkout was pushed")
	}

	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("a: mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = commit(t.Context(), m, map[string][]byte{"a.yaml": []byte("a: 3\n")})
	var refused *mirror.Error
	if !errors.As(err, &refused) || refused.Kind != mirror.Rejected {
		t.Fatalf("a checkout with changes: %v, want it refused", err)
	}
	if content, _ := os.ReadFile(filepath.Join(dir, "a.yaml")); string(content) != "a: mine\n" {
		t.Errorf("the changed file holds %q now", content)
	}
}

func TestErrors(t *testing.T) {
	open401 := gitserver.New(t, gitserver.Options{Username: "ada", Password: "s3cret"})
	locked := open401.Create("fleet")
	locked.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	readOnly := gitserver.New(t, gitserver.Options{ReadOnly: true}).Create("fleet")
	readOnly.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	guarded := gitserver.New(t, gitserver.Options{}).Create("fleet")
	guarded.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	empty := gitserver.New(t, gitserver.Options{}).Create("fleet")
	shallow := filepath.Join(t.TempDir(), "shallow")
	guarded.Seed(t, map[string]string{"a.yaml": "a: 2\n"}, "Second")
	guarded.Hook(t, "pre-receive", "#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
	gitserver.Git(t, t.TempDir(), "clone", "--quiet", "--depth=1", "file://"+guarded.Dir, shallow)

	cases := map[string]struct {
		repo, branch string
		auth         mirror.Auth
		kind         mirror.Kind
		says         string
	}{
		"no such repository":    {repo: strings.Replace(locked.URL, "fleet", "none", 1), auth: mirror.Auth{Username: "ada", Password: "s3cret"}, kind: mirror.NotFound, says: "no such repository"},
		"no such path":          {repo: filepath.Join(t.TempDir(), "none"), kind: mirror.NotFound, says: "no Git repository"},
		"no credentials":        {repo: locked.URL, kind: mirror.Unauthorized, says: "--git-password-file"},
		"wrong password":        {repo: locked.URL, auth: mirror.Auth{Username: "ada", Password: "wr0ng"}, kind: mirror.Unauthorized, says: "other credentials"},
		"wrong password in URL": {repo: strings.Replace(locked.URL, "://", "://ada:wr0ng@", 1), kind: mirror.Unauthorized, says: "other credentials"},
		"read-only":             {repo: readOnly.URL, kind: mirror.Forbidden, says: "push"},
		"protected":             {repo: guarded.URL, kind: mirror.Rejected, says: "main is protected"},
		"protected, by path":    {repo: guarded.Dir, kind: mirror.Rejected, says: "main is protected"},
		"no branch":             {repo: guarded.URL, branch: "release", kind: mirror.NoBranch, says: `"release"`},
		"empty":                 {repo: empty.URL, kind: mirror.NoBranch, says: "empty"},
		"shallow checkout":      {repo: shallow, kind: mirror.Shallow, says: "--unshallow"},
		"no server":             {repo: "http://127.0.0.1:1/x.git", kind: mirror.Unreachable, says: "cannot read http://127.0.0.1:1/x.git"},
		"another scheme":        {repo: "git://example.com/x.git", kind: mirror.NotFound, says: "not supported"},
		"malformed":             {repo: "https://ada:wr0ng@exa mple.com/%zz", kind: mirror.NotFound, says: "malformed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := writeTo(t.Context(), c.repo, c.branch, c.auth)
			var got *mirror.Error
			if !errors.As(err, &got) || got.Kind != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want kind %d and %q", err, c.kind, c.says)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, got, got.Err), "wr0ng") {
				t.Errorf("the message tells the password: %v", err)
			}
		})
	}
}

// writeTo does all that a pass does with a repository.
func writeTo(ctx context.Context, repo, branch string, auth mirror.Auth) error {
	m, err := mirror.Open(repo, branch, auth)
	if err != nil {
		return err
	}
	defer mirror.HangUp(m)
	if _, err := m.Tip(ctx); err != nil {
		return err
	}
	if err := m.Fetch(ctx); err != nil {
		return err
	}
	return commit(ctx, m, map[string][]byte{"a.yaml": []byte("a: 9\n")})
}

// TestForcedBack follows a branch that somebody forces back to an older commit,
// of which the server thinks that whoever has the newer one has it too.
func TestForcedBack(t *testing.T) {
	eachTransport(t, func(t *testing.T, repo gitserver.Repo, connect func() *mirror.Mirror) {
		for i := range 4 {
			repo.Seed(t, map[string]string{"apps/a.yaml": fmt.Sprintf("a: %d\n", i)}, "Step")
		}
		m := connect()
		fetch(t, m)
		newer, err := m.HeadCommit()
		if err != nil {
			t.Fatal(err)
		}
		clone := repo.Clone(t)
		gitserver.Git(t, clone, "reset", "--quiet", "--hard", "HEAD~2")
		gitserver.Git(t, clone, "push", "--quiet", "--force", "origin", "main")
		fetch(t, m)
		older, err := m.HeadCommit()
		if err != nil {
			t.Fatal(err)
		}
		diffs, err := m.Diff(t.Context(), []mirror.Pair{{Old: newer.TreeHash, New: older.TreeHash}}, func(string) bool { return true })
		if err != nil || len(diffs[0]) != 1 {
			t.Fatalf("the difference is %v, %v", diffs, err)
		}
		if err := m.Need(t.Context(), []plumbing.Hash{diffs[0][0].New}); err != nil {
			t.Fatal(err)
		}
		if content, err := m.Blob(diffs[0][0].New); err != nil || string(content) != "a: 1\n" {
			t.Errorf("the file holds %q, %v", content, err)
		}
		if history, err := m.History(t.Context()); err != nil || len(history) != 2 {
			t.Errorf("the history has %d commits, %v", len(history), err)
		}
		if err := commit(t.Context(), m, map[string][]byte{"apps/a.yaml": []byte("a: 9\n")}); err != nil {
			t.Error(err)
		}
		repo.Fsck(t)
	})
}
