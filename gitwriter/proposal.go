// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// Proposal is what a branch of Pintle's own holds, on its way to the branch that is
// read.
type Proposal struct {
	Branch string
	// Tip is empty where there is no such branch.
	Tip string
	// Policies are those that its commits' trailers name, each once.
	Policies []string
	// Foreign is a commit on it that Pintle did not make as it is; its Commit is
	// empty where there is none.
	Foreign Author

	commits []*object.Commit // the newest first
}

// ProposalTips maps the branches of Pintle's own for this one to their tips, as of
// the last Update or push.
func (r *Repository) ProposalTips() map[string]string {
	tips := map[string]string{}
	own := r.ProposalBranch("")
	for name, tip := range r.mirror.Beside() {
		if name == own || strings.HasPrefix(name, own+"/") {
			tips[name] = tip.String()
		}
	}
	return tips
}

// ProposalBranches are the names that ProposalTips has, sorted.
func (r *Repository) ProposalBranches() []string {
	return slices.Sorted(maps.Keys(r.ProposalTips()))
}

// ProposalBranch is the name of the branch for what is proposed under a key. Who works
// on some paths alone has branches of its own: others may work on the rest, and each
// would take back what the other proposed.
func (r *Repository) ProposalBranch(key string) string {
	name := "pintle/" + r.Branch()
	if len(r.paths) > 0 {
		sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(r.paths)), "\x00")))
		name += fmt.Sprintf("-%x", sum[:4])
	}
	if key != "" {
		name += "/" + key
	}
	return name
}

// Proposal reads a branch of Pintle's own. What was read of a tip is kept.
func (r *Repository) Proposal(ctx context.Context, branch string) (Proposal, error) {
	tip, ok := r.mirror.Beside()[branch]
	if !ok {
		return Proposal{Branch: branch}, nil
	}
	head := r.mirror.Head()
	if known, ok := r.proposals[branch]; ok && known.Tip == tip.String() && known.head == head {
		return known.Proposal, nil
	}
	commits, err := r.mirror.Above(ctx, tip)
	if err != nil {
		return Proposal{}, err
	}
	return r.keep(branch, tip, commits), nil
}

// keep takes note of what a branch of Pintle's own holds above the head.
func (r *Repository) keep(branch string, tip plumbing.Hash, commits []*object.Commit) Proposal {
	p := Proposal{Branch: branch, Tip: tip.String(), commits: commits}
	for _, c := range commits {
		trailers, _ := ledger.Parse(c.Message)
		if len(trailers) == 0 || len(c.ParentHashes) != 1 || !sameSignature(c.Author, c.Committer) || !c.Author.When.Equal(c.Committer.When) {
			p.Foreign = Author{Commit: c.Hash.String(), Name: c.Committer.Name, When: c.Committer.When}
		}
		for _, t := range trailers {
			if !slices.Contains(p.Policies, t.Policy) {
				p.Policies = append(p.Policies, t.Policy)
			}
		}
	}
	if r.proposals == nil {
		r.proposals = map[string]readProposal{}
	}
	r.proposals[branch] = readProposal{p, r.mirror.Head()}
	return p
}

// NotBy is a commit that somebody else made, although it looks like one of Pintle's; its
// Commit is empty where there is none.
func (p Proposal) NotBy(name, email string) Author {
	for _, c := range p.commits {
		if c.Author.Name != name || c.Author.Email != email {
			return Author{Commit: c.Hash.String(), Name: c.Committer.Name, When: c.Committer.When}
		}
	}
	return Author{}
}

// readProposal is what was read of a branch while the head was at one commit.
type readProposal struct {
	Proposal

	head plumbing.Hash
}

func sameSignature(a, b object.Signature) bool { return a.Name == b.Name && a.Email == b.Email }

// Proposes tells whether a branch of Pintle's own, as p tells, holds the commits that
// Edit returned and Compose gave texts already.
func (r *Repository) Proposes(p Proposal, plan []Planned, contents []map[string][]byte, name, email string) (bool, error) {
	if len(p.commits) != len(plan) {
		return false, nil
	}
	author := object.Signature{Name: name, Email: email, When: p.commits[0].Author.When}
	_, commits, err := r.draft(plan, contents, author, nil)
	return err == nil && alike(commits, p.commits) && r.signedAsNow(p.commits), err
}

// Propose puts the commits that Edit returned, with the texts that Compose gave them,
// on top of the head onto a branch of Pintle's own, in place of what the branch held as
// p. A *mirror.RaceError means that the branch is not as p tells any more.
func (r *Repository) Propose(ctx context.Context, p Proposal, plan []Planned, contents []map[string][]byte, name, email string, now time.Time) (ids []string, err error) {
	author := object.Signature{Name: name, Email: email, When: now}
	draft, commits, err := r.draft(plan, contents, author, r.sign())
	if err != nil {
		return nil, err
	}
	if err := draft.PushBeside(ctx, p.Branch, plumbing.NewHash(p.Tip)); err != nil {
		return nil, err
	}
	r.keep(p.Branch, commits[0].Hash, commits)
	for _, c := range slices.Backward(commits) {
		ids = append(ids, c.Hash.String())
	}
	return ids, nil
}

// alike tells whether two rows of commits are one but for when they were made, what
// signs them, and what else their messages say besides the entries.
func alike(a, b []*object.Commit) bool {
	for i := range a {
		last := i == len(a)-1
		if len(b[i].ParentHashes) != 1 || a[i].TreeHash != b[i].TreeHash || !sameEntries(a[i].Message, b[i].Message) || !sameSignature(a[i].Author, b[i].Author) ||
			last && a[i].ParentHashes[0] != b[i].ParentHashes[0] {
			return false
		}
	}
	return true
}

func sameEntries(a, b string) bool {
	one, _ := ledger.Parse(a)
	other, _ := ledger.Parse(b)
	return slices.Equal(one, other)
}

// draft makes planned commits on top of the head, and returns them, the newest first.
func (r *Repository) draft(plan []Planned, contents []map[string][]byte, author object.Signature, sign mirror.Sign) (*mirror.Draft, []*object.Commit, error) {
	draft, err := r.mirror.NewDraft()
	if err != nil {
		return nil, nil, err
	}
	for i, p := range plan {
		if _, err := draft.Commit(contents[i], author, p.Text, sign); err != nil {
			return nil, nil, err
		}
	}
	commits, err := draft.Commits()
	return draft, commits, err
}

// Withdraw deletes a branch of Pintle's own that still holds what p tells.
func (r *Repository) Withdraw(ctx context.Context, p Proposal) error {
	if p.Tip == "" {
		return nil
	}
	return r.mirror.DropBeside(ctx, p.Branch, plumbing.NewHash(p.Tip))
}
