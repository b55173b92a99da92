// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// Policies are declared elsewhere than in the repository: in a cluster.
type Policies interface {
	// Policies returns all that may bind fields in the repository.
	Policies(ctx context.Context) ([]Declared, error)
}

// Declared is a policy of a cluster, with the defaults that its schema gives.
type Declared struct {
	*v1alpha1.ImagePolicy

	// MarkersOnly: its targets do not count, since it is not of the repository's
	// own namespace.
	MarkersOnly bool
}

// CheckPolicy tells what is wrong with a policy that an API server takes. Its
// error is a *SpecError.
func CheckPolicy(p *v1alpha1.ImagePolicy) error {
	_, err := check(p)
	return err
}

// check compiles a policy that an API server takes.
func check(p *v1alpha1.ImagePolicy) (declared, error) {
	if wrong := document.CheckPolicy(p); len(wrong) > 0 {
		return declared{}, &SpecError{nameOf(p), wrong[0].Field, wrong[0].Message}
	}
	return compile(p)
}

// compiled remembers what was made of an object.
type compiled struct {
	uid        types.UID
	generation int64
	policy     declared // where there is no err
	err        error
}

// identity changes whenever what counts of an object does.
type identity struct {
	name        string
	uid         types.UID
	generation  int64
	markersOnly bool
}

func identities(objects []Declared) []identity {
	ids := make([]identity, 0, len(objects))
	for _, o := range objects {
		ids = append(ids, identity{nameOf(o.ImagePolicy), o.UID, o.Generation, o.MarkersOnly})
	}
	return ids
}

// listed are the policies of the cluster, if there is one.
func (e *Engine) listed(ctx context.Context) ([]Declared, error) {
	if e.config.Policies == nil {
		return nil, nil
	}
	objects, err := e.config.Policies.Policies(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot read the policies of the cluster: %w", err)
	}
	return objects, nil
}

// objects is what a cluster declares. A document of the same name in the
// repository says where its lines are, and since when they stand there.
func (e *Engine) objects(objects []Declared, documents policySet) policySet {
	set := policySet{policies: make(map[string]declared, len(objects)), broken: map[string]bool{}, granted: true}
	fresh := make(map[string]compiled, len(objects))
	for _, o := range objects {
		name := nameOf(o.ImagePolicy)
		c, ok := e.compiled[name]
		if !ok || c.uid != o.UID || c.generation != o.Generation {
			c = compiled{uid: o.UID, generation: o.Generation}
			c.policy, c.err = check(o.ImagePolicy)
		}
		fresh[name] = c
		if c.err != nil {
			set.broken[name] = true
			set.problems = append(set.problems, Problem{Message: c.err.Error()})
			continue
		}
		p, written := c.policy, documents.policies[name]
		p.file, p.line, p.pinLine, p.suspendLine = written.file, written.line, written.pinLine, written.suspendLine
		p.markersOnly = o.MarkersOnly
		if p.markersOnly && len(p.spec.Targets) > 0 {
			set.problems = append(set.problems, Problem{p.file, p.line, fmt.Sprintf(
				"%s: spec.targets do not count here, since the policy is not of the repository's own namespace: use markers", name)})
		}
		set.policies[name] = p
	}
	e.compiled = fresh
	return set
}

// now is the time that messages reckon ages from.
func (e *Engine) now() time.Time {
	if e.config.Dates {
		return time.Time{}
	}
	return e.config.Now()
}

// Memory is what Git remembers of a policy.
type Memory struct {
	// Revisions are its entries, the newest first.
	Revisions []Revision
	Vetoes    []Veto
}

// Recall tells what Git remembers of policies, named <namespace>/<name>, as of the
// head that the last pass read. It asks no registry and does not look for a newer
// head.
func (e *Engine) Recall(ctx context.Context, names []string) (map[string]Memory, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	set, err := e.policies(ctx)
	if err != nil {
		return nil, err
	}
	only := make(map[string]bool, len(names))
	for _, name := range names {
		only[name] = true
	}
	d := &decision{set: set}
	if err := e.bind(ctx, task{only: only}, d); err != nil {
		return nil, err
	}
	if err := e.remember(ctx, d.policies); err != nil {
		return nil, err
	}
	memories := make(map[string]Memory, len(d.policies))
	for _, o := range d.policies {
		m := Memory{Revisions: o.revisions(nil)}
		for _, v := range o.record.Vetoes {
			m.Vetoes = append(m.Vetoes, o.veto(v))
		}
		memories[o.name] = m
	}
	return memories, nil
}
