// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"slices"

	"github.com/pintle-dev/pintle/reconcile/decide"
)

// quiet is a pass in which every field held its selection, if there is one. Until the branch, the
// policies, or what registries say of them changes, another one finds the same: no clock
// and no history is asked about a field that is where it should be.
type quiet struct {
	head    string
	set     *policySet
	changes uint64 // of the resolutions
	report  Report
}

// changes is how often the resolutions changed, or 0 where each pass asks.
func (e *Engine) changes() uint64 {
	if e.config.Resolutions == nil {
		return 0
	}
	return e.config.Resolutions.changed()
}

// stillQuiet is the report of the last pass, if it is that of this one too; else nil.
func (e *Engine) stillQuiet(ctx context.Context, t task, changes uint64) (*Report, error) {
	if e.quiet == nil || !t.isGeneral() || e.quiet.changes != changes || e.quiet.head != e.repo.Head() {
		return nil, nil //nolint:nilnil // as said above
	}
	set, err := e.policies(ctx)
	if err != nil || e.quiet.set != set {
		return nil, err
	}
	report := e.quiet.report
	return &report, nil
}

// noteQuiet remembers a pass that another one may be like.
func (e *Engine) noteQuiet(t task, d *decision, changes uint64, report *Report) {
	if !t.isGeneral() {
		return
	}
	e.quiet = nil
	if e.config.Resolutions == nil || e.config.PoliciesPath != "" || len(report.Commits) > 0 {
		return
	}
	for _, o := range d.policies {
		if !o.rests() {
			return
		}
	}
	e.quiet = &quiet{e.repo.Head(), d.set, changes, *report}
}

// isGeneral tells whether the task is about all policies, and as their specs say.
func (t task) isGeneral() bool { return t.only == nil && t.order == nil && t.causes == nil }

// rests tells whether nothing but the fields and the resolution led to what was found.
func (o *outcome) rests() bool {
	if o.spec.Pin != nil {
		return false // What it names is asked of the registry.
	}
	moves := func(v decide.Verdict) bool { return v.Reason != decide.UpToDate }
	return o.aim == "" || !slices.ContainsFunc(o.verdicts, moves)
}
