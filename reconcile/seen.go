// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/registry"
)

// sightings tell since when digests are known, for spec.minimumAge.
type sightings interface {
	// firstSeen is when a digest of the policy's image was seen first, which is now if it
	// never was. The error is errNoRecord.
	firstSeen(p declared, digest string, now time.Time) (time.Time, error)
}

// errNoRecord: nobody would know tomorrow what was seen today.
var errNoRecord = errors.New("spec.minimumAge needs a record of when each digest was first seen: name a folder for it with --cache-dir, the same one in each run and for no other run at the same time; until then the policy moves nothing")

// gates are those of a pass that asks the registries itself.
func (e *Engine) gates() gates {
	if e.config.Policies != nil {
		return gates{inStatus{}, e.config.Now()}
	}
	return gates{inFolder{e.config.Registry.Cache}, e.config.Now()}
}

// inFolder is the record of a process without a cluster.
type inFolder struct{ cache *registry.Cache }

func (f inFolder) firstSeen(p declared, digest string, now time.Time) (time.Time, error) {
	at, kept := f.cache.FirstSeen(p.spec.Image, digest, now)
	if !kept {
		return at, errNoRecord
	}
	return at, nil
}

// inStatus is the record that a controller keeps, for others to read.
type inStatus struct{}

func (inStatus) firstSeen(p declared, digest string, now time.Time) (time.Time, error) {
	if at, found := recordOf(p.spec.Image, p.seen).digests[digest]; found && !at.first.After(now) {
		return at.first, nil
	}
	return now, nil
}

// Sighting is a digest, and when it was first seen under the policy's image.
type Sighting struct {
	Digest string
	At     time.Time // UTC, whole seconds
}

// maxSightings bounds what is remembered of one policy: all that a look goes through,
// and as many from before.
const maxSightings = 2 * maxWalk

// record is what was seen of an image, by digest.
type record struct {
	image   string
	digests map[string]sighted
}

// sighted is when a digest was seen first, and last: zero where another process did.
type sighted struct{ first, last time.Time }

// recordOf is what a status tells of an image.
func recordOf(image string, status *v1alpha1.FirstSeen) record {
	r := record{image, map[string]sighted{}}
	if status == nil || status.Image != image {
		return r
	}
	for _, s := range status.Digests {
		r.digests[s.Digest] = sighted{first: s.At.UTC()}
	}
	return r
}

// firstSeen begins with what the status has, and goes on in memory. Resolution.Seen
// brings it back into the status, from where the next process has it. A time in the
// future is one that a wrong clock wrote.
func (r *Resolutions) firstSeen(p declared, digest string, now time.Time) (time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.recordOf(p.name, p.spec.Image, p.seen)
	is := known.digests[digest]
	if is.first.IsZero() || is.first.After(now.Add(time.Second)) {
		is.first = now.UTC().Add(time.Second - 1).Truncate(time.Second) // A status has whole seconds.
	}
	is.last = now
	known.digests[digest] = is
	r.seen[p.name] = known
	return is.first, nil
}

// recordOf is what is known of a policy. The caller has the lock.
func (r *Resolutions) recordOf(name, image string, status *v1alpha1.FirstSeen) record {
	if known, found := r.seen[name]; found && known.image == image {
		return known
	}
	return recordOf(image, status)
}

// sightings is the record of a policy as its status is to hold it, the newest first.
func (r *Resolutions) sightings(p *v1alpha1.ImagePolicy) []Sighting {
	if p.Spec.MinimumAge == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.recordOf(nameOf(p), p.Spec.Image, p.Status.FirstSeen)
	known.bound()
	all := make([]Sighting, 0, len(known.digests))
	for digest, is := range known.digests {
		all = append(all, Sighting{digest, is.first})
	}
	slices.SortFunc(all, func(a, b Sighting) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Digest, b.Digest)) })
	return all
}

// bound forgets what no look came by for the longest time.
func (r record) bound() {
	if len(r.digests) <= maxSightings {
		return
	}
	lastFirst := slices.SortedFunc(maps.Keys(r.digests), func(a, b string) int {
		x, y := r.digests[a], r.digests[b]
		return cmp.Or(y.last.Compare(x.last), y.first.Compare(x.first), cmp.Compare(a, b))
	})
	for _, digest := range lastFirst[maxSightings:] {
		delete(r.digests, digest)
	}
}
