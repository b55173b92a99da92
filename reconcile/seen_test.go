// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// seer is a policy with a minimum age, and what is known of it.
type seer struct {
	*Resolutions

	t      *testing.T
	object *v1alpha1.ImagePolicy
}

func newSeer(t *testing.T) *seer {
	t.Helper()
	p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "app"}}
	p.Spec = v1alpha1.ImagePolicySpec{Image: "ghcr.io/acme/app", Select: v1alpha1.Select{Tag: "stable"}, MinimumAge: &metav1.Duration{Duration: time.Hour}}
	return &seer{NewResolutions(), t, p}
}

func (s *seer) sees(digest string, now, want time.Time) {
	s.t.Helper()
	d, err := compile(s.object)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := s.firstSeen(d, digest, now)
	if err != nil || !got.Equal(want) {
		s.t.Errorf("%s at %s: first seen %s (%v), want %s", digest, now, got, err, want)
	}
}

// restart takes a status to another process, and nothing else.
func (s *seer) restart() {
	s.object.Status.FirstSeen = &v1alpha1.FirstSeen{Image: s.object.Spec.Image}
	for _, seen := range s.sightings(s.object) {
		s.object.Status.FirstSeen.Digests = append(s.object.Status.FirstSeen.Digests, v1alpha1.Sighting{Digest: seen.Digest, At: metav1.NewTime(seen.At)})
	}
	s.Resolutions = NewResolutions()
}

// A status has whole seconds: a time is never put before what was seen. It is of one
// image, and one that a wrong clock put into the future does not count.
func TestFirstSeenInAStatus(t *testing.T) {
	s := newSeer(t)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	up := begin.Add(time.Second)
	s.sees("a", begin.Add(time.Millisecond), up)
	s.sees("a", begin.Add(2*time.Millisecond), up)
	s.restart()
	s.sees("a", begin.Add(time.Hour), up)
	s.sees("b", begin.Add(time.Hour), begin.Add(time.Hour))
	s.restart()
	s.sees("b", begin.Add(time.Minute), begin.Add(time.Minute))
	s.sees("a", begin.Add(time.Minute), up)
	s.object.Spec.Image = "ghcr.io/acme/other"
	s.sees("a", begin.Add(2*time.Hour), begin.Add(2*time.Hour))
	s.object.Spec.MinimumAge = nil
	if got := s.sightings(s.object); got != nil {
		t.Errorf("without a minimum there is a record: %v", got)
	}
}

// However many digests a tag is pushed with, what looks come by stays, over restarts too.
func TestFirstSeenIsBounded(t *testing.T) {
	s := newSeer(t)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 3 * maxSightings {
		now := begin.Add(time.Duration(i) * time.Minute)
		if i%70 == 69 {
			s.restart()
		}
		s.sees(fmt.Sprintf("new %d", i), now, now)
		s.sees("old", now, begin)
		if got := len(s.sightings(s.object)); got > maxSightings {
			t.Fatalf("%d digests are kept", got)
		}
	}
}
