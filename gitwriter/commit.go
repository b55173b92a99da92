// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
)

// Update moves one slot of a policy.
type Update struct {
	Slot    Slot
	Changes []manifest.Change
	// Image is the policy's, as the policy writes it.
	Image string
	// New is what the slot holds then; Wrote is the whole selection.
	New, Wrote ledger.Value
	Revision   int
	Cause      string
	Source     string // of the build that made the image, or empty
	Rollback   bool
}

// Planned is a commit to be made.
type Planned struct {
	Updates []Update
	// Text is the whole message, as Compose makes it.
	Text string
}

// trailers has one line for each policy and distinct old value.
func (p *Planned) trailers() []ledger.Trailer {
	lines := make([]ledger.Trailer, 0, len(p.Updates))
	seen := make(map[ledger.Trailer]bool, len(p.Updates))
	for _, u := range p.Updates {
		t := ledger.Trailer{Policy: u.Slot.Policy, Rollback: u.Rollback, Revision: u.Revision, Image: u.Image, Old: u.Slot.Value, New: u.Wrote, Cause: u.Cause, Source: u.Source}
		if !seen[t] {
			seen[t] = true
			lines = append(lines, t)
		}
	}
	return lines
}

// Edited is a file that planned commits change.
type Edited struct {
	Path     string
	Old, New []byte
}

// Refused is an update that could not be made; its file stays as it was.
type Refused struct {
	Update Update
	Err    error
}

// Edit applies planned commits in memory, in their order. Updates that can't be
// made are taken out of the returned plan and returned on their own; commits
// without updates are left out. A file's content after each commit is in the
// result at the commit's index.
func (r *Repository) Edit(plan []Planned) (kept []Planned, contents []map[string][]byte, refused []Refused, err error) {
	current := map[string][]byte{}
	for _, p := range plan {
		var done Planned
		touched := map[string][]byte{}
		for _, path := range pathsOf(p.Updates) {
			updates := updatesIn(p.Updates, path)
			before, ok := current[path]
			if !ok {
				if before, err = r.Content(path); err != nil {
					return nil, nil, nil, err
				}
			}
			after, made, failed := r.editFile(path, before, updates)
			refused = append(refused, failed...)
			if len(made) == 0 {
				continue
			}
			done.Updates = append(done.Updates, made...)
			current[path], touched[path] = after, after
		}
		if len(done.Updates) > 0 {
			kept = append(kept, done)
			contents = append(contents, touched)
		}
	}
	return kept, contents, refused, nil
}

// editFile makes all updates of one file at once, or, if one of them is
// refused, each on its own.
func (r *Repository) editFile(path string, content []byte, updates []Update) (after []byte, made []Update, refused []Refused) {
	var changes []manifest.Change
	for _, u := range updates {
		changes = append(changes, u.Changes...)
	}
	after, err := r.splice(path, content, changes)
	if err == nil {
		return after, updates, nil
	}
	after = content
	for _, u := range updates {
		edited, err := r.splice(path, after, u.Changes)
		if err != nil {
			refused = append(refused, Refused{u, err})
			continue
		}
		after = edited
		made = append(made, u)
	}
	return after, made, refused
}

// splice edits a content that may have been edited before, by an earlier commit
// of the same push: fields are then found again by their keys.
func (r *Repository) splice(path string, content []byte, changes []manifest.Change) ([]byte, error) {
	original, err := r.Content(path)
	if err != nil {
		return nil, err
	}
	if string(original) != string(content) {
		fields, _ := manifest.Scan(path, content, r.bound.Targets)
		changes = slices.Clone(changes)
		for i, c := range changes {
			at := slices.IndexFunc(fields, func(f manifest.Field) bool { return f.Key == c.Field.Key && f.Policy == c.Field.Policy })
			if at < 0 {
				return nil, &manifest.EditError{File: path, Line: c.Field.Line, Reason: "the field is gone after another edit"}
			}
			changes[i].Field = fields[at]
		}
	}
	return manifest.Edit(content, changes)
}

func pathsOf(updates []Update) []string {
	var paths []string
	for _, u := range updates {
		if !slices.Contains(paths, u.Slot.ID.File) {
			paths = append(paths, u.Slot.ID.File)
		}
	}
	slices.Sort(paths)
	return paths
}

func updatesIn(updates []Update, path string) []Update {
	var found []Update
	for _, u := range updates {
		if u.Slot.ID.File == path {
			found = append(found, u)
		}
	}
	return found
}

// Push makes the commits that Edit returned, with the texts that Compose gave
// them, signs them where there is a key for it, and pushes them at once. It returns
// their ids. A *mirror.RaceError means that the branch moved: call Update and decide
// again.
func (r *Repository) Push(ctx context.Context, plan []Planned, contents []map[string][]byte, name, email string, now time.Time) ([]string, error) {
	draft, err := r.mirror.NewDraft()
	if err != nil {
		return nil, err
	}
	author := object.Signature{Name: name, Email: email, When: now}
	ids := make([]string, 0, len(plan))
	for i, p := range plan {
		id, err := draft.Commit(contents[i], author, p.Text, r.sign())
		if err != nil {
			return nil, err
		}
		ids = append(ids, id.String())
	}
	if err := draft.Push(ctx); err != nil {
		return nil, err
	}
	return ids, r.index(ctx)
}
