// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// TestWalkSkipsWhatIsAlike compares a walk with one that shows all commits, where what
// is looked for depends on what a file holds: nothing else is shown, what is left out was
// shown of a later commit, and each content is met first in the same commit.
func TestWalkSkipsWhatIsAlike(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, map[string]string{"app.yaml": "a: 1\n"}, "First")
	r, err := Open(repo.URL, "", mirror.Auth{}, nil, func([]byte) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	skipped := 0
	for range 3000 {
		b := pastOf(r, random)
		r.maxLookBack = 1 + random.IntN(2*len(b.history))
		on := map[plumbing.Hash]bool{{}: random.IntN(2) == 0, {1}: random.IntN(4) > 0, {2}: random.IntN(2) == 0}
		files, first := []string{"a.yaml", "b.yaml"}, 1+random.IntN(8)
		within := since(b, b.history[len(b.history)-1-random.IntN(2)], b.history[random.IntN(len(b.history))])
		show := func(walk func(context.Context, region, []string, int, func(*mirror.Commit, string) bool) (bool, error)) walked {
			w := walked{map[string][]int{}, map[version]int{}, false}
			w.complete, err = walk(t.Context(), within, files, first, func(c *mirror.Commit, file string) bool {
				w.shown[file] = append(w.shown[file], c.Index)
				held := version{file, heldAt(b, c.Index, file)}
				if _, met := w.met[held]; !met {
					w.met[held] = c.Index
				}
				return on[held.blob]
			})
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		all, some := show(b.walkEach), show(b.walk)
		if complete, same := some.complete == all.complete, maps.Equal(some.met, all.met); !complete || !same {
			t.Fatalf("the walk says %v and meets %v, want %v and %v", some.complete, some.met, all.complete, all.met)
		}
		skipped += leftOut(t, b, all.shown, some.shown)
	}
	if skipped == 0 {
		t.Error("nothing was left out")
	}
}

// since is the region at or before one commit that is not at or before another one.
func since(b *lookback, from, base *mirror.Commit) region {
	r, older := b.region(from, nil), b.region(base, nil)
	for _, c := range older.commits {
		if r.has(c) {
			r.marks[c.Index] = old
		}
	}
	r.commits = slices.DeleteFunc(r.commits, older.has)
	return r
}

// walked is what a walk showed, by file, and where it met a content first.
type walked struct {
	shown    map[string][]int
	met      map[version]int
	complete bool
}

// leftOut counts what is in all and not in some, and sees that the file was shown as it is
// there.
func leftOut(t *testing.T, b *lookback, all, some map[string][]int) (count int) {
	t.Helper()
	for file, places := range some {
		for _, place := range places {
			if !slices.Contains(all[file], place) {
				t.Fatalf("the walk shows %s at %d, which is out of the way: %v", file, place, all[file])
			}
		}
	}
	for file, places := range all {
		for _, place := range places {
			shown := place
			for shown < len(b.history) && !slices.Contains(some[file], shown) {
				shown++
				count++
			}
			if heldAt(b, shown, file) != heldAt(b, place, file) {
				t.Fatalf("the walk leaves out %s at %d: %v of %v", file, place, some[file], all[file])
			}
		}
	}
	return count
}

// pastOf makes up a history of rows and merges, in which contents come, go and return.
func pastOf(r *Repository, random *rand.Rand) *lookback {
	b := &lookback{Repository: r, now: newMemory()}
	held := map[string][]plumbing.Hash{}
	for i := range 2 + random.IntN(40) {
		c := &mirror.Commit{Index: i}
		binary.BigEndian.PutUint32(c.Hash[:], uint32(i+1))
		parents := 1
		if random.IntN(6) == 0 {
			parents = random.IntN(4)
		}
		for n := range min(parents, i) {
			p := b.history[i-1]
			if n > 0 || random.IntN(8) == 0 {
				p = b.history[random.IntN(i)]
			}
			if !slices.Contains(c.Parents, p) {
				c.Parents = append(c.Parents, p)
			}
		}
		b.history = append(b.history, c)
		for _, file := range []string{"a.yaml", "b.yaml"} {
			blob := plumbing.Hash{byte(random.IntN(3))}
			if i > 0 && random.IntN(4) > 0 {
				blob = held[file][i-1]
			}
			held[file] = append(held[file], blob)
			b.now.blobs[file] = b.now.blobs[file].add(span{i, i, blob})
			b.now.fields[version{file, blob}] = nil // so that nothing has to be fetched
		}
	}
	return b
}

func heldAt(b *lookback, place int, file string) plumbing.Hash {
	blob, _ := b.now.blobs[file].at(place)
	return blob
}
