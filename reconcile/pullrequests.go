// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// Superseded is the label of a request that Pintle closed itself, since nothing was
// left of it. A closed request that has it is no veto.
const Superseded = "superseded"

// PullRequests say how updates are proposed.
type PullRequests struct {
	Forge forge.Forge
	// Owner names who proposes, where several do in one repository: nobody touches what
	// another one's request proposes.
	Owner string
	// Grouping is what goes into one request; empty for all that is due.
	Grouping v1alpha1.Grouping
	// Labels and Reviewers are for new requests.
	Labels, Reviewers []string
}

// Propose changes how updates are proposed, or with nil lets them be pushed, without
// forgetting what was read of the repository.
func (e *Engine) Propose(how *PullRequests) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if how == nil || e.config.PullRequests == nil || how.Forge != e.config.PullRequests.Forge {
		e.requests = requests{}
	}
	e.config.PullRequests = how
}

// requests is what is known of the requests for the branch.
type requests struct {
	// open are by branch.
	open map[string]forge.Request
	// closed are those that a person closed without merging, by number.
	closed map[int]closed
	// finished are the commits that requests were finished for, whatever became of them.
	finished map[string]bool
	// quiet is the state of the repository in which there was no open request and
	// nothing due: nobody need be asked while it lasts.
	quiet string
}

// closed is a request that a person declined.
type closed struct {
	request  forge.Request
	trailers []ledger.Trailer
}

// propose is a pass that writes to branches of its own, and to the forge.
func (e *Engine) propose(ctx context.Context, t task, asked registries) (*Report, error) {
	for races := 0; ; races++ {
		report, err := e.proposeOnce(ctx, t, asked)
		var race *mirror.RaceError
		if errors.As(err, &race) && races < maxRaces {
			continue
		}
		if report != nil {
			report.Races = races
		}
		return report, err
	}
}

func (e *Engine) proposeOnce(ctx context.Context, t task, asked registries) (*Report, error) {
	if err := e.repo.Update(ctx); err != nil {
		return nil, err
	}
	d, err := e.decide(ctx, t, asked)
	if err != nil {
		return nil, err
	}
	if len(d.plan) == 0 && (len(e.repo.ProposalBranches()) == 0 || e.requests.quiet == e.standing()) {
		return e.proposed(d, nil), nil
	}
	if err := e.readRequests(ctx); err != nil {
		return nil, err
	}
	// What was merged while the forge was asked must not be proposed again, nor closed.
	before := e.standing()
	if err := e.repo.Update(ctx); err != nil {
		return nil, err
	}
	if e.standing() != before {
		return nil, &mirror.RaceError{Err: errors.New("it did while the forge was asked")}
	}
	e.decline(d)
	// What is on its way is not called back, as in write.
	commits, err := e.bringAbout(context.WithoutCancel(ctx), d)
	if err != nil {
		return nil, err
	}
	if len(d.plan) == 0 && len(e.requests.open) == 0 {
		e.requests.quiet = e.standing()
	}
	return e.proposed(d, commits), nil
}

// standing names the state of the branch and of those of Pintle's own.
func (e *Engine) standing() string {
	return fmt.Sprint(e.repo.Head(), e.repo.ProposalTips())
}

func (e *Engine) proposed(d *decision, commits []Commit) *Report {
	report := d.report()
	report.Head, report.Branch = e.repo.Head(), e.repo.Branch()
	report.Commits = append(report.Commits, commits...)
	return report
}

// readRequests asks the forge what became of the requests. A closed one is read once.
func (e *Engine) readRequests(ctx context.Context) error {
	all, err := e.config.PullRequests.Forge.Requests(ctx, e.repo.Branch())
	if err != nil {
		return err
	}
	known := e.requests.closed
	e.requests = requests{open: map[string]forge.Request{}, closed: map[int]closed{}, finished: map[string]bool{}}
	own := e.repo.ProposalBranch("")
	for _, r := range all {
		e.requests.finished[finishedFor(r.Text.Body)] = true
		switch {
		case r.Branch != own && !strings.HasPrefix(r.Branch, own+"/"), r.State == forge.Merged:
		case r.State == forge.Open:
			e.requests.open[r.Branch] = r
		case isSuperseded(r):
		case known[r.Number].request.Ended.Equal(r.Ended) && known[r.Number].trailers != nil:
			e.requests.closed[r.Number] = known[r.Number]
		default:
			trailers, err := e.proposedBy(ctx, r)
			if err != nil {
				return err
			}
			e.requests.closed[r.Number] = closed{r, trailers}
		}
	}
	return nil
}

// proposedBy is what a request proposed. Its own text says so, and whoever may but commit
// to its branch can't change that. Only where the text has no trailers, since they had
// no room or somebody rewrote it, do the commits count.
func (e *Engine) proposedBy(ctx context.Context, r forge.Request) ([]ledger.Trailer, error) {
	if trailers, _ := ledger.Parse(strings.ReplaceAll(r.Text.Body, "\r\n", "\n")); len(trailers) > 0 {
		return trailers, nil
	}
	messages, err := e.config.PullRequests.Forge.Messages(ctx, r.Number)
	found := []ledger.Trailer{}
	for _, m := range messages {
		trailers, _ := ledger.Parse(m)
		found = append(found, trailers...)
	}
	return found, err
}

// decline makes vetoes of what people closed, and judges again. What is left has the
// places of a push.
func (e *Engine) decline(d *decision) {
	for _, o := range d.policies {
		for _, number := range sortedKeys(e.requests.closed) {
			c := e.requests.closed[number]
			for _, t := range c.trailers {
				if t.Policy == o.name && o.aim != "" && !o.took(t.New, c.request.Ended) {
					o.decline(t, c.request)
				}
			}
		}
		if o.declined != nil {
			o.judgeDeclined()
		}
	}
	e.config.Pace.hold(d.policies)
	for i := range d.plan {
		d.plan[i].Updates = slices.DeleteFunc(d.plan[i].Updates, func(u gitwriter.Update) bool { return !d.writes(u) })
	}
	d.plan = slices.DeleteFunc(d.plan, func(p gitwriter.Planned) bool { return len(p.Updates) == 0 })
}

// judgeDeclined judges again what was due; what waits for something else still does.
func (o *outcome) judgeDeclined() {
	for i, v := range o.decide() {
		if o.verdicts[i].Write() {
			o.verdicts[i] = v
		}
	}
}

// writes tells whether an update is still due.
func (d *decision) writes(u gitwriter.Update) bool {
	for _, o := range d.policies {
		for i, s := range o.slots {
			if s.Policy == u.Slot.Policy && s.ID == u.Slot.ID {
				return o.verdicts[i].Write()
			}
		}
	}
	return false
}

// took tells whether somebody let the value in after it was declined: a field holds
// it, or a later entry wrote it, or resumed.
func (o *outcome) took(v ledger.Value, declined time.Time) bool {
	if slices.ContainsFunc(o.slots, func(s gitwriter.Slot) bool { return s.Value.SameImage(v) }) {
		return true
	}
	return slices.ContainsFunc(o.past.Entries, func(e ledger.Entry) bool {
		return !e.When.Before(declined.Truncate(time.Second)) && (e.Cause == ledger.CauseResume || e.Wrote().SameImage(v))
	})
}

// decline vetoes what a closed request proposed. What a pin names was declined only
// if the request was made for a pin: who pins what the rule's request proposed wants
// it all the same.
func (o *outcome) decline(t ledger.Trailer, r forge.Request) {
	if o.spec.Pin != nil {
		if t.Cause != ledger.CausePin || !t.New.SameImage(o.aim) {
			return
		}
		o.pinUndone = true
	}
	if o.declined == nil {
		o.declined = map[ledger.Value]string{}
	}
	o.declined[t.New] = called(r)
	if !o.record.Vetoed(t.New) {
		o.record.Vetoes = append(slices.Clone(o.record.Vetoes), t.New)
	}
	o.record.Back = true
}

// isSuperseded knows the label in any case: to GitHub, it is one label.
func isSuperseded(r forge.Request) bool {
	return slices.ContainsFunc(r.Labels, func(label string) bool { return strings.EqualFold(label, Superseded) })
}

// called is a request for people.
func called(r forge.Request) string { return fmt.Sprintf("#%d (%s)", r.Number, r.URL) }
