// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

const (
	// reasonInvalid: the spec can't be followed until somebody changes it.
	reasonInvalid = "InvalidSpec"
	// reasonSelected: the registry answered and the rule picked a tag.
	reasonSelected = "Selected"
	// reasonMissing: the registry does not have a digest that Git pins.
	reasonMissing = "NotInRegistry"
)

const (
	defaultHistory = 20
	maxVetoes      = 100
	maxRepos       = 64
	maxMessage     = 2048 // bytes, as the schema says
)

// policyView is all that the status of a policy is made of.
type policyView struct {
	policy     *v1alpha1.ImagePolicy
	resolution reconcile.Resolution
	resolved   bool
	granted    int  // repositories that admit the policy
	pending    bool // one of them was not looked at yet, since something changed
	places     []place
	unread     []string // repositories that could not be looked at yet
	gone       []string // what Git pins and the registry no longer has
	unsure     bool     // there may be more of it: the registry gives no answer
	suspended  bool     // the whole controller writes nothing
	now        time.Time
}

// place is a repository with fields of the policy, or without any.
type place struct {
	outcome

	repository types.NamespacedName
	stale      bool // something changed, and no pass could be made since
}

// isNewest tells whether a pass knew what the policy is and picks now.
func (v *policyView) isNewest(found outcome) bool {
	same := found.UID == v.policy.UID && found.Generation == v.policy.Generation
	return same && (v.policy.Spec.Pin != nil || reflect.DeepEqual(found.Selected, v.picked()))
}

// complete tells whether all is known that the status tells. Until then it stays as it
// is: half of the truth would make it flap.
func (v *policyView) complete() bool { return v.resolved && !v.pending }

// doubts tells whether Git holds what the registry may no longer have.
func (v *policyView) doubts() bool {
	return slices.ContainsFunc(v.places, func(p place) bool {
		return slices.ContainsFunc(p.Digests, func(digest string) bool {
			return v.resolution.Selected == nil || v.resolution.Selected.Digest != digest
		})
	})
}

// verdict is a reason and its sentence.
type verdict struct {
	reason  reconcile.Reason
	message string
}

// status is the whole status. It starts from the old one, so that times stay.
func (v *policyView) status() v1alpha1.ImagePolicyStatus {
	s := *v.policy.Status.DeepCopy()
	s.ObservedGeneration = v.policy.Generation
	seen := firstSeen(v.policy.Status)
	s.Selected, s.FirstSeen = v.selected(seen), v.firstSeen()
	kept := func(repository string) bool { return slices.Contains(v.unread, repository) }
	s.Current = slices.DeleteFunc(s.Current, func(c v1alpha1.Current) bool { return !kept(c.Repository) })
	s.Vetoes = slices.DeleteFunc(s.Vetoes, func(veto v1alpha1.Veto) bool { return !kept(veto.Repository) })
	histories := [][]v1alpha1.Revision{slices.DeleteFunc(s.History, func(r v1alpha1.Revision) bool { return !kept(r.Repository) })}
	for _, p := range v.places {
		if len(p.Fields) > 0 {
			s.Current = append(s.Current, p.current())
		}
		histories = append(histories, p.history(seen))
		s.Vetoes = append(s.Vetoes, p.vetoes()...)
	}
	limit := defaultHistory
	if v.policy.Spec.HistoryLimit != nil {
		limit = int(*v.policy.Spec.HistoryLimit)
	}
	s.History = newestFirst(histories, limit)
	s.Current = s.Current[:min(maxRepos, len(s.Current))]
	s.Vetoes = s.Vetoes[:min(maxVetoes, len(s.Vetoes))]
	v.conditions(&s.Conditions)
	return s
}

// newestFirst merges histories by time. Each one keeps its order, whatever the clocks
// said of those who wrote it.
func newestFirst(histories [][]v1alpha1.Revision, limit int) []v1alpha1.Revision {
	var merged []v1alpha1.Revision
	for len(merged) < limit {
		var next *[]v1alpha1.Revision
		for i := range histories {
			if h := &histories[i]; len(*h) > 0 && (next == nil || (*next)[0].WrittenAt.Before((*h)[0].WrittenAt)) {
				next = h
			}
		}
		if next == nil {
			break
		}
		merged = append(merged, (*next)[0])
		*next = (*next)[1:]
	}
	return merged
}

// gravest is the verdict that counts of all repositories.
func (v *policyView) gravest() verdict {
	name := key(v.policy).String()
	if v.resolution.Selected == nil && v.policy.Spec.Pin == nil {
		return verdict{v.resolution.Reason, v.resolution.Message}
	}
	found := verdict{reconcile.NoField, "no repository has a field that is bound to " + name + ": put a marker on an image, or declare a target"}
	if v.granted == 0 {
		found.message = "no ManifestRepository admits policies of the namespace " + v.policy.Namespace + ": create one, or widen spec.policies of another"
	}
	for _, p := range v.places {
		is := verdict{p.Reason, p.Message}
		switch {
		case is.reason == reconcile.Due:
			is = verdict{reconcile.Suspended, p.waiting(v.suspended)}
		case p.stale && len(p.Fields) > 0:
			is = unread(p.repository.String())
		}
		if is.reason != reconcile.NoField && (found.reason == reconcile.NoField || is.reason.Graver(found.reason)) {
			found = is
		}
	}
	if found.reason == reconcile.NoField && len(v.unread) > 0 {
		return unread(v.unread[0])
	}
	return found
}

func unread(repository string) verdict {
	return verdict{reconcile.Failed, fmt.Sprintf("ManifestRepository %s can't be read or written now, see its conditions", repository)}
}

// waiting says why what is due is not written.
func (p place) waiting(all bool) string {
	if all {
		return "the controller is suspended (--suspend) and writes nothing: " + p.Message
	}
	return fmt.Sprintf("ManifestRepository %s is suspended: %s", p.repository, p.Message)
}

func (v *policyView) conditions(all *[]metav1.Condition) {
	c := conditions{all, v.policy.Generation, v.now}
	if s := v.resolution.Selected; s != nil {
		c.set(v1alpha1.ConditionResolved, true, reasonSelected, fmt.Sprintf("picks %s at %s", s.Tag, s.Digest))
	} else {
		c.set(v1alpha1.ConditionResolved, false, string(v.resolution.Reason), v.resolution.Message)
	}
	g := v.gravest()
	c.set(v1alpha1.ConditionWritten, g.reason == reconcile.UpToDate, string(g.reason), g.message)
	healthy := g.reason != reconcile.Failed && g.reason != reconcile.NoMatch
	c.set(v1alpha1.ConditionReady, healthy, string(g.reason), g.message)
	if held(g.reason) {
		c.set(v1alpha1.ConditionHeld, true, string(g.reason), g.message)
	} else {
		c.remove(v1alpha1.ConditionHeld)
	}
	switch {
	case len(v.gone) > 0:
		c.set(v1alpha1.ConditionDigestMissing, true, reasonMissing, "the registry no longer has "+strings.Join(v.gone, ", nor ")+": a node that does not have it can't start it; push it again, or roll back")
	case !v.unsure: // What was known stays while the registry does not answer.
		c.remove(v1alpha1.ConditionDigestMissing)
	}
	c.remove(v1alpha1.ConditionStalled)
}

func held(reason reconcile.Reason) bool {
	return reason == reconcile.RolledBack || reason == reconcile.ManuallySet || reason == reconcile.Pinned
}

// invalidPolicy is the status of a policy that can't be followed.
func invalidPolicy(p *v1alpha1.ImagePolicy, wrong *reconcile.SpecError, now time.Time) v1alpha1.ImagePolicyStatus {
	s := *p.Status.DeepCopy()
	s.ObservedGeneration = p.Generation
	s.Selected = nil
	message := cmp.Or(wrong.Field, "spec") + ": " + wrong.Reason
	c := conditions{&s.Conditions, p.Generation, now}
	c.set(v1alpha1.ConditionReady, false, reasonInvalid, message)
	c.set(v1alpha1.ConditionResolved, false, reasonInvalid, message)
	c.set(v1alpha1.ConditionStalled, true, reasonInvalid, message)
	return s
}

// firstSeen is when each digest was first seen, as far as the status tells.
func firstSeen(s v1alpha1.ImagePolicyStatus) map[string]*metav1.Time {
	seen := map[string]*metav1.Time{}
	for _, r := range s.History {
		if r.FirstSeen != nil {
			seen[r.Digest] = r.FirstSeen
		}
	}
	if s.Selected != nil && s.Selected.FirstSeen != nil {
		seen[s.Selected.Digest] = s.Selected.FirstSeen
	}
	return seen
}

// picked is the selection; while the registry does not answer, the last one, and the
// condition Resolved says so.
func (v *policyView) picked() *reconcile.TagDigest {
	return cmp.Or(v.resolution.Selected, v.resolution.Last)
}

func (v *policyView) selected(seen map[string]*metav1.Time) *v1alpha1.Selected {
	picked := v.picked()
	if picked == nil {
		return nil
	}
	if seen[picked.Digest] == nil {
		at := metav1.NewTime(v.resolution.FirstSeen.Truncate(time.Second))
		seen[picked.Digest] = &at
	}
	return &v1alpha1.Selected{Tag: picked.Tag, Digest: picked.Digest, FirstSeen: seen[picked.Digest]}
}

// firstSeen is the record that the next process goes on with.
func (v *policyView) firstSeen() *v1alpha1.FirstSeen {
	if len(v.resolution.Seen) == 0 {
		return nil
	}
	found := &v1alpha1.FirstSeen{Image: v.policy.Spec.Image}
	for _, s := range v.resolution.Seen {
		found.Digests = append(found.Digests, v1alpha1.Sighting{Digest: s.Digest, At: metav1.NewTime(s.At)})
	}
	return found
}

func (p place) current() v1alpha1.Current {
	c := v1alpha1.Current{Repository: p.repository.String(), Fields: int32(min(len(p.Fields), 1<<30)), Reason: string(p.Reason), Message: clip(steady(p.Message))}
	if p.Reason == reconcile.Due {
		c.Reason = string(reconcile.Suspended)
	}
	if p.Current != nil {
		c.Tag, c.Digest = p.Current.Tag, p.Current.Digest
	}
	return c
}

func (p place) history(seen map[string]*metav1.Time) []v1alpha1.Revision {
	rows := make([]v1alpha1.Revision, 0, len(p.Revisions))
	for _, r := range p.Revisions {
		rows = append(rows, v1alpha1.Revision{Revision: int64(r.Revision), Repository: p.repository.String(), Tag: r.Tag, Digest: r.Digest,
			Commit: r.Commit, FirstSeen: seen[r.Digest], WrittenAt: parseTime(r.Time), Cause: r.Cause})
	}
	return rows
}

func (p place) vetoes() []v1alpha1.Veto {
	rows := make([]v1alpha1.Veto, 0, len(p.Vetoes))
	for _, v := range p.Vetoes {
		row := v1alpha1.Veto{Repository: p.repository.String(), Tag: v.Tag, Digest: v.Digest, Commit: v.By, Since: parseTime(v.When)}
		for _, r := range p.Revisions {
			if r.Digest == v.Digest && v.Digest != "" {
				row.Revision = int64(r.Revision)
				break
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// parseTime reads what reports have for a time; nil where there is none.
func parseTime(text string) *metav1.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil
	}
	return new(metav1.NewTime(at))
}

// clip makes a message fit for a status.
func clip(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const rest = "…"
	return strings.ToValidUTF8(message[:maxMessage-len(rest)], "") + rest
}

// sameStatus tells whether nothing new is to be written.
func sameStatus[S any](a, b S) bool { return equality.Semantic.DeepEqual(a, b) }
