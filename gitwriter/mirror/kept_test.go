// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// reader does with a mirror what a pass does, and returns what it read.
type reader struct {
	m    *Mirror
	root plumbing.Hash
	ids  map[string]plumbing.Hash
}

func newReader(t *testing.T, repo gitserver.Repo, folder string) *reader {
	t.Helper()
	m, err := Open(repo.URL, "", Auth{})
	if err != nil {
		t.Fatal(err)
	}
	if folder != "" {
		m.Keep(folder, func(err error) { t.Logf("warned: %v", err) })
	}
	return &reader{m: m, ids: map[string]plumbing.Hash{}}
}

// read is a pass: the contents of all files, and how many commits there are.
func (r *reader) read(t *testing.T) map[string]string {
	t.Helper()
	r.m.Sweep(r.root, func(yield func(plumbing.Hash) bool) {
		for _, id := range r.ids {
			if !yield(id) {
				return
			}
		}
	})
	if _, err := r.m.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.m.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	head, err := r.m.HeadCommit()
	if err != nil {
		t.Fatal(err)
	}
	diffs, err := r.m.Diff(t.Context(), []Pair{{Old: r.root, New: head.TreeHash}}, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var blobs []plumbing.Hash
	for _, d := range diffs[0] {
		blobs = append(blobs, d.New)
		if r.ids[d.Path] = d.New; d.New.IsZero() {
			delete(r.ids, d.Path)
		}
	}
	if err := r.m.Need(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	if err := r.m.Save(t.Context(), blobs); err != nil {
		t.Fatal(err)
	}
	r.root = head.TreeHash
	found := map[string]string{"head": r.m.Head().String()}
	for path, id := range r.ids {
		content, err := r.m.Blob(id)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		found[path] = string(content)
	}
	commits, err := r.m.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range commits {
		found[fmt.Sprintf("commit %d", i)] = fmt.Sprint(c.Hash, c.Tree, c.Author, c.Text)
	}
	return found
}

func (r *reader) close(t *testing.T) {
	t.Helper()
	if err := r.m.Close(); err != nil {
		t.Fatal(err)
	}
}

func keptFile(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "git", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files: %v, %v", files, err)
	}
	return files[0]
}

var fewFiles = map[string]string{"apps/a.yaml": "a: 1\n", "apps/deep/b.yaml": "b: 1\n", "c.yaml": "c: 1\n"}

// TestKeep: a restart costs one look-up where the head stands, and what is new where it
// moved; the history comes from disk too.
func TestKeep(t *testing.T) {
	for name, options := range map[string]gitserver.Options{"filter": {}, "no filter": {NoFilter: true}} {
		t.Run(name, func(t *testing.T) {
			server := gitserver.New(t, options)
			repo := server.Create("fleet")
			repo.Seed(t, fewFiles, "First")
			repo.Seed(t, map[string]string{"apps/a.yaml": "a: 2\n"}, "Second\n\nPintle-Policy: prod/app\n")
			folder := t.TempDir()
			first := newReader(t, repo, folder)
			first.read(t)
			first.close(t)

			server.Reset()
			second := newReader(t, repo, folder)
			got := second.read(t)
			if diff := cmp.Diff(gitserver.Counts{Lookups: 1}, server.Counts()); diff != "" {
				t.Errorf("the head stands (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(newReader(t, repo, "").read(t), got); diff != "" {
				t.Errorf("read from disk (-fresh +got):\n%s", diff)
			}
			second.close(t)

			repo.Seed(t, map[string]string{"apps/deep/b.yaml": "b: 2\n"}, "Third")
			server.Reset()
			third := newReader(t, repo, folder)
			got = third.read(t)
			if diff := cmp.Diff(gitserver.Counts{Lookups: 1, UploadPacks: 1}, server.Counts()); diff != "" {
				t.Errorf("the head moved (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(newReader(t, repo, "").read(t), got); diff != "" {
				t.Errorf("read from disk and on (-fresh +got):\n%s", diff)
			}
			third.close(t)
		})
	}
}

// TestKeepWhatIsPushed: what a process pushed it needs not fetch in the next run.
func TestKeepWhatIsPushed(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, fewFiles, "First")
	folder := t.TempDir()
	first := newReader(t, repo, folder)
	first.read(t)
	d, err := first.m.NewDraft()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(map[string][]byte{"apps/a.yaml": []byte("a: 2\n")}, object.Signature{Name: "P", Email: "p@example.com"}, "Two\n", nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.close(t)
	server.Reset()
	second := newReader(t, repo, folder)
	got := second.read(t)
	if diff := cmp.Diff(gitserver.Counts{Lookups: 1}, server.Counts()); diff != "" {
		t.Errorf("after a push (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(newReader(t, repo, "").read(t), got); diff != "" {
		t.Errorf("read from disk (-fresh +got):\n%s", diff)
	}
}

// TestKeepBroken cuts the file at and around each record, and flips bytes: what is read
// is the same.
func TestKeepBroken(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, fewFiles, "First")
	repo.Seed(t, map[string]string{"apps/a.yaml": "a: 2\n"}, "Second\n\nPintle-Policy: prod/app\n")
	folder := t.TempDir()
	first := newReader(t, repo, folder)
	want := first.read(t)
	first.close(t)
	path := keptFile(t, folder)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string][]byte{"empty": nil, "other": []byte("something else\n")}
	at := int64(len(diskHeader))
	if _, err := readRecords(bytes.NewReader(whole), func(r record) {
		broken[fmt.Sprintf("cut before the record at %d", at)] = slices.Clone(whole[:at])
		broken[fmt.Sprintf("cut in the record at %d", at)] = slices.Clone(whole[:r.at+1])
		for i, place := range []int64{at, at + 1, at + 4, r.at + int64(len(r.content)) - 1, r.at + int64(len(r.content))} {
			flipped := slices.Clone(whole)
			flipped[place] ^= 1
			broken[fmt.Sprintf("flipped %d in the record at %d", i, at)] = flipped
		}
		next := r.at + int64(len(r.content)) + int64(len(r.id))
		broken[fmt.Sprintf("without the record at %d", at)] = slices.Concat(whole[:at], whole[next:])
		at = next
	}); err != nil || at != int64(len(whole)) {
		t.Fatalf("records up to %d of %d, %v", at, len(whole), err)
	}
	for name, content := range broken {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r := newReader(t, repo, folder)
		if diff := cmp.Diff(want, r.read(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		r.close(t)
	}
}

// TestKeepBrokenLater: what breaks while the mirror is at work costs one pass.
func TestKeepBrokenLater(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, fewFiles, "First")
	folder := t.TempDir()
	first := newReader(t, repo, folder)
	want := first.read(t)
	first.close(t)
	r := newReader(t, repo, folder)
	path := keptFile(t, folder)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(content, []byte("b: 1"), []byte("b: 9")), 0o600); err != nil {
		t.Fatal(err)
	}
	id := plumbing.ComputeHash(plumbing.BlobObject, []byte("b: 1\n"))
	if got, err := r.m.Blob(id); !errors.Is(err, errOnDisk) {
		t.Errorf("got %q, %v, want that it is broken", got, err)
	}
	if diff := cmp.Diff(want, r.read(t)); diff != "" {
		t.Errorf("the next pass (-want +got):\n%s", diff)
	}
}

// TestKeepFails: a folder that can't be used, and one that another process uses, are
// told once and done without.
func TestKeepFails(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, fewFiles, "First")
	want := newReader(t, repo, "").read(t)
	used := t.TempDir()
	holder := newReader(t, repo, used)
	holder.read(t)
	noFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(noFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	for name, folder := range map[string]string{"no folder": noFolder, "in use": used, "full": full} {
		t.Run(name, func(t *testing.T) {
			r := newReader(t, repo, "")
			warned := 0
			r.m.Keep(folder, func(error) { warned++ })
			if name == "full" {
				device, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				r.m.disk.file = device
				r.m.disk.out.Reset(device)
			}
			for range 2 {
				if diff := cmp.Diff(want, r.read(t)); diff != "" {
					t.Errorf("without a cache (-want +got):\n%s", diff)
				}
			}
			if warned != 1 {
				t.Errorf("told %d times, want once", warned)
			}
		})
	}
	holder.close(t)
	server := newReader(t, repo, used)
	if !server.m.FromDisk() {
		t.Error("who had the file lost it to another one")
	}
}

// TestKeepElsewhere: the branch was forced, or the repository is another one.
func TestKeepElsewhere(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{})
	for _, name := range []string{"forced", "other"} {
		t.Run(name, func(t *testing.T) {
			repo := server.Create(name)
			base := repo.Seed(t, fewFiles, "First")
			repo.Seed(t, map[string]string{"apps/a.yaml": "a: 2\n"}, "Second")
			folder := t.TempDir()
			first := newReader(t, repo, folder)
			first.read(t)
			first.close(t)
			gitserver.Git(t, repo.Dir, "update-ref", "refs/heads/main", base)
			if name == "other" {
				other := server.Create("another")
				other.Seed(t, map[string]string{"d.yaml": "d: 1\n"}, "Other")
				if err := errors.Join(os.RemoveAll(repo.Dir), os.Rename(other.Dir, repo.Dir)); err != nil {
					t.Fatal(err)
				}
			}
			r := newReader(t, repo, folder)
			if diff := cmp.Diff(newReader(t, repo, "").read(t), r.read(t)); diff != "" {
				t.Errorf("elsewhere (-fresh +got):\n%s", diff)
			}
		})
	}
}

// TestManyUpdates: a thousand updates by others and drafts that are lost leave a mirror
// as it was: in memory, on disk, in goroutines and in open files.
func TestManyUpdates(t *testing.T) {
	const updates = 1000
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	large := string(bytes.Repeat([]byte("# a comment\n"), 2000))
	repo.Seed(t, map[string]string{"apps/a.yaml": large, "b.yaml": "b: 1\n"}, "First")
	importUpdates(t, repo, updates, large)
	folder := t.TempDir()
	r := newReader(t, repo, folder)
	var before usage
	for i := range updates {
		at := i
		if i%7 == 6 {
			at -= 3 // It is forced back now and then.
		}
		gitserver.Git(t, repo.Dir, "update-ref", "refs/heads/main", fmt.Sprintf("all~%d", updates-at))
		r.read(t)
		d, err := r.m.NewDraft()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Commit(map[string][]byte{"apps/a.yaml": []byte(fmt.Sprint("# lost ", i, "\n", large))}, object.Signature{}, "Lost\n", nil); err != nil {
			t.Fatal(err)
		}
		if i == updates/5 {
			before = used(t, r, folder)
		}
	}
	after := used(t, r, folder)
	t.Logf("after %d: %+v, after %d: %+v", updates/5, before, updates, after)
	if after.heap > before.heap+2<<20 || after.goroutines > before.goroutines+2 || after.files > before.files+2 || after.disk > 12<<20 {
		t.Error("it grows")
	}
}

// importUpdates makes a branch "all" of commits that change a large file each.
func importUpdates(t *testing.T, repo gitserver.Repo, updates int, large string) {
	t.Helper()
	var script bytes.Buffer
	for i := range updates {
		fmt.Fprintf(&script, "commit refs/heads/all\ncommitter Ada Person <ada@example.com> %d +0000\ndata 4\nNote\n", 1_700_000_000+i)
		if i == 0 {
			fmt.Fprintln(&script, "from refs/heads/main^0")
		}
		text := fmt.Sprint("# ", i, "\n", large)
		fmt.Fprintf(&script, "M 100644 inline apps/a.yaml\ndata %d\n%s\n", len(text), text)
	}
	command := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet")
	command.Dir, command.Stdin = repo.Dir, &script
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("cannot import: %v: %s", err, said)
	}
}

type usage struct {
	heap, disk        int64
	goroutines, files int
}

func used(t *testing.T, r *reader, folder string) usage {
	t.Helper()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(keptFile(t, folder))
	if err != nil {
		t.Fatal(err)
	}
	u := usage{int64(memory.HeapAlloc), info.Size(), runtime.NumGoroutine(), len(files)}
	runtime.KeepAlive(r)
	return u
}

// TestKeepFailsLate: what is only on disk is fetched where the disk is full in the midst
// of a pass.
func TestKeepFailsLate(t *testing.T) {
	for name, options := range map[string]gitserver.Options{"filter": {}, "no filter": {NoFilter: true}} {
		t.Run(name, func(t *testing.T) {
			repo := gitserver.New(t, options).Create("fleet")
			repo.Seed(t, fewFiles, "First")
			folder := t.TempDir()
			first := newReader(t, repo, folder)
			first.read(t)
			first.close(t)
			repo.Seed(t, map[string]string{"apps/a.yaml": "a: 2\n"}, "Second")
			second := newReader(t, repo, folder)
			device, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			second.m.disk.out.Reset(device)
			if diff := cmp.Diff(newReader(t, repo, "").read(t), second.read(t)); diff != "" {
				t.Errorf("after the disk was full (-fresh +got):\n%s", diff)
			}
		})
	}
}
