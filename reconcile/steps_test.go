// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/reconcile"
)

// step is something that may happen; do tells whether it could.
type step struct {
	name   string
	weight int
	do     func(w *walker) bool
}

var steps = []step{
	{"nothing", 1, func(*walker) bool { return true }},
	{"push newer", 14, (*walker).pushNewer},
	{"push backport", 2, (*walker).pushBackport},
	{"push again", 1, (*walker).pushAgain},
	{"hide newest", 4, (*walker).hideNewest},
	{"hide all", 1, (*walker).hideAll},
	{"show all", 10, (*walker).showAll},
	{"undo by revert", 7, func(w *walker) bool { return w.revert(false, w.onTop) }},
	{"undo by merged revert", 3, func(w *walker) bool { return w.revert(false, w.merged) }},
	{"undo of one field", 4, func(w *walker) bool { return w.revert(true, w.onTop) }},
	{"undo after a squash", 14, (*walker).squashAndRevert},
	{"undo by cherry-pick", 10, (*walker).pickBack},
	{"undo twice", 10, func(w *walker) bool { return w.revertTwice() }},
	{"undo of an undo", 4, (*walker).revertRevert},
	{"undo by hand, older", 4, func(w *walker) bool { return w.setByHand(w.older()) }},
	{"undo by hand, newer", 2, func(w *walker) bool {
		return w.setByHand(ref{tag: fmt.Sprintf("1.%d.0", w.pushed+1+w.r.IntN(2))}, true)
	}},
	{"undo by hand, unknown", 2, func(w *walker) bool { return w.setByHand(ref{tag: "hotfix"}, true) }},
	{"undo by hand, another image", 2, func(w *walker) bool { return w.setByHand(ref{}, true) }},
	{"undo by force", 8, (*walker).dropNewest},
	{"set back", 3, (*walker).setBack},
	{"pull with a merge", 2, (*walker).pull},
	{"rebase", 8, (*walker).rebase},
	{"move file", 2, (*walker).moveFile},
	{"remove field", 2, (*walker).removeField},
	{"add field", 8, (*walker).addField},
	{"rename policy", 1, (*walker).renamePolicy},
	{"narrow rule", 2, (*walker).narrow},
	{"widen rule", 6, (*walker).widen},
	{"pin revision", 2, (*walker).pinRevision},
	{"pin tag", 1, (*walker).pinTag},
	{"pin digest", 1, (*walker).pinDigest},
	{"pin nothing there", 1, (*walker).pinNothing},
	{"unpin", 20, (*walker).unpin},
	{"suspend", 1, func(w *walker) bool { return w.declare(&w.suspended, true) }},
	{"go on", 12, func(w *walker) bool { return w.declare(&w.suspended, false) }},
	{"ask for age", 1, func(w *walker) bool { return w.declare(&w.young, true) }},
	{"ask for no age", 12, func(w *walker) bool { return w.declare(&w.young, false) }},
	{"forge a trailer", 1, (*walker).forge},
	{"undo by rollback", 8, func(w *walker) bool { return w.rollBack(0) }},
	{"undo by rollback to a revision", 2, (*walker).rollBackTo},
	{"resume", 8, (*walker).resumes},
	{"two at once", 3, (*walker).race},
	{"restart", 1, func(w *walker) bool { w.warm = w.engine(); return true }},
}

// step takes one that can be taken.
func (w *walker) step() string {
	total := 0
	for _, s := range steps {
		total += s.weight
	}
	for {
		n := w.r.IntN(total)
		for _, s := range steps {
			if n -= s.weight; n >= 0 {
				continue
			}
			if s.do(w) {
				w.tally.add(s.name)
				return s.name
			}
			break
		}
	}
}

func (w *walker) pushNewer() bool {
	w.pushed++
	w.push(fmt.Sprintf("1.%d.0", w.pushed))
	return true
}

func (w *walker) pushBackport() bool {
	tag := fmt.Sprintf("1.%d.%d", w.r.IntN(w.pushed+1), 1+w.r.IntN(9))
	if w.tags[tag] != "" {
		return false
	}
	w.push(tag)
	return true
}

func (w *walker) anyTag() string {
	tags := slices.Sorted(maps.Keys(w.tags))
	return tags[w.r.IntN(len(tags))]
}

func (w *walker) pushAgain() bool {
	w.push(w.anyTag())
	return true
}

func (w *walker) hideNewest() bool {
	newest, ok := w.selection()
	w.hidden[newest.tag] = ok
	return ok
}

func (w *walker) hideAll() bool {
	for tag := range w.tags {
		w.hidden[tag] = true
	}
	return true
}

func (w *walker) showAll() bool {
	some := len(w.hidden) > 0
	w.hidden = map[string]bool{}
	return some
}

// onTop pushes files as a commit on the head.
func (w *walker) onTop(files map[string]string, message string) { w.person.push(files, message) }

// merged pushes files as a branch that is merged.
func (w *walker) merged(files map[string]string, message string) {
	head := w.person.head().Hash
	side := w.person.commit(files, message, head)
	w.person.move(w.person.commit(files, "Merge branch 'undo'", head, side))
}

// set gives fields new values, by a commit that push makes.
func (w *walker) set(values map[string]ref, push func(map[string]string, string), message string) bool {
	files := w.person.files(w.person.head())
	fields := maps.Clone(w.now().fields)
	changed := false
	for path, r := range values {
		if held, there := fields[path]; !there || held == r {
			continue
		}
		fields[path], changed = r, true
		files[path] = withImage(files[path], w.image(r))
	}
	if changed {
		push(files, message)
		w.add(fields, nil)
	}
	return changed
}

// newestStanding is the newest moment of Pintle's whose fields all hold what it
// left: git can revert it.
func (w *walker) newestStanding() (moves map[string]modelMove) {
	for _, moment := range slices.Backward(w.line) {
		if moment.entry == nil {
			continue
		}
		stands := true
		for path, move := range moment.entry.moves {
			held, there := w.now().fields[path]
			stands = stands && there && held == move.new
		}
		if stands {
			return moment.entry.moves
		}
	}
	return nil
}

func (w *walker) revert(one bool, push func(map[string]string, string)) bool {
	values := map[string]ref{}
	for _, path := range slices.Sorted(maps.Keys(w.newestStanding())) {
		if !one || len(values) == 0 {
			values[path] = w.newestStanding()[path].old
		}
	}
	return w.set(values, push, "Revert what Pintle wrote\n\nIt is bad.")
}

// revertTwice undoes what stands, and then what stood before.
func (w *walker) revertTwice() bool {
	if !w.revert(false, w.onTop) {
		return false
	}
	return w.revert(false, w.onTop)
}

// squashAndRevert makes the newest commit anew without its trailers, as a squash
// on a forge may, and reverts it.
func (w *walker) squashAndRevert() bool {
	newest := w.now()
	if newest.entry == nil {
		return false
	}
	head := w.person.head()
	message := []string{
		"Squashed",
		head.Message + "\nSomething that a squash appends.\n",
		"Squashed commit of the following:\n\n    " + strings.ReplaceAll(strings.TrimSpace(head.Message), "\n", "\n    ") + "\n",
	}[w.r.IntN(3)]
	w.person.move(w.person.commit(w.person.files(head), message, head.ParentHashes...))
	moves := newest.entry.moves
	w.line[len(w.line)-1].entry = nil
	values := map[string]ref{}
	for path, move := range moves {
		values[path] = move.old
	}
	return w.set(values, w.onTop, "Revert \"Squashed\"")
}

// pickBack puts back what was undone with the message that it had, trailers and
// all: git cherry-pick. It is an edit by hand all the same.
func (w *walker) pickBack() bool {
	for i, moment := range slices.Backward(w.line) {
		if moment.entry == nil || i == len(w.line)-1 {
			continue
		}
		values := map[string]ref{}
		for path, move := range moment.entry.moves {
			if held, there := w.now().fields[path]; !there || held != move.old {
				return false
			}
			values[path] = move.new
		}
		message := ""
		for c := w.person.head(); message == "" && len(c.ParentHashes) > 0; {
			if strings.Contains(c.Message, fmt.Sprintf(": prod/%s %d ", moment.policy, moment.entry.revision)) {
				message = c.Message
			}
			c = w.person.read(c.ParentHashes[len(c.ParentHashes)-1])
		}
		return message != "" && w.set(values, w.onTop, message)
	}
	return false
}

// revertRevert takes a person's newest edit back.
func (w *walker) revertRevert() bool {
	if len(w.line) < 2 || w.now().entry != nil {
		return false
	}
	return w.set(w.line[len(w.line)-2].fields, w.onTop, "Revert \"Revert\"")
}

// older is a version below what the fields hold, with its digest or without.
func (w *walker) older() (ref, bool) {
	tag := w.anyTag()
	for _, held := range w.now().fields {
		n, ok := version(w.known(held).tag)
		if !ok || must(version(tag)) >= n {
			return ref{}, false
		}
	}
	if w.r.IntN(2) == 0 {
		return ref{tag: tag}, true
	}
	return ref{tag, w.tags[tag]}, true
}

// setByHand sets one field, or all.
func (w *walker) setByHand(r ref, ok bool) bool {
	values := map[string]ref{}
	for _, path := range slices.Sorted(maps.Keys(w.now().fields)) {
		if len(values) == 0 || w.r.IntN(2) == 0 {
			values[path] = r
		}
	}
	return ok && w.set(values, w.onTop, "Set by hand")
}

// setBack gives all fields what Pintle left in them last.
func (w *walker) setBack() bool {
	values := map[string]ref{}
	for path, chain := range w.standing().chain {
		values[path] = chain[len(chain)-1].new
	}
	return w.set(values, w.onTop, "Set back")
}

// dropNewest forces the branch back to before Pintle's newest commit.
func (w *walker) dropNewest() bool {
	if w.now().entry == nil || w.pin != nil && w.pin.since >= len(w.line)-1 {
		return false
	}
	w.person.move(w.person.head().ParentHashes[0])
	w.line = w.line[:len(w.line)-1]
	return true
}

// pull merges the branch into a person's own line, so that the first parent of
// the head is the person's.
func (w *walker) pull() bool {
	head := w.person.head()
	if len(head.ParentHashes) == 0 {
		return false
	}
	base := w.person.read(head.ParentHashes[0])
	local := w.person.files(base)
	local["notes.txt"] += "mine\n"
	mine := w.person.commit(local, "Note", base.Hash)
	files := w.person.files(head)
	files["notes.txt"] += "mine\n"
	w.person.move(w.person.commit(files, "Merge branch 'main' of origin", mine, head.Hash))
	w.add(w.now().fields, nil)
	return true
}

// rebase makes the newest commit anew on top of another one: it keeps its
// message, and gets a new id.
func (w *walker) rebase() bool {
	head := w.person.head()
	if w.now().entry == nil {
		return false
	}
	base := w.person.read(head.ParentHashes[0])
	note := "rebased\n"
	files := w.person.files(base)
	files["notes.txt"] += note
	onto := w.person.commit(files, "Note", base.Hash)
	files = w.person.files(head)
	files["notes.txt"] += note
	w.person.move(w.person.commit(files, head.Message, onto))
	return true
}

func (w *walker) moveFile() bool {
	fields := maps.Clone(w.now().fields)
	paths := slices.Sorted(maps.Keys(fields))
	if len(paths) == 0 {
		return false
	}
	from := paths[w.r.IntN(len(paths))]
	to := fmt.Sprintf("%c%d.yaml", from[0], len(w.line))
	files := w.person.files(w.person.head())
	files[to], fields[to] = files[from], fields[from]
	delete(files, from)
	delete(fields, from)
	w.person.push(files, "Move "+from)
	w.add(fields, nil)
	return true
}

func (w *walker) removeField() bool {
	fields := maps.Clone(w.now().fields)
	for path := range fields {
		if w.r.IntN(2) == 0 {
			delete(fields, path)
		}
	}
	return w.replace(fields)
}

// addField adds a field at a place where there was one, or at a new one.
func (w *walker) addField() bool {
	path := []string{"a.yaml", "b.yaml"}[w.r.IntN(2)]
	fields := maps.Clone(w.now().fields)
	if _, there := fields[path]; there || len(fields) > 2 {
		return false
	}
	fields[path] = ref{tag: w.anyTag()}
	return w.replace(fields)
}

// replace pushes a commit with these fields.
func (w *walker) replace(fields map[string]ref) bool {
	if maps.Equal(fields, w.now().fields) {
		return false
	}
	files := w.person.files(w.person.head())
	for path := range w.now().fields {
		if _, there := fields[path]; !there {
			delete(files, path)
		}
	}
	for path, r := range fields {
		if _, there := files[path]; !there {
			files[path] = w.field(path, r)
		}
	}
	w.person.push(files, "Change fields")
	w.add(fields, nil)
	return true
}

func (w *walker) renamePolicy() bool {
	old := w.policy
	w.policy = map[string]string{"app": "web", "web": "app"}[old]
	files := w.person.files(w.person.head())
	for path, content := range files {
		files[path] = strings.ReplaceAll(content, `"prod:`+old+`"`, `"prod:`+w.policy+`"`)
	}
	files["policy.yaml"] = w.policyText()
	w.person.push(files, "Rename the policy")
	w.add(w.now().fields, nil)
	return true
}

// redeclare pushes the policy as it is now.
func (w *walker) redeclare() bool {
	files := w.person.files(w.person.head())
	files["policy.yaml"] = w.policyText()
	w.person.push(files, "Change the policy")
	w.add(w.now().fields, nil)
	return true
}

func (w *walker) declare(what *bool, value bool) bool {
	if *what == value {
		return false
	}
	*what = value
	return w.redeclare()
}

func (w *walker) narrow() bool {
	w.below = 1 + w.r.IntN(w.pushed+1)
	return w.redeclare()
}

func (w *walker) widen() bool {
	if w.below == 1000 {
		return false
	}
	w.below = 1000
	return w.redeclare()
}

func (w *walker) pinTo(pin modelPin) bool {
	if w.pin != nil && pin == (modelPin{w.pin.revision, w.pin.tag, w.pin.digest, 0}) {
		return false // To declare the same again declares nothing.
	}
	pin.since = len(w.line)
	w.pin = &pin
	return w.redeclare()
}

func (w *walker) pinRevision() bool {
	entries := w.entries()
	return len(entries) > 0 && w.pinTo(modelPin{revision: entries[w.r.IntN(len(entries))].revision})
}

func (w *walker) pinTag() bool { return w.pinTo(modelPin{tag: w.anyTag()}) }

func (w *walker) pinDigest() bool {
	entries := w.entries()
	return len(entries) > 0 && w.pinTo(modelPin{digest: entries[w.r.IntN(len(entries))].wrote.digest})
}

func (w *walker) pinNothing() bool {
	if w.r.IntN(2) == 0 {
		return w.pinTo(modelPin{tag: "9.9.9"})
	}
	return w.pinTo(modelPin{revision: 10_000})
}

func (w *walker) unpin() bool {
	if w.pin == nil {
		return false
	}
	w.pin = nil
	return w.redeclare()
}

// forge commits a trailer that its diff does not bear out.
func (w *walker) forge() bool {
	message := fmt.Sprintf("Forged\n\nPintle-Update: prod/%s %d %s/app 0.9.0 -> 1.0.0@%s cause=resume\n",
		w.policy, w.nextRevision()+w.r.IntN(9), w.host, w.tags["1.0.0"])
	if r, ok := w.older(); ok && w.r.IntN(2) == 0 {
		return w.set(map[string]ref{"a.yaml": r, "b.yaml": r}, w.onTop, message)
	}
	w.person.push(w.person.files(w.person.head()), message)
	w.add(w.now().fields, nil)
	return true
}

func (w *walker) rollBackTo() bool {
	entries := w.entries()
	return len(entries) > 0 && w.rollBack(entries[w.r.IntN(len(entries))].revision)
}

// rollBack runs the command; where it is refused, nothing may move.
func (w *walker) rollBack(revision int) bool {
	want, ok := w.rollback(revision)
	options := reconcile.RollbackOptions{}
	if revision > 0 {
		options.To = fmt.Sprint(revision)
	}
	head := w.person.head().Hash
	report, err := w.engine().Rollback(w.t.Context(), "prod/"+w.policy, options)
	if !ok {
		if _, refused := errors.AsType[*reconcile.RefusedError](err); !refused || w.person.head().Hash != head {
			w.t.Errorf("a rollback that is to be refused gives %v", err)
		}
		w.tally.add("rollback refused")
		return false
	}
	if err != nil {
		w.t.Errorf("rollback: %v", err)
		return true
	}
	w.expect("rollback", report, want)
	w.wrote(want)
	return len(want.moved) > 0
}

func (w *walker) resumes() bool {
	want := w.resume()
	report, err := w.warm.Resume(w.t.Context(), "prod/"+w.policy)
	if w.suspended || len(w.now().fields) == 0 {
		if _, refused := errors.AsType[*reconcile.RefusedError](err); !refused {
			w.t.Errorf("a resume that is to be refused gives %v", err)
		}
		return false
	}
	if err != nil {
		w.t.Errorf("resume: %v", err)
		return true
	}
	w.expect("resume", report, want)
	w.wrote(want)
	return len(want.moved) > 0
}

// race lets two replicas find a newer tag at once: what one of them writes, the
// other does not write again.
func (w *walker) race() bool {
	w.pushNewer()
	want := w.sync()
	if len(want.moved) == 0 {
		return false
	}
	before := w.person.head().Hash
	var replicas sync.WaitGroup
	for _, e := range []*reconcile.Engine{w.warm, w.engine()} {
		replicas.Go(func() {
			if _, err := e.Sync(w.t.Context()); err != nil {
				w.t.Errorf("one of two at once: %v", err)
			}
		})
	}
	replicas.Wait()
	if parents := w.person.head().ParentHashes; !slices.Equal(parents, []plumbing.Hash{before}) {
		w.t.Errorf("two at once made a head on %v, want one commit on %v", parents, before)
	}
	w.wrote(want)
	return true
}
