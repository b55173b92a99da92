// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// besidePrefix begins the names of branches that are Pintle's own.
const besidePrefix = "pintle/"

// noteBeside keeps the branches of Pintle's own.
func (m *Mirror) noteBeside(refs *packp.AdvRefs) {
	m.beside = map[string]plumbing.Hash{}
	for ref, tip := range refs.References {
		name, ok := strings.CutPrefix(ref, "refs/heads/")
		if ok && strings.HasPrefix(name, besidePrefix) {
			m.beside[name] = tip
		}
	}
}

// Beside maps the branches of Pintle's own, those that begin with pintle/, to their
// tips, as of the last Tip.
func (m *Mirror) Beside() map[string]plumbing.Hash { return m.beside }

// Above reads the texts of the commits that lead to tip and are not reachable from
// the head, the newest first along first parents, and then the others in any order.
func (m *Mirror) Above(ctx context.Context, tip plumbing.Hash) ([]*object.Commit, error) {
	if tip == m.head {
		return nil, nil
	}
	into := newObjects()
	req := m.newRequest(tip)
	req.Haves = []plumbing.Hash{m.head}
	m.filter(req, packp.FilterTreeDepth(0))
	if err := m.fetch(ctx, req, into); err != nil && !errors.Is(err, packfile.ErrEmptyPackfile) {
		return nil, err
	}
	var commits []*object.Commit
	seen := map[plumbing.Hash]bool{}
	for at := tip; into.has(at) && !seen[at]; {
		c, err := into.commit(at)
		if err != nil {
			return nil, err
		}
		seen[at] = true
		commits = append(commits, c)
		if len(c.ParentHashes) == 0 {
			break
		}
		at = c.ParentHashes[0]
	}
	for _, id := range into.ids(plumbing.CommitObject) {
		if seen[id] {
			continue
		}
		c, err := into.commit(id)
		if err != nil {
			return nil, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}

// Commits are the drafted ones, the newest first.
func (d *Draft) Commits() ([]*object.Commit, error) {
	var commits []*object.Commit
	for at := d.tip; at != d.base; at = commits[len(commits)-1].ParentHashes[0] {
		c, err := d.mirror.store.commit(at)
		if err != nil {
			return nil, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}

// PushBeside moves a branch of Pintle's own, which may be rewritten, to the draft's
// end, if it still is at old; zero where it is to be new. It returns *RaceError where
// the branch is elsewhere, and *Error otherwise.
func (d *Draft) PushBeside(ctx context.Context, branch string, old plumbing.Hash) error {
	var pack bytes.Buffer
	if err := writePack(&pack, d.mirror.store, d.objects, d.bases); err != nil {
		return fmt.Errorf("cannot make a pack: %w", err)
	}
	return d.mirror.moveBeside(ctx, &packp.Command{Name: plumbing.NewBranchReferenceName(branch), Old: old, New: d.tip}, &pack)
}

// DropBeside deletes a branch of Pintle's own, if it still is at old.
func (m *Mirror) DropBeside(ctx context.Context, branch string, old plumbing.Hash) error {
	return m.moveBeside(ctx, &packp.Command{Name: plumbing.NewBranchReferenceName(branch), Old: old}, nil)
}

// moveBeside pushes to a branch that is not the one that is read. Without a pack, it
// deletes it.
func (m *Mirror) moveBeside(ctx context.Context, command *packp.Command, pack io.Reader) error {
	branch := command.Name.Short()
	if !strings.HasPrefix(branch, besidePrefix) || command.Name == m.branch {
		return fmt.Errorf("cannot push to %s: it is no branch of Pintle's own", branch)
	}
	progress := &strings.Builder{}
	req := packp.NewReferenceUpdateRequest()
	for _, c := range []capability.Capability{capability.ReportStatus, capability.Sideband64k} {
		_ = req.Capabilities.Set(c)
	}
	_ = req.Capabilities.Set(capability.Agent, "pintle")
	req.Commands, req.Progress = []*packp.Command{command}, progress
	if pack == nil {
		_ = req.Capabilities.Set(capability.DeleteRefs)
	} else {
		req.Packfile = io.NopCloser(pack)
	}
	pushCtx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	report, err := m.remote.receive(pushCtx, req)
	if err == nil && report != nil {
		m.beside[branch] = command.New
		if command.New.IsZero() {
			delete(m.beside, branch)
		}
		return nil
	}
	return m.judgeBeside(ctx, command, m.failure(report, err, progress.String(), func(string) string {
		return fmt.Sprintf("check that branches %s* may be made, forced and deleted with these credentials", besidePrefix)
	}))
}

// judgeBeside finds out what a failed push means by looking at the branch.
func (m *Mirror) judgeBeside(ctx context.Context, command *packp.Command, failed error) error {
	_, err := m.Tip(ctx)
	tip := m.beside[command.Name.Short()]
	switch {
	case err != nil:
		return m.notKnown(failed, err)
	case tip == command.New:
		return nil // It was taken; only the answer was lost.
	case tip != command.Old:
		return &RaceError{Err: reason(failed)}
	}
	return failed
}
