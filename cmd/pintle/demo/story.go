// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// story is where the demo has got to. The first thing that goes wrong ends it:
// later steps then do nothing.
type story struct {
	ctx        context.Context //nolint:containedctx // lives as long as Tell
	out        io.Writer
	style      render.Style
	registry   *imageRegistry
	repository *repository
	err        error
}

// Tell runs the demo and writes it to out. It takes a few seconds, and leaves
// nothing behind.
func Tell(ctx context.Context, out io.Writer, style render.Style) (err error) {
	folder, err := os.MkdirTemp("", "pintle-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	images, err := startRegistry(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.close()) }()
	if _, err := images.push(ctx, "1.0.0"); err != nil {
		return err
	}
	fleet, err := createRepository(ctx, folder, images.image())
	if err != nil {
		return err
	}
	s := &story{ctx: ctx, out: out, style: style, registry: images, repository: fleet}
	s.begin()
	s.update()
	s.undo()
	s.goOn()
	s.end()
	return s.err
}

func (s *story) begin() {
	s.heading("A Git repository with one policy and one manifest, and a registry with podinfo 1.0.0")
	s.file("policies/podinfo.yaml")
	s.file("apps/podinfo.yaml")
}

func (s *story) update() {
	s.heading("podinfo 1.1.0 is pushed to the registry")
	s.push("1.1.0")
	s.say("$ pintle plan --repo fleet.git")
	s.pass((*reconcile.Engine).Plan, render.Plan, reconcile.Due, 1)
	s.say("$ pintle sync --repo fleet.git")
	s.pass((*reconcile.Engine).Sync, render.Sync, reconcile.Updated, 1)
	s.tell("The commit, as Git has it; the last line is the ledger's:")
	s.pull()
	s.git("log", "-1", "--format=fuller", "--stat")
	s.tell("Nothing has changed since, so a second sync writes nothing:")
	s.pass((*reconcile.Engine).Sync, render.Sync, reconcile.UpToDate, 0)
}

func (s *story) undo() {
	s.heading("1.1.0 turns out to be bad, and somebody reverts the commit")
	s.git("revert", "--no-edit", "HEAD")
	s.git("push", "--quiet", "origin", "HEAD:main")
	s.tell("An undo is a decision. 1.1.0 is still the newest tag, and it is not written again,\nnot even by a new process with an empty disk, for all that it needs to know is in Git:")
	s.say("$ pintle sync --repo fleet.git")
	s.pass((*reconcile.Engine).Sync, render.Sync, reconcile.RolledBack, 0)
	s.say("$ pintle explain prod/podinfo --repo fleet.git")
	s.explain()
}

func (s *story) goOn() {
	s.heading("podinfo 1.2.0 is pushed with the fix: the hold ends by itself")
	s.push("1.2.0")
	s.say("$ pintle sync --repo fleet.git")
	s.pass((*reconcile.Engine).Sync, render.Sync, reconcile.Updated, 1)
	s.pull()
	s.git("log", "--oneline")
	s.tell("And Git finds nothing to complain about in the repository that was pushed to:")
	s.git("-C", s.repository.bare(), "fsck", "--strict")
}

func (s *story) end() {
	s.heading("On your own repository")
	s.tell(`1. Commit an ImagePolicy such as policies/podinfo.yaml above, with your image and rule.
2. Put the marker on the image, as in apps/podinfo.yaml:
     image: ghcr.io/you/app:1.0.0  # {"$imagepolicy": "NAMESPACE:NAME"}
3. pintle lint .                        checks both, offline
   pintle plan --repo URL-OR-PATH      shows what would be written, and why
   pintle sync --repo URL-OR-PATH      writes it; with --watch it keeps going`)
}

func (s *story) heading(text string) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, "\n%s\n\n", s.style.Heading("━━ "+text))
	}
}

func (s *story) say(line string) {
	if s.err == nil {
		_, s.err = fmt.Fprintln(s.out, s.style.Command(line))
	}
}

func (s *story) tell(text string) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.out, "%s\n\n", text)
	}
}

// file prints a file of the branch head.
func (s *story) file(path string) {
	s.say("$ cat " + path)
	s.quote("show", "HEAD:"+path)
}

// git runs the git command in the checkout and prints what it was and said.
func (s *story) git(args ...string) {
	s.say("$ git " + strings.Join(args, " "))
	s.quote(args...)
}

func (s *story) quote(args ...string) {
	if s.err != nil {
		return
	}
	var said string
	if said, s.err = s.repository.git(s.ctx, args...); s.err != nil {
		return
	}
	if said != "" {
		said += "\n"
	}
	_, s.err = fmt.Fprintln(s.out, said)
}

func (s *story) pull() {
	if s.err == nil {
		_, s.err = s.repository.git(s.ctx, "pull", "--quiet", "--ff-only", "origin", "main")
	}
}

func (s *story) push(tag string) {
	if s.err != nil {
		return
	}
	var digest string
	if digest, s.err = s.registry.push(s.ctx, tag); s.err == nil {
		s.tell(s.registry.image() + ":" + tag + " is " + digest)
	}
}

// pass runs the engine with no memory of what it did before, prints its report,
// and checks that the one policy has this reason and this many commits.
func (s *story) pass(do func(*reconcile.Engine, context.Context) (*reconcile.Report, error), write func(io.Writer, *reconcile.Report, render.Style) error, reason reconcile.Reason, commits int) {
	s.withEngine(func(engine *reconcile.Engine) error {
		report, err := do(engine, s.ctx)
		if err != nil {
			return err
		}
		if err := write(s.out, report, s.style); err != nil {
			return err
		}
		if len(report.Policies) != 1 || report.Policies[0].Reason != reason || len(report.Commits) != commits || len(report.Problems) > 0 {
			return fmt.Errorf("the story went wrong: this should read %s, with %d commits and no problems", reason, commits)
		}
		_, err = fmt.Fprintln(s.out)
		return err
	})
}

func (s *story) explain() {
	s.withEngine(func(engine *reconcile.Engine) error {
		explanation, err := engine.Explain(s.ctx, "prod/podinfo")
		if err != nil {
			return err
		}
		if len(explanation.Vetoes) == 0 {
			return errors.New("the story went wrong: the revert should show as a veto")
		}
		return render.Explanation(s.out, explanation, s.style)
	})
}

func (s *story) withEngine(do func(*reconcile.Engine) error) {
	if s.err != nil {
		return
	}
	engine, err := reconcile.Open(reconcile.Config{
		Repo: s.repository.bare(),
		Registry: registry.Options{
			PlainHTTP: []string{s.registry.host},
			Keychain:  authn.NewMultiKeychain(), // no logins, whatever this machine has
		},
	})
	if err != nil {
		s.err = err
		return
	}
	s.err = do(engine)
}
