// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDiffering compares random folders, in Git's order and in none, with what maps say.
func TestDiffering(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		olds := map[string]string{}
		for range random.IntN(12) {
			olds[fmt.Sprint("file-", random.IntN(15))] = entryOf(random)
		}
		news := maps.Clone(olds)
		for range random.IntN(4) {
			switch name := fmt.Sprint("file-", random.IntN(15)); random.IntN(3) {
			case 0:
				delete(news, name)
			default:
				news[name] = entryOf(random)
			}
		}
		want := map[string][2]string{}
		for name := range olds {
			if olds[name] != news[name] {
				want[name] = [2]string{olds[name], news[name]}
			}
		}
		for name := range news {
			if olds[name] != news[name] {
				want[name] = [2]string{olds[name], news[name]}
			}
		}
		got := map[string][2]string{}
		show := func(e rawEntry) string {
			if len(e.name) == 0 {
				return ""
			}
			return string(e.mode) + " " + string(e.id)
		}
		err := differing(treeOf(olds, random, seed%5 == 0), treeOf(news, random, seed%5 == 0), func(o, n rawEntry) {
			name := string(o.name)
			if name == "" {
				name = string(n.name)
			}
			if _, twice := got[name]; twice {
				t.Errorf("seed %d: %s is told twice", seed, name)
			}
			got[name] = [2]string{show(o), show(n)}
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// entryOf is a mode and an id, of few, so that some are equal.
func entryOf(random *rand.Rand) string {
	return [...]string{"100644", "100755", "40000"}[random.IntN(3)] + " " + strings.Repeat(string(rune('a'+random.IntN(3))), 20)
}

func treeOf(entries map[string]string, random *rand.Rand, shuffled bool) []byte {
	names := slices.Sorted(maps.Keys(entries))
	if shuffled {
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	}
	var tree []byte
	for _, name := range names {
		mode, id, _ := strings.Cut(entries[name], " ")
		tree = append(tree, mode+" "+name+"\x00"+id...)
	}
	return tree
}
