// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// TestReadTexts compares what is read of a pack of commits with what was packed: as they
// are, as chains of deltas, and what lies.
func TestReadTexts(t *testing.T) {
	text := []byte(strings.Repeat("0123456789", 10))
	whole := entry{kind: plumbing.CommitObject, content: text}
	// after makes an object out of the one that so many bytes before it begins.
	after := func(back int, size, into int) entry {
		return entry{kind: plumbing.OFSDeltaObject, base: []byte{byte(back)}, content: copyDelta(size, into)}
	}
	one := len(entryHeader(plumbing.CommitObject, 100)) + len(zipped(t, text))
	two := len(packOf(t, after(one, 100, 200))) - 12 - 20
	id := plumbing.ComputeHash(plumbing.CommitObject, text)
	for name, test := range map[string]struct {
		pack  []byte
		limit int64
		want  []int // sizes
		fails error
	}{
		"whole":                      {pack: packOf(t, whole, whole), want: []int{100, 100}},
		"a chain":                    {pack: packOf(t, whole, after(one, 100, 200), after(two, 200, 400)), want: []int{100, 200, 400}},
		"at the limit":               {pack: packOf(t, whole, after(one, 100, 200)), limit: 300, want: []int{100, 200}},
		"over the limit":             {pack: packOf(t, whole, after(one, 100, 200)), limit: 299, fails: errUnpacked},
		"a tree":                     {pack: packOf(t, whole, entry{kind: plumbing.TreeObject, content: text}), fails: errNotTexts},
		"a delta that names an id":   {pack: packOf(t, whole, entry{kind: plumbing.REFDeltaObject, base: id[:], content: copyDelta(100, 200)}), fails: errNotTexts},
		"a text of 2^56 bytes":       {pack: packOf(t, entry{kind: plumbing.CommitObject, size: 1 << 56, content: text}), fails: errNotTexts},
		"a delta that makes 2^62":    {pack: packOf(t, whole, entry{kind: plumbing.OFSDeltaObject, base: []byte{byte(one)}, content: binary.AppendUvarint([]byte{100}, 1<<62)}), fails: errNotTexts},
		"less than the header says":  {pack: packOf(t, entry{kind: plumbing.CommitObject, size: 101, content: text}), fails: packfile.ErrMalformedPackFile},
		"more than the header says":  {pack: packOf(t, entry{kind: plumbing.CommitObject, size: 99, content: text}), fails: packfile.ErrMalformedPackFile},
		"a base before the pack":     {pack: packOf(t, whole, after(127, 100, 200)), fails: packfile.ErrMalformedPackFile},
		"a base that is the delta":   {pack: packOf(t, whole, after(0, 100, 200)), fails: packfile.ErrMalformedPackFile},
		"a base of another size":     {pack: packOf(t, whole, after(one, 101, 200)), fails: packfile.ErrInvalidDelta},
		"it ends in the midst of it": {pack: packOf(t, whole, whole)[:12+one+5], fails: packfile.ErrMalformedPackFile},
		"no pack":                    {pack: []byte("HTTP/1.1 200 OK"), fails: packfile.ErrBadSignature},
	} {
		t.Run(name, func(t *testing.T) {
			if test.limit == 0 {
				test.limit = maxUnpackedBytes
			}
			var got []int
			err := newTextReader(bytes.NewReader(test.pack), test.limit, func(id plumbing.Hash, text []byte) error {
				if want := plumbing.ComputeHash(plumbing.CommitObject, text); id != want {
					t.Errorf("the id is %s, want %s", id, want)
				}
				got = append(got, len(text))
				return nil
			}).read(t.Context())
			if !errors.Is(err, test.fails) {
				t.Fatalf("got %v, want %v", err, test.fails)
			}
			if diff := cmp.Diff(test.want, got); test.fails == nil && diff != "" {
				t.Errorf("texts (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzReadTexts: no pack makes the reader fall over, or read more than it may.
func FuzzReadTexts(f *testing.F) {
	text := []byte(strings.Repeat("0123456789", 10))
	f.Add(append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), entryHeader(plumbing.CommitObject, 100)...))
	f.Fuzz(func(t *testing.T, pack []byte) {
		good := packOf(t, entry{kind: plumbing.CommitObject, content: text})
		for _, p := range [][]byte{pack, append(good[:len(good)-20], pack...)} {
			read := 0
			_ = newTextReader(bytes.NewReader(p), 1<<16, func(_ plumbing.Hash, text []byte) error {
				read += len(text)
				return nil
			}).read(t.Context())
			if read > 1<<16 {
				t.Errorf("%d bytes were read", read)
			}
		}
	})
}

// templateHistory is a bare repository with a history whose texts git packs as deltas.
func templateHistory(t *testing.T, repo gitserver.Repo, commits int) {
	t.Helper()
	var script bytes.Buffer
	for i := range commits {
		var message strings.Builder
		for j := range 12 {
			fmt.Fprintf(&message, "line %d of a template that people fill in for every change, number %d\n", (i*31+j*j)%701, j)
		}
		fmt.Fprintf(&script, "commit refs/heads/main\nauthor Person %d <p@example.com> %d +0200\ncommitter Other <o@example.com> %d +0200\ndata %d\n%s\n",
			i%20, 1_600_000_000+i, 1_600_000_100+i, message.Len(), message.String())
		fmt.Fprintf(&script, "M 100644 inline apps/a.yaml\ndata 9\nn: %06d\n", i)
	}
	script.WriteString("done\n")
	cmd := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet", "--done")
	cmd.Dir, cmd.Stdin = repo.Dir, &script
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot import: %v: %s", err, said)
	}
}

// TestHistoryOfDeltas compares a history whose texts are chains of deltas with what git
// says of it, and asks for one pack.
func TestHistoryOfDeltas(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	templateHistory(t, repo, 500)
	gitserver.Git(t, repo.Dir, "repack", "-adfq", "--window=20")
	gitserver.Git(t, repo.Dir, "tag", "-a", "-m", "A tag", "v1")
	m := fetched(t, repo)
	server.Reset()
	history, err := m.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := server.Counts(); got.UploadPacks != 1 {
		t.Errorf("%d packs, want 1", got.UploadPacks)
	}
	var got strings.Builder
	for _, c := range history {
		parent := ""
		if len(c.Parents) > 0 {
			parent = c.Parents[0].Hash.String()
		}
		fmt.Fprintf(&got, "%s %s %s %s %d\n", c.Hash, c.Tree, parent, c.Author, c.When().Unix())
	}
	want := gitserver.Git(t, repo.Dir, "log", "--reverse", "--format=%H %T %P %an %ct", "main")
	if diff := cmp.Diff(want+"\n", got.String()); diff != "" {
		t.Errorf("the history (-want +got):\n%s", diff)
	}
}

// TestHistoryIsCompact: what is kept of a long history is small, and what reading it
// takes is not much more.
func TestHistoryIsCompact(t *testing.T) {
	const commits = 20_000
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	templateHistory(t, repo, commits)
	m := fetched(t, repo)
	before, made := live(), allocated()
	history, err := m.History(t.Context())
	if err != nil || len(history) != commits {
		t.Fatalf("%d commits, %v", len(history), err)
	}
	// A text has 870 bytes. Kept are about 180 for each commit.
	if each := (allocated() - made) / commits; each > 1200 {
		t.Errorf("%d bytes are allocated for each commit", each)
	}
	if each := (live() - before) / commits; each > 250 {
		t.Errorf("%d bytes are kept of each commit", each)
	}
	gitserver.Git(t, repo.Dir, "update-ref", "refs/heads/main", gitserver.Git(t, repo.Dir, "commit-tree", "-p", "main", "-m", "One more", "main^{tree}"))
	if _, err := m.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	made = allocated()
	history, err = m.History(t.Context())
	if err != nil || len(history) != commits+1 {
		t.Fatalf("%d commits, %v", len(history), err)
	}
	if more := allocated() - made; more > 1<<20 { // The list of commits may have to grow.
		t.Errorf("%d bytes are allocated for one commit more", more)
	}
	runtime.KeepAlive(m)
}

// live is what is in use.
func live() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// TestReadCommit: texts are read as git reads them.
func TestReadCommit(t *testing.T) {
	const tree, other = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"
	type read struct {
		Tree, Author string
		Parents      []string
		When         int64
		Message      string
		Fails        bool
	}
	never := time.Time{}.Unix()
	for name, test := range map[string]struct {
		text string
		want read
	}{
		"a usual one":        {"tree " + tree + "\nparent " + other + "\nauthor A B <a@b> 1 +0200\ncommitter C <c> 2 -0700\n\nSubject\n\nBody\n", read{Tree: tree, Author: "A B", Parents: []string{other}, When: 2}},
		"of Pintle's":        {"tree " + tree + "\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\n\nMove\n\nPintle-Update: x\n", read{Tree: tree, Author: "A", When: 2, Message: "Move\n\nPintle-Update: x\n"}},
		"two parents":        {"tree " + tree + "\nparent " + other + "\nparent " + tree + "\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\n\n", read{Tree: tree, Author: "A", Parents: []string{other, tree}, When: 2}},
		"signed":             {"tree " + tree + "\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\ngpgsig -----BEGIN\n \n tree " + other + "\n -----END\n\nPintle-\n", read{Tree: tree, Author: "A", When: 2, Message: "Pintle-\n"}},
		"no message":         {"tree " + tree + "\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\n", read{Tree: tree, Author: "A", When: 2}},
		"a second tree":      {"tree " + tree + "\ntree " + other + "\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0000\n\n", read{Tree: tree, Author: "A", When: 2}},
		"a late parent":      {"tree " + tree + "\nauthor A <a> 1 +0000\nparent " + other + "\ncommitter C <c> 2 +0000\n\n", read{Tree: tree, Author: "A", When: 2}},
		"a second author":    {"tree " + tree + "\nauthor A <a> 1 +0000\nauthor B <b> 3 +0000\ncommitter C <c> 2 +0000\n\n", read{Tree: tree, Author: "A", When: 2}},
		"a strange author":   {"tree " + tree + "\nauthor A > b\ncommitter C <c> soon\n\n", read{Tree: tree, When: never}},
		"nobody":             {"tree " + tree + "\n\nHello\n", read{Tree: tree, When: never}},
		"headers in message": {"tree " + tree + "\n\nauthor A <a> 1 +0000\nparent " + other + "\n", read{Tree: tree, When: never}},
		"no tree":            {"author A <a> 1 +0000\ncommitter C <c> 2 +0000\n\n", read{Fails: true}},
		"a broken tree":      {"tree " + tree[1:] + "g\n\n", read{Fails: true}},
		"a short tree":       {"tree " + tree[1:] + "\n\n", read{Fails: true}},
		"the zero tree":      {"tree " + plumbing.ZeroHash.String() + "\n\n", read{Fails: true}},
		"nothing":            {"", read{Fails: true}},
	} {
		t.Run(name, func(t *testing.T) {
			log := newCommitLog()
			id := plumbing.ComputeHash(plumbing.CommitObject, []byte(test.text))
			err := log.add(id, []byte(test.text))
			got := read{Fails: err != nil}
			if c := log.commits[id]; c != nil {
				got.Tree, got.Author, got.When = c.Tree.String(), c.Author, c.When().Unix()
				for _, p := range c.Parents {
					got.Parents = append(got.Parents, p.Hash.String())
				}
				if c.Text != nil {
					got.Message = c.Text.Message
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestBrokenHistory: a history that did not come to its end is not taken for a whole
// one, and read the next time.
func TestBrokenHistory(t *testing.T) {
	_, m := deepRepo(t, gitserver.Options{}, 4)
	m.maxUnpacked = 500 // bytes, of four texts
	if history, err := m.History(t.Context()); err == nil {
		t.Fatalf("the history has %d commits", len(history))
	}
	m.maxUnpacked = maxUnpackedBytes
	if history, err := m.History(t.Context()); err != nil || len(history) != 4 {
		t.Errorf("the history has %d commits, %v", len(history), err)
	}
}

// TestLongText: a history with a text that is too long to be read as it comes in is read
// all the same.
func TestLongText(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a": "1"}, "First")
	dir := repo.Clone(t)
	message := filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, []byte("Pintle-\n"+strings.Repeat("A long story\n", maxText/10)), 0o600); err != nil {
		t.Fatal(err)
	}
	gitserver.Git(t, dir, "commit", "--quiet", "--allow-empty", "--file", message)
	gitserver.Git(t, dir, "push", "--quiet", "origin", "main")
	m := fetched(t, repo)
	server.Reset()
	history, err := m.History(t.Context())
	if err != nil || len(history) != 2 || len(history[1].Text.Message) < maxText {
		t.Fatalf("the history has %d commits, %v", len(history), err)
	}
	if got := server.Counts().UploadPacks; got != 2 {
		t.Errorf("%d packs, want 2", got)
	}
}

// fetched is a mirror of a repository at its head.
func fetched(t *testing.T, repo gitserver.Repo) *Mirror {
	t.Helper()
	m, err := Open(repo.URL, "", Auth{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}
