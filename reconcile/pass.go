// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/registry"
)

// maxRaces is how often a pass decides again after somebody else pushed first.
// Each lost race means that somebody's push was taken, so that writers who do
// only this get through in turn.
const maxRaces = 20

// task says what a pass is to do.
type task struct {
	write bool
	// only names the policies that are looked at; nil means all.
	only map[string]bool
	// causes are why policies are looked at; BySchedule where there is none.
	causes map[string]string
	// order is what a person asks for, of the one policy in only; or nil.
	order *order
}

func (t task) wants(name string) bool { return t.only == nil || t.only[name] }

// proposes tells whether what is due is proposed, not pushed.
func (e *Engine) proposes(t task) bool {
	return e.config.PullRequests != nil && t.write && t.order == nil
}

// pass reads, resolves, decides, and writes if the task says so.
func (e *Engine) pass(ctx context.Context, t task) (*Report, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	asked := e.registries()
	if e.proposes(t) {
		return e.propose(ctx, task{write: true, causes: t.causes}, asked)
	}
	for races := 0; ; races++ {
		if err := e.repo.Update(ctx); err != nil {
			return nil, err
		}
		changes := e.changes()
		if report, err := e.stillQuiet(ctx, t, changes); report != nil || err != nil {
			return report, err
		}
		d, err := e.decide(ctx, t, asked)
		if err != nil {
			return nil, err
		}
		report, err := e.write(ctx, t, d)
		var race *mirror.RaceError
		if errors.As(err, &race) && races < maxRaces {
			continue
		}
		if report != nil {
			e.noteQuiet(t, d, changes, report)
			report.Races = races
		}
		return report, err
	}
}

// registries are what a pass asks about images.
type registries interface {
	// resolve answers for policies; those without an answer yet are left out.
	resolve(ctx context.Context, policies []declared) (map[string]resolution, error)
	// unasked is for a policy whose rule does not matter.
	unasked() resolution
}

func (e *Engine) registries() registries {
	if e.config.Resolutions != nil {
		return e.config.Resolutions
	}
	return &asked{client: e.registry, pass: e.registry.Pass(), gates: e.gates(), rankings: e.rankings, last: e.selections, known: map[string]resolution{}}
}

// asked remembers what the registries said, over the races of one pass.
type asked struct {
	client   *registry.Client
	pass     *registry.Pass
	gates    gates
	rankings rankings
	last     selections
	known    map[string]resolution // by question
}

func (a *asked) resolve(ctx context.Context, policies []declared) (map[string]resolution, error) {
	var fresh []declared
	for _, p := range policies {
		if _, ok := a.known[p.question]; !ok {
			fresh = append(fresh, p)
		}
	}
	results, err := resolve(ctx, a.pass, a.rankings, a.gates, fresh)
	if err != nil {
		return nil, err
	}
	for _, p := range fresh {
		known := results[p.name]
		known.client, known.pass = a.client, a.pass
		a.last.note(p, &known)
		a.known[p.question] = known
	}
	byName := make(map[string]resolution, len(policies))
	for _, p := range policies {
		byName[p.name] = a.known[p.question]
	}
	return byName, nil
}

func (a *asked) unasked() resolution { return resolution{client: a.client, pass: a.pass} }

// write makes the commits that were decided on, and reports.
func (e *Engine) write(ctx context.Context, t task, d *decision) (*Report, error) {
	plan, contents, refused, err := e.repo.Edit(d.plan)
	if err != nil {
		return nil, err
	}
	d.refuse(refused)
	diffs, err := e.diffs(contents)
	if err != nil {
		return nil, err
	}
	d.compose(ctx, t, plan, e.config.Commits.Template)
	ids := make([]string, len(plan))
	if t.write && len(plan) > 0 {
		author := e.config.Commits.Author
		// What is on its way is not called back: a signal would leave open whether
		// the server took it.
		if ids, err = e.repo.Push(context.WithoutCancel(ctx), plan, contents, author.Name, author.Email, e.config.Now()); err != nil {
			return nil, err
		}
		d.wrote()
	}
	report := d.report()
	report.Head, report.Branch, report.Checkout, report.Diffs = e.repo.Head(), e.repo.Branch(), e.repo.Checkout(), diffs
	for i, p := range plan {
		report.Commits = append(report.Commits, commitOf(ids[i], p))
	}
	return report, nil
}

// diffs compares the files as they were with the last content of each.
func (e *Engine) diffs(contents []map[string][]byte) ([]FileDiff, error) {
	last := map[string][]byte{}
	for _, files := range contents {
		maps.Copy(last, files)
	}
	diffs := make([]FileDiff, 0, len(last))
	for _, path := range sortedKeys(last) {
		old, err := e.repo.Content(path)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, FileDiff{Path: path, Old: old, New: last[path]})
	}
	return diffs, nil
}

func commitOf(id string, p gitwriter.Planned) Commit {
	c := Commit{SHA: id, Subject: p.Subject(), Changes: []Change{}}
	for _, u := range p.Updates {
		repinned := u.Slot.Value.Tag() == u.Wrote.Tag() && u.Slot.Value.Digest() == ""
		for _, change := range u.Changes {
			f := change.Field
			c.Changes = append(c.Changes, Change{Policy: f.Policy, Image: u.Image, File: f.File, Line: f.Line, Old: f.Value, New: change.New, Repinned: repinned})
		}
	}
	return c
}

// Explain tells all about one policy, named <namespace>/<name>.
func (e *Engine) Explain(ctx context.Context, name string) (*Explanation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.repo.Update(ctx); err != nil {
		return nil, err
	}
	d, err := e.decide(ctx, task{only: map[string]bool{name: true}}, e.registries())
	if err != nil {
		return nil, err
	}
	p, ok := d.set.policies[name]
	if !ok {
		return nil, &UnknownPolicyError{Op: "explain", Name: name, Known: sortedKeys(d.set.policies), Broken: d.set.broken[name]}
	}
	return d.explain(p), nil
}

// UnknownPolicyError says that there is no valid policy of a name.
type UnknownPolicyError struct {
	// Op is what was asked for, as "cannot <op> <name>" reads it.
	Op, Name string
	// Known are the valid policies.
	Known []string
	// Broken is true where there is one, but it is not valid.
	Broken bool
}

func (e *UnknownPolicyError) Error() string {
	if e.Broken {
		return fmt.Sprintf("cannot %s %s: it is declared, but not valid; `pintle plan` says why", e.Op, e.Name)
	}
	const listed = 10
	known := e.Known[:min(len(e.Known), listed)]
	return fmt.Sprintf("cannot %s %s: there is no such policy; the repository has %v", e.Op, e.Name, known)
}
