// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// Question asks for the record of one policy.
type Question struct {
	Policy string
	// Slots are all slots of the policy at the head.
	Slots []Slot
	// Selection is what the policy is to be moved to.
	Selection ledger.Value
	// Above are values that rank above the selection and can't be taken now. To have
	// stood in a slot counts for them too.
	Above []ledger.Value
	// Pinned: the selection is what a pin names. It matters then when it was
	// undone, and not only whether.
	Pinned bool
	// Past is what Ledgers said of the policy.
	Past ledger.Past
}

// Record is what Git says of one policy.
type Record struct {
	ledger.Past
	ledger.Standing

	// Stood are the slots in which the selection stood after the newest entry,
	// put there by somebody whose commits say nothing, and does not stand now.
	Stood map[ledger.SlotID]bool
	// StoodThere are those values: the selection, or what ranks above it.
	StoodThere []ledger.Value
	// Doer is the commit that left a slot of Undone, Stood or RolledBack as it is.
	Doer map[ledger.SlotID]Author
	// Unread says which limit kept the past of the slots from being read to its
	// end, or is empty.
	Unread string
}

// Author is who made a commit, and when.
type Author struct {
	Commit, Name string
	When         time.Time
}

func authorOf(c *mirror.Commit) Author { return Author{c.Hash.String(), c.Author, c.When()} }

// maxGap bounds how far the revision of an entry may be ahead of those before
// it. Entries may be missing where somebody rewrote the branch, but a planted
// number must not use up the numbers that there are.
const maxGap = 1000

// maxRecent bounds the commits whose trees are fetched before it is known that they
// matter.
const maxRecent = 1000

// Ledgers reads the proven entries of policies, and what looks like one of them
// since the newest proven entry and is none.
func (r *Repository) Ledgers(ctx context.Context, policies []string) (map[string]ledger.Past, []manifest.Problem, error) {
	if len(policies) == 0 {
		return nil, nil, nil
	}
	history, err := r.mirror.History(ctx)
	if err != nil {
		return nil, nil, err
	}
	r.lineage = r.lineage.extend(history)
	claims := make(map[string][]int, len(policies))
	var asked []int
	for _, p := range policies {
		claims[p] = r.lineage.naming[p]
		asked = append(asked, claims[p]...)
	}
	slices.Sort(asked)
	var claimants []claim
	for _, n := range slices.Compact(asked) {
		claimants = append(claimants, r.lineage.claims[n])
	}
	if err := r.readMoves(ctx, claimants, r.recent(history, claims)); err != nil {
		return nil, nil, err
	}
	counts := r.countsSigned()
	pasts := make(map[string]ledger.Past, len(policies))
	var problems []manifest.Problem
	for _, p := range policies {
		numbers := slices.Concat(claims[p], r.lineage.merges)
		slices.Sort(numbers)
		past, wrong := r.prove(p, slices.Compact(numbers), history[len(history)-1], counts)
		if err := r.readMerges(ctx, p, past); err != nil {
			return nil, nil, err
		}
		pasts[p] = past
		problems = append(problems, wrong...)
	}
	return pasts, problems, nil
}

// policiesOf are the policies that trailers name, and lines that are none, each once.
func policiesOf(trailers []ledger.Trailer, malformed []string) []string {
	names := slices.Clone(malformed)
	for _, t := range trailers {
		names = append(names, t.Policy)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readMerges finds out what the slots of a policy held where lines with entries
// of their own were merged.
func (r *Repository) readMerges(ctx context.Context, policy string, past ledger.Past) error {
	if len(past.Merges) == 0 {
		return nil
	}
	b, err := r.lookBack(ctx)
	if err != nil {
		return err
	}
	files := filesOf(nil, past)
	var commits []*mirror.Commit
	for _, m := range past.Merges {
		commits = append(commits, b.commit(m.Commit))
		for _, side := range m.Sides {
			commits = append(commits, b.commit(side.Commit))
		}
	}
	if err := b.read(ctx, commits, files); err != nil {
		return err
	}
	for i, m := range past.Merges {
		past.Merges[i].Held = b.held(b.commit(m.Commit), policy, files)
		for j, side := range m.Sides {
			m.Sides[j].Held = b.held(b.commit(side.Commit), policy, files)
		}
	}
	return b.failed
}

// prove keeps the claims of a policy that their commits' own diffs bear out, and
// that carry on the count of revisions: a copy of an entry, as git cherry-pick
// makes it, is an edit by hand.
func (r *Repository) prove(policy string, claims []int, head *mirror.Commit, counts func(int) bool) (ledger.Past, []manifest.Problem) {
	var past ledger.Past
	var problems []manifest.Problem
	highest := map[int]int{} // revision at or before each accepted claim
	accepted := func(n int) bool { return highest[n] > 0 }
	for _, n := range claims {
		c := r.lineage.claims[n]
		after := r.lineage.nearestOf(c.up, accepted)
		before := 0
		for _, a := range after {
			before = max(before, highest[a])
		}
		if len(after) > 1 {
			past.Merges = append(past.Merges, r.mergeOf(c, after, accepted))
			highest[n] = before
		}
		entry, wrong := r.entryOf(c, policy, before)
		if entry.Moves != nil && !counts(n) {
			entry, wrong = ledger.Entry{}, fmt.Sprintf("commit %s looks like an entry of %s, and is not signed with a key of Pintle's: taken for an edit by hand", short(c.commit.Hash), policy)
		}
		if wrong != "" {
			problems = append(problems, manifest.Problem{Message: wrong})
		}
		if entry.Moves == nil {
			continue
		}
		entry.After = r.commitsOf(after)
		past.Entries = append(past.Entries, entry)
		highest[n] = entry.Revision
		// What looks like an entry and is older can't be mended any more.
		problems = nil
	}
	past.Tips = r.commitsOf(r.lineage.nearestOf(r.lineage.nearest[head.Index], accepted))
	return past, problems
}

// entryOf is what a commit did as an entry of a policy whose highest revision
// before it is given, or why it is none.
func (r *Repository) entryOf(c claim, policy string, before int) (ledger.Entry, string) {
	if !slices.Contains(c.policies, policy) {
		return ledger.Entry{}, ""
	}
	if len(c.commit.Parents) > 1 {
		return ledger.Entry{}, fmt.Sprintf("commit %s is a merge, and claims to be an entry of %s: ignored", short(c.commit.Hash), policy)
	}
	entry, wrong := match(c, policy, r.moves[c.commit.Hash])
	if entry.Moves != nil && (entry.Revision <= before || entry.Revision > before+maxGap) {
		return ledger.Entry{}, fmt.Sprintf("commit %s claims revision %d of %s, which does not follow on %d: taken for an edit by hand", short(c.commit.Hash), entry.Revision, policy, before)
	}
	if slices.Contains(c.malformed, policy) {
		wrong = fmt.Sprintf("commit %s has a line of Pintle's on %s that can't be read: ignored", short(c.commit.Hash), policy)
	}
	return entry, wrong
}

// mergeOf is a merge of lines with accepted claims of their own.
func (r *Repository) mergeOf(c claim, after []int, accepted func(int) bool) ledger.Merge {
	m := ledger.Merge{Commit: c.commit.Hash.String(), Order: c.commit.Index, After: r.commitsOf(after)}
	for _, p := range c.commit.Parents {
		m.Sides = append(m.Sides, ledger.Side{Commit: p.Hash.String(), After: r.commitsOf(r.lineage.nearestOf(r.lineage.nearest[p.Index], accepted))})
	}
	return m
}

func (r *Repository) commitsOf(claims []int) []string {
	commits := make([]string, 0, len(claims))
	for _, n := range claims {
		commits = append(commits, r.lineage.claims[n].commit.Hash.String())
	}
	return commits
}

// match finds the moves that prove what a commit claims of a policy, all of one
// revision and selection.
func match(c claim, policy string, moves []move) (ledger.Entry, string) {
	var entry ledger.Entry
	var wrong string
	for _, t := range c.trailers {
		if t.Policy != policy {
			continue
		}
		proof := proofs(t, moves)
		if len(proof) == 0 || entry.Moves != nil && (entry.Revision != t.Revision || entry.Wrote() != t.New) {
			wrong = fmt.Sprintf("commit %s says that it moved %s from %s to %s, but its diff does not: ignored", short(c.commit.Hash), t.Policy, t.Old, t.New)
			continue
		}
		if entry.Moves == nil {
			entry = ledger.Entry{Commit: c.commit.Hash.String(), Author: c.commit.Author, When: c.commit.When(), Order: c.commit.Index, Revision: t.Revision,
				Cause: t.Cause, Source: t.Source, Rollback: t.Rollback, Moves: map[ledger.SlotID]ledger.Move{}}
		}
		maps.Copy(entry.Moves, proof)
	}
	return entry, wrong
}

// proofs are the moves that a trailer tells of.
func proofs(t ledger.Trailer, moves []move) map[ledger.SlotID]ledger.Move {
	found := map[ledger.SlotID]ledger.Move{}
	for _, m := range moves {
		if m.policy == t.Policy && m.old == t.Old && t.New.Covers(m.new) {
			found[m.id] = ledger.Move{Old: m.old, New: m.new, Wrote: t.New}
		}
	}
	return found
}

func short(h plumbing.Hash) string { return h.String()[:9] }

// move is what a commit did to one slot, whoever made it.
type move struct {
	policy   string
	id       ledger.SlotID
	old, new ledger.Value
}

// readMoves diffs the commits of claims with their first parents. Where trees have
// to be fetched for that, those of the commits that are looked at next come along.
func (r *Repository) readMoves(ctx context.Context, claims []claim, next []*mirror.Commit) error {
	var fresh []claim
	var pairs []mirror.Pair
	var commits []*mirror.Commit
	for _, c := range claims {
		if _, ok := r.moves[c.commit.Hash]; ok {
			continue
		}
		pair := mirror.Pair{New: c.commit.Tree}
		commits = append(commits, c.commit)
		if len(c.commit.Parents) > 0 {
			pair.Old = c.commit.Parents[0].Tree
			commits = append(commits, c.commit.Parents[0])
		}
		fresh = append(fresh, c)
		pairs = append(pairs, pair)
	}
	if err := r.mirror.NeedTrees(ctx, commits, next); err != nil {
		return err
	}
	diffs, err := r.mirror.Diff(ctx, pairs, r.reads)
	if err != nil {
		return err
	}
	var blobs []plumbing.Hash
	for _, d := range diffs {
		for _, f := range d {
			blobs = append(blobs, f.Old, f.New)
		}
	}
	if err := r.mirror.Need(ctx, blobs); err != nil {
		return err
	}
	for i, c := range fresh {
		moves, err := r.movesOf(diffs[i], r.boundBy(c.trailers))
		if err != nil {
			return err
		}
		r.moves[c.commit.Hash] = moves
	}
	return nil
}

// boundBy is what was bound when trailers were written: the policies that they
// name, with the images that they name.
func (r *Repository) boundBy(trailers []ledger.Trailer) Bindings {
	b := Bindings{Images: map[string]string{}, Targets: slices.Clone(r.bound.Targets)}
	for _, t := range trailers {
		b.Images[t.Policy] = t.Image
	}
	for i, t := range b.Targets {
		if image, ok := b.Images[t.Policy]; ok {
			b.Targets[i].Image = image
		}
	}
	return b
}

func (r *Repository) movesOf(diffs []mirror.Difference, b Bindings) ([]move, error) {
	found := []move{}
	for _, d := range diffs {
		was, wrong := r.fieldsOf(d.Path, d.Old, b.Targets)
		is, err := r.fieldsOf(d.Path, d.New, b.Targets)
		if err := cmp.Or(wrong, err); err != nil {
			return nil, err
		}
		olds := map[string]ledger.Value{}
		for _, s := range Slots(was, b.Images) {
			olds[s.Policy+"\x00"+s.ID.Key] = s.Value
		}
		for _, s := range Slots(is, b.Images) {
			if old, ok := olds[s.Policy+"\x00"+s.ID.Key]; ok && old != s.Value {
				found = append(found, move{s.Policy, s.ID, old, s.Value})
			}
		}
	}
	return found, nil
}

// fieldsOf reads the fields of a file's past content. What is too large has none.
func (r *Repository) fieldsOf(path string, blob plumbing.Hash, targets []manifest.Target) ([]manifest.Field, error) {
	if blob.IsZero() {
		return nil, nil
	}
	if f := r.files[path]; f != nil && f.blob == blob && f.scanned && slices.Equal(targets, r.bound.Targets) {
		return f.fields, nil
	}
	content, err := r.mirror.Blob(blob)
	switch {
	case errors.Is(err, mirror.ErrTooLarge):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read what %s held: %w", path, err)
	case !manifest.MayMatter(path, content, targets):
		return nil, nil
	}
	fields, _ := manifest.Scan(path, content, targets)
	return fields, nil
}

// recent are the commits since the newest claims of policies: where these are proven,
// it is from there that what slots held is looked at. Nil where they are many.
func (r *Repository) recent(history []*mirror.Commit, claims map[string][]int) []*mirror.Commit {
	oldest := len(history)
	for _, numbers := range claims {
		if len(numbers) > 0 {
			oldest = min(oldest, r.lineage.claims[numbers[len(numbers)-1]].commit.Index+1)
		}
	}
	if len(history)-oldest > maxRecent {
		return nil
	}
	return history[oldest:]
}
