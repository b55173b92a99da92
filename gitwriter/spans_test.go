// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"math/rand/v2"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// TestSpans compares spans with a map, whatever the order in which places become known,
// and sees that neighbours are one.
func TestSpans(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s spans
		known := map[int]plumbing.Hash{}
		for range 60 {
			first := random.IntN(40)
			more := span{first, min(first+random.IntN(4), 40), plumbing.Hash{byte(random.IntN(2))}}
			for place := more.first; place <= more.last; place++ {
				if _, ok := known[place]; !ok {
					known[place] = more.blob
				}
			}
			s = s.add(more)
		}
		for place := -1; place <= 40; place++ {
			want, there := known[place]
			if got, ok := s.at(place); got != want || ok != there {
				t.Fatalf("at %d: %v, %v, want %v, %v in %v", place, got, ok, want, there, s)
			}
		}
		for i := range s[1:] {
			if a, b := s[i], s[i+1]; a.last >= b.first || a.last+1 == b.first && a.blob == b.blob {
				t.Fatalf("%v and %v are not apart", a, b)
			}
		}
	}
}
