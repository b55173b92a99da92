// SPDX-License-Identifier: Apache-2.0

package events

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/pintle-dev/pintle/registry"
)

// maxPending bounds the images that an inbox remembers, against a source that
// makes up names.
const maxPending = 10_000

// Hint says that it may be worth to look at an image in its registry.
type Hint struct {
	Source Source
	// Image is the repository's one name, host included, as registry.Canonical
	// gives it.
	Image string
	// Below is true where the hint is for all images whose names go on after
	// Image and a slash, too.
	Below bool
	// Tag and Digest are what the event said, or empty. They are checked for
	// their form alone.
	Tag, Digest string
}

// Find gives a function that finds, for an image in any spelling, a hint that
// concerns it. It is quick for many images and hints.
func Find(hints []Hint) func(image string) (Hint, bool) {
	exact, below := make(map[string]Hint, len(hints)), []Hint(nil)
	for _, hint := range hints {
		exact[hint.Image] = hint
		if hint.Below {
			below = append(below, hint)
		}
	}
	return func(image string) (Hint, bool) {
		name, err := registry.Canonical(image)
		if err != nil {
			return Hint{}, false
		}
		if hint, found := exact[name]; found {
			return hint, true
		}
		at := slices.IndexFunc(below, func(h Hint) bool { return strings.HasPrefix(name, h.Image+"/") })
		if at < 0 {
			return Hint{}, false
		}
		return below[at], true
	}
}

// Inbox keeps hints until they are taken: one for each image, however many come.
// Make it with NewInbox.
type Inbox struct {
	ready   chan struct{}
	mu      sync.Mutex
	pending map[place]Hint
}

// place is what hints are the same for.
type place struct {
	image string
	below bool
}

// NewInbox makes an empty one.
func NewInbox() *Inbox {
	return &Inbox{ready: make(chan struct{}, 1), pending: map[place]Hint{}}
}

// Put adds hints, and never waits. Of two for one image the later stays. A full
// inbox forgets new images: the schedule finds them.
func (i *Inbox) Put(hints []Hint) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, hint := range hints {
		at := place{hint.Image, hint.Below}
		if _, known := i.pending[at]; known || len(i.pending) < maxPending {
			i.pending[at] = hint
		}
	}
	if len(i.pending) == 0 {
		return
	}
	select {
	case i.ready <- struct{}{}:
	default: // it says so already
	}
}

// Ready can be received from when hints came since the last time.
func (i *Inbox) Ready() <-chan struct{} { return i.ready }

// Take empties the inbox, and gives what was in it, sorted by image.
func (i *Inbox) Take() []Hint {
	i.mu.Lock()
	defer i.mu.Unlock()
	hints := make([]Hint, 0, len(i.pending))
	for _, hint := range i.pending {
		hints = append(hints, hint)
	}
	clear(i.pending)
	slices.SortFunc(hints, func(a, b Hint) int {
		if a.Below != b.Below && a.Image == b.Image {
			if a.Below {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.Image, b.Image)
	})
	return hints
}
