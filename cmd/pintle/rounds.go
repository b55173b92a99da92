// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// performInCluster does a job in each repository that it is about, one after the
// other, with the caller's own logins: nothing of what the cluster's Secrets hold is
// lent. What fails in one does not keep it from the others.
func performInCluster[T any](ctx context.Context, p *program, o *options, c *cluster, args []string, j job[T]) error {
	found, err := c.places(ctx, j.op, args, o.allNamespaces)
	if err != nil {
		return err
	}
	if hosts := found.hosts(); o.git.passwordFile != "" && len(hosts) > 1 {
		return usageError{fmt.Errorf("--git-password-file would go to %s: leave it out, and let git's credential helpers know a login for each", strings.Join(hosts, " and "))}
	}
	if len(found.all) > 1 && j.several != nil {
		if err := j.several(); err != nil {
			return err
		}
	}
	if found.notice != "" {
		complain(p.stderr, "pintle: ", errors.New(found.notice))
	}
	validator, err := document.NewValidator()
	if err != nil {
		return fmt.Errorf("cannot read the schema of policies: %w", err)
	}
	asking, err := o.asking()
	if err != nil {
		return err
	}
	config := reconcile.Config{Registry: asking, Validator: validator}
	s := &summary[T]{program: p, options: o, job: j, shown: []any{}}
	for _, place := range found.all {
		stop := p.progress(j.doing + " in " + place.name.String())
		result, err := visit(ctx, o, c, config, found.policy, place, j)
		stop()
		if wrong := (usageError{}); errors.As(err, &wrong) {
			return err // It is wrong for all of them.
		}
		if err != nil && ctx.Err() != nil {
			return errors.Join(ctx.Err(), s.end())
		}
		if err := s.take(visited[T]{place, result, err}, found.guessed); err != nil {
			return err
		}
	}
	return s.end()
}

// visit does a job in one repository.
func visit[T any](ctx context.Context, o *options, c *cluster, config reconcile.Config, policy string, in place, j job[T]) (result T, err error) {
	if in.err != nil {
		return result, in.err
	}
	spec := in.repository.Spec
	why := controller.Refusal(in.repository, o.plainHTTP, j.purpose)
	if why == nil && spec.Suspend && j.purpose == controller.ToWrite {
		why = errors.New("the ManifestRepository is suspended: take its spec.suspend out first")
	}
	if why != nil {
		return result, refusedTo(j.op, policy, why)
	}
	config.Repo, config.Git, err = gitAuth(ctx, spec.URL, o.git)
	if err != nil {
		return result, err
	}
	config.Branch, config.Paths = spec.Branch, spec.Paths
	if config.Pace, err = controller.PaceOf(in.repository, time.Now()); err != nil {
		return result, err
	}
	config.Policies = controller.Granted{Reader: c.client, Repository: in.repository}
	if config.Commits, err = controller.Commits(spec.Commit); err != nil {
		return result, refusedTo(j.op, policy, err)
	}
	if config.Commits.Keys, err = o.commits.keys(); err != nil {
		return result, err
	}
	if spec.Commit.Signing != nil && j.purpose != controller.ToRead && config.Commits.Keys == nil {
		return result, refusedTo(j.op, policy, errors.New("its commits are signed (spec.commit.signing), and what is not signed does not count: give the key with --signing-key, or undo with git revert, which counts"))
	}
	engine, err := reconcile.Open(config)
	if err != nil {
		return result, err
	}
	return j.do(ctx, engine, policy)
}

func refusedTo(op, policy string, why error) error {
	if policy == "" {
		return fmt.Errorf("cannot %s: %w", op, why)
	}
	return fmt.Errorf("cannot %s %s: %w", op, policy, why)
}

// visited is what came of a job in one repository.
type visited[T any] struct {
	place  place
	result T
	err    error
}

// summary shows answers as they come, since what was written must be told whatever
// happens next. Only JSON waits for the end, as it is one list.
type summary[T any] struct {
	program *program
	options *options
	job     job[T]
	shown   []any
	idle    []visited[T]
	failed  bool
	status  statusError
}

// take shows an answer. Where a repository was guessed, and has nothing of the policy,
// it is of interest only if none has.
func (s *summary[T]) take(a visited[T], guessed bool) error {
	refused, ok := errors.AsType[*reconcile.RefusedError](a.err)
	if guessed && (ok && refused.NoField || a.err == nil && s.job.idle(a.result)) {
		s.idle = append(s.idle, a)
		return nil
	}
	return s.show(a)
}

func (s *summary[T]) show(a visited[T]) error {
	if a.err != nil {
		complain(s.program.stderr, "pintle: "+a.place.name.String()+": ", a.err)
		s.failed = true
		return nil //nolint:nilerr // it is told, and the others go on
	}
	from := origin{a.place.name.String(), a.place.notices(s.options)}
	if status := statusError(0); errors.As(s.job.status(a.result), &status) && (s.status == 0 || status < s.status) {
		s.status = status
	}
	another := len(s.shown) > 0
	s.shown = append(s.shown, s.job.located(from, a.result))
	if s.options.output.json {
		return nil
	}
	style := s.program.style()
	if err := render.Origin(s.program.stdout, from.Repository, a.place.repository.Spec.URL, from.Notices, another, style); err != nil {
		return err
	}
	return s.job.people(s.program.stdout, a.result, style)
}

// end shows what is left, and returns the gravest status.
func (s *summary[T]) end() error {
	if len(s.shown) == 0 && !s.failed {
		for _, a := range s.idle {
			if err := s.show(a); err != nil {
				return err
			}
		}
	}
	if s.options.output.json {
		if err := render.JSON(s.program.stdout, s.shown); err != nil {
			return err
		}
	}
	switch {
	case s.failed:
		return statusError(statusFailed)
	case s.status != 0:
		return s.status
	}
	return nil
}
