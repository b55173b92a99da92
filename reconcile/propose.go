// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/reconcile/decide"
)

// maxProposed bounds the commits of one request: forges list no more than 250 of them,
// and what a closed request proposed is read from that list.
const maxProposed = 200

// group is what is due for one request.
type group struct {
	branch   string
	plan     []gitwriter.Planned
	contents []map[string][]byte
}

// bringAbout makes the requests what they should be: it closes those of which nothing
// is left, and opens or updates the others. It returns the commits that were pushed.
func (e *Engine) bringAbout(ctx context.Context, d *decision) ([]Commit, error) {
	groups, err := e.group(d)
	if err != nil {
		return nil, err
	}
	if err := e.closeLeft(ctx, d, groups); err != nil {
		return nil, err
	}
	var commits []Commit
	var refused error // the first one
	for _, g := range groups {
		p, err := e.repo.Proposal(ctx, g.branch)
		if err != nil {
			return nil, err
		}
		request, open := e.requests.open[g.branch]
		if owner := e.otherOwner(request); owner != "" {
			why := fmt.Sprintf("it is by %s, which proposes to this branch too: give each its own spec.paths", owner)
			d.problems = append(d.problems, Problem{Message: fmt.Sprintf("branch %s stays as it is while %s is open: %s", g.branch, called(request), why)})
			d.wait(g, request, why)
			continue
		}
		if why := e.keeps(d, p, open); why != "" {
			d.wait(g, request, why)
			continue
		}
		pushed, err := e.proposeGroup(ctx, d, g, p)
		if err != nil {
			return nil, err
		}
		commits = append(commits, pushed...)
		request, err = e.tell(ctx, g)
		if isRefusal(err) {
			refused = cmp.Or(refused, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		d.inRequest(g, request)
	}
	return commits, refused
}

// isRefusal tells whether an error may be about one request alone, such as a reviewer
// whom nobody knows. The others are not to wait for it.
func isRefusal(err error) bool {
	known, ok := errors.AsType[*forge.Error](err)
	return ok && (known.Kind == forge.Refused || known.Kind == forge.NotFound)
}

// proposeGroup brings a branch up to date.
func (e *Engine) proposeGroup(ctx context.Context, d *decision, g group, p gitwriter.Proposal) ([]Commit, error) {
	author := e.config.Commits.Author
	d.compose(ctx, task{}, g.plan, e.config.Commits.Template) // without origins, for which registries are asked
	holds, err := e.repo.Proposes(p, g.plan, g.contents, author.Name, author.Email)
	if err != nil || holds {
		return nil, err
	}
	d.compose(ctx, task{write: true}, g.plan, e.config.Commits.Template)
	ids, err := e.repo.Propose(ctx, p, g.plan, g.contents, author.Name, author.Email, e.config.Now())
	if err != nil {
		return nil, err
	}
	commits := make([]Commit, 0, len(ids))
	for i, id := range ids {
		commits = append(commits, commitOf(id, g.plan[i]))
	}
	return commits, nil
}

// group splits what is due by request, and edits the files for each on its own.
func (e *Engine) group(d *decision) ([]group, error) {
	byKey := map[string][]gitwriter.Planned{}
	for _, p := range d.plan {
		parts := map[string]gitwriter.Planned{}
		for _, u := range p.Updates {
			key := e.keyOf(d, u)
			part, begun := parts[key]
			if !begun {
				part = p
				part.Updates = nil
			}
			part.Updates = append(part.Updates, u)
			parts[key] = part
		}
		for key, part := range parts {
			byKey[key] = append(byKey[key], part)
		}
	}
	groups := make([]group, 0, len(byKey))
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		plan := byKey[key]
		if len(plan) > maxProposed {
			d.later(plan[maxProposed:])
			plan = plan[:maxProposed]
		}
		kept, contents, refused, err := e.repo.Edit(plan)
		if err != nil {
			return nil, err
		}
		d.refuse(refused)
		if len(kept) > 0 {
			groups = append(groups, group{e.repo.ProposalBranch(key), kept, contents})
		}
	}
	return groups, nil
}

// unfit is what a branch's name is not to have.
var unfit = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// keyOf is the last part of a branch's name: readable, and another one for each
// image or policy. It is empty where one request takes all.
func (e *Engine) keyOf(d *decision, u gitwriter.Update) string {
	var name string
	switch e.config.PullRequests.Grouping {
	case v1alpha1.GroupingPolicy:
		name = u.Slot.Policy
	case v1alpha1.GroupingImage:
		name = canonical(d.set.policies[u.Slot.Policy].spec.Image)
	default:
		return ""
	}
	readable := unfit.ReplaceAllString(name, "-")
	const longest = 80
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("%s-%x", readable[:min(len(readable), longest)], sum[:4])
}

// closeLeft closes the requests of which nothing is left, and deletes their branches,
// and those that would be in the way of another name.
func (e *Engine) closeLeft(ctx context.Context, d *decision, groups []group) error {
	wanted := map[string]bool{}
	for _, g := range groups {
		wanted[g.branch] = true
	}
	inTheWay := func(branch string) bool {
		return slices.ContainsFunc(groups, func(g group) bool {
			return strings.HasPrefix(g.branch, branch+"/") || strings.HasPrefix(branch, g.branch+"/")
		})
	}
	branches := slices.Concat(e.repo.ProposalBranches(), sortedKeys(e.requests.open))
	slices.Sort(branches)
	for _, branch := range slices.Compact(branches) {
		request, open := e.requests.open[branch]
		// One with the label is one that a process did not live to close.
		half := open && isSuperseded(request)
		if wanted[branch] && !half || !open && !inTheWay(branch) {
			continue
		}
		if err := e.closeOne(ctx, d, branch, wanted[branch]); err != nil {
			return err
		}
	}
	return nil
}

// closeOne closes the request of a branch, if one is open, and deletes the branch
// unless it is wanted for another.
func (e *Engine) closeOne(ctx context.Context, d *decision, branch string, wanted bool) error {
	request, open := e.requests.open[branch]
	if e.otherOwner(request) != "" {
		return nil
	}
	p, err := e.repo.Proposal(ctx, branch)
	if err != nil {
		return err
	}
	if e.keeps(d, p, open) != "" {
		if open {
			d.stays(p, request)
		}
		return nil
	}
	if open {
		if err := e.supersede(ctx, request); err != nil {
			return err
		}
	}
	if wanted {
		return nil
	}
	return e.repo.Withdraw(ctx, p)
}

// otherOwner is who else a request is by, or empty.
func (e *Engine) otherOwner(r forge.Request) string {
	if owner := ownerOf(r.Text.Body); owner != e.config.PullRequests.Owner {
		return owner
	}
	return ""
}

// supersede closes a request so that it is no veto: the label is there before.
func (e *Engine) supersede(ctx context.Context, request forge.Request) error {
	at := e.config.PullRequests.Forge
	if !isSuperseded(request) {
		if err := at.Label(ctx, request.Number, []string{Superseded}); err != nil {
			return err
		}
	}
	if err := at.Close(ctx, request.Number); err != nil {
		return err
	}
	delete(e.requests.open, request.Branch)
	return nil
}

// tell opens a request for a group, or brings what it says up to date. A request says
// for which commit it was finished, so that one is finished that a process did not
// live to.
func (e *Engine) tell(ctx context.Context, g group) (forge.Request, error) {
	how := e.config.PullRequests
	tip := e.repo.ProposalTips()[g.branch]
	request, open := e.requests.open[g.branch]
	if !open {
		var err error
		if request, err = how.Forge.Open(ctx, g.branch, e.repo.Branch(), textOf(g.plan, "", how.Owner)); err != nil {
			return request, err
		}
		e.requests.open[g.branch] = request
	}
	finished := finishedFor(request.Text.Body)
	if finished == tip {
		return request, nil
	}
	if finished == "" {
		if len(how.Labels) > 0 {
			if err := how.Forge.Label(ctx, request.Number, how.Labels); err != nil {
				return request, err
			}
		}
		if len(how.Reviewers) > 0 {
			if err := how.Forge.Ask(ctx, request.Number, how.Reviewers); err != nil {
				return request, err
			}
		}
	}
	return request, how.Forge.Edit(ctx, request.Number, textOf(g.plan, tip, how.Owner))
}

// keeps says why a branch, which a request may be open for, is to stay as it is, or
// nothing. That somebody's commit is on it is a problem; that it is not the time is none.
func (e *Engine) keeps(d *decision, p gitwriter.Proposal, open bool) string {
	if c := e.foreign(p); c.Commit != "" {
		why := fmt.Sprintf("branch %s has commit %s, which Pintle did not make and does not overwrite: merge it, or delete the branch; closing the request declines what it proposes", p.Branch, c.Commit[:9])
		d.problems = append(d.problems, Problem{Message: why})
		return why
	}
	if !open {
		return ""
	}
	for _, name := range p.Policies {
		at := slices.IndexFunc(d.policies, func(o *outcome) bool { return o.name == name })
		_, declared := d.set.policies[name]
		if at < 0 && (declared || d.set.broken[name]) || at >= 0 && d.policies[at].waits() {
			return fmt.Sprintf("branch %s stays as it is while %s waits, or nothing can be selected for it", p.Branch, name)
		}
	}
	return ""
}

// foreign is a commit on a branch that somebody else made. By another author than is
// configured it is one too, unless a request was finished for it: the author was another
// one then.
func (e *Engine) foreign(p gitwriter.Proposal) gitwriter.Author {
	if p.Foreign.Commit != "" || e.requests.finished[p.Tip] {
		return p.Foreign
	}
	author := e.config.Commits.Author
	return p.NotBy(author.Name, author.Email)
}

// waits tells whether it may be that what was proposed is still wanted: nothing can be
// selected now, or it is not the time. Only what is known to be settled lets go.
func (o *outcome) waits() bool {
	settled := []Reason{UpToDate, Due, RolledBack, ManuallySet, Pinned, Suspended, DowngradeRefused, NoField, Failed}
	return o.aim == "" || slices.ContainsFunc(o.verdicts, func(v decide.Verdict) bool { return !slices.Contains(settled, v.Reason) })
}

// verdicts changes the verdicts of what a plan would write.
func (d *decision) verdicts(plan []gitwriter.Planned, change func(o *outcome, v decide.Verdict) decide.Verdict) {
	for _, p := range plan {
		for _, u := range p.Updates {
			for _, o := range d.policies {
				for i, s := range o.slots {
					if s.Policy == u.Slot.Policy && s.ID == u.Slot.ID && o.verdicts[i].Write() {
						o.verdicts[i] = change(o, o.verdicts[i])
					}
				}
			}
		}
	}
}

// inRequest takes note that a request proposes a group.
func (d *decision) inRequest(g group, r forge.Request) {
	d.verdicts(g.plan, func(o *outcome, v decide.Verdict) decide.Verdict {
		o.request = &Request{r.Number, r.URL}
		return decide.Verdict{Reason: Proposed, Message: v.Message + ", when " + called(r) + " is merged"}
	})
}

// wait takes note that a branch stays as it is, and why.
func (d *decision) wait(g group, r forge.Request, why string) {
	d.verdicts(g.plan, func(o *outcome, _ decide.Verdict) decide.Verdict {
		if r.Number == 0 {
			return decide.Verdict{Reason: Failed, Message: "it can't be proposed: " + why}
		}
		o.request = &Request{r.Number, r.URL}
		return decide.Verdict{Reason: Proposed, Message: "waits for " + called(r) + ": " + why}
	})
}

// stays takes note that a request is open for what waits.
func (d *decision) stays(p gitwriter.Proposal, r forge.Request) {
	for _, o := range d.policies {
		if !slices.Contains(p.Policies, o.name) {
			continue
		}
		o.request = &Request{r.Number, r.URL}
		for i, v := range o.verdicts {
			if v.Reason == WindowClosed {
				o.verdicts[i].Message = v.Message + "; until then " + called(r) + " stays as it is"
			}
		}
	}
}

// later takes note of what has no room in its request.
func (d *decision) later(plan []gitwriter.Planned) {
	d.verdicts(plan, func(_ *outcome, v decide.Verdict) decide.Verdict {
		return decide.Verdict{Reason: Proposed, Message: fmt.Sprintf("%s later: a request holds at most %d commits, and the one before it has to be merged first", v.Message, maxProposed)}
	})
}
