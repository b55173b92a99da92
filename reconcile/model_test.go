// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pintle-dev/pintle/reconcile"
)

// model is a small, obviously right picture of a branch, a registry and a policy
// with a semver rule. It says what the engine has to do, and shares no code with
// it. Its history is a plain row of moments; that some of them came by a merge
// makes no difference.
type model struct {
	tags   map[string]string // of the registry: tag to digest
	hidden map[string]bool   // tags that the registry leaves out of its list

	policy    string
	below     int // the rule is >=1.0.0 <1.<below>.0
	pin       *modelPin
	suspended bool
	young     bool // spec.minimumAge is set, to longer than a walk takes
	write     string

	line []moment
}

// modelPin is what spec.pin names. since is the moment that declared it.
type modelPin struct {
	revision    int
	tag, digest string
	since       int
}

// moment is a commit of the branch.
type moment struct {
	fields map[string]ref
	entry  *modelEntry // what Pintle says of it, as far as it still says so
	policy string
}

// ref is what a field says of the policy's image. The zero ref is another image.
type ref struct{ tag, digest string }

type modelEntry struct {
	revision int
	cause    string
	wrote    ref
	moves    map[string]modelMove
}

// forward tells whether the entry is a choice of the rule's.
func (e *modelEntry) forward() bool { return e.cause != "rollback" && e.cause != "pin" }

type modelMove struct{ old, new, wrote ref }

func (m *model) now() moment { return m.line[len(m.line)-1] }

// add appends what a person committed.
func (m *model) add(fields map[string]ref, entry *modelEntry) {
	m.line = append(m.line, moment{fields, entry, m.policy})
}

func (r ref) foreign() bool { return r == ref{} }

// same: digests decide, where both have one.
func (r ref) same(o ref) bool {
	if r.digest != "" && o.digest != "" {
		return r.digest == o.digest
	}
	return r.tag != "" && r.tag == o.tag
}

// version reads 1.<minor>.<patch>.
func version(tag string) (int, bool) {
	parts := strings.Split(tag, ".")
	if len(parts) != 3 || parts[0] != "1" {
		return 0, false
	}
	minor, err := strconv.Atoi(parts[1])
	patch, errToo := strconv.Atoi(parts[2])
	return minor*1000 + patch, err == nil && errToo == nil
}

func (m *model) admits(r ref) bool {
	if r.foreign() {
		return false
	}
	v, ok := version(r.tag)
	return r.tag == "" || ok && v < m.below*1000
}

// selection is the greatest listed tag that the rule admits.
func (m *model) selection() (ref, bool) {
	var best ref
	for tag, digest := range m.tags {
		candidate := ref{tag, digest}
		if m.hidden[tag] || !m.admits(candidate) {
			continue
		}
		if v, _ := version(tag); best.foreign() || v > must(version(best.tag)) {
			best = candidate
		}
	}
	return best, !best.foreign()
}

func must(v int, _ bool) int { return v }

// written is what a field holds when Pintle wrote a selection into it.
func (m *model) written(r ref) ref {
	switch {
	case m.write == "Tag" && r.tag != "":
		return ref{tag: r.tag}
	case m.write == "Digest":
		return ref{digest: r.digest}
	}
	return r
}

// known finds the tag of a digest that Pintle wrote.
func (m *model) known(r ref) ref {
	if r.tag != "" || r.digest == "" {
		return r
	}
	for _, e := range slices.Backward(m.entries()) {
		if e.wrote.digest == r.digest && e.wrote.tag != "" {
			return e.wrote
		}
	}
	return r
}

// entries are those of the policy as it is called now.
func (m *model) entries() []*modelEntry {
	var own []*modelEntry
	for _, moment := range m.line {
		if moment.entry != nil && moment.policy == m.policy {
			own = append(own, moment.entry)
		}
	}
	return own
}

func (m *model) nextRevision() int {
	newest := 0
	for _, e := range m.entries() {
		newest = max(newest, e.revision)
	}
	return newest + 1
}

// standing is what the row of moments means for the policy.
type standing struct {
	vetoes []ref
	chain  map[string][]modelMove // what Pintle did to each field
	undone map[string]bool
	rolled map[string]bool // fields that hold what a rollback left
	back   bool
	moved  []modelMoved   // fields that were moved back and are gone since
	since  map[string]int // for a field that came from one of those: its moment
}

type modelMoved struct {
	moment int
	path   string
	held   ref
}

func (m *model) standing() standing {
	s := standing{chain: map[string][]modelMove{}, undone: map[string]bool{}, rolled: map[string]bool{}, since: map[string]int{}}
	lastRollback := map[string]bool{}
	gone := m.gone()
	for i, moment := range m.line {
		if i > 0 {
			for _, path := range gone[i-1] {
				if s.observe(map[string]ref{path: m.line[i-1].fields[path]}) {
					s.back = true
					s.moved = append(s.moved, modelMoved{i - 1, path, m.line[i-1].fields[path]})
				}
			}
		}
		e := moment.entry
		if e == nil || moment.policy != m.policy {
			continue
		}
		olds := map[string]ref{}
		for path, move := range e.moves {
			olds[path] = move.old
		}
		s.observe(olds)
		switch e.cause {
		case "resume":
			s.vetoes = nil
		case "rollback":
			for path, move := range e.moves {
				if !move.old.foreign() && !move.old.same(move.new) {
					s.cast(move.old)
				}
				if chain := s.chain[path]; len(chain) > 0 && chain[len(chain)-1].new != move.new {
					s.castSince(chain, move.new)
				}
			}
			s.lift(e.wrote)
		}
		s.back, s.moved = e.cause == "rollback", nil
		for path, move := range e.moves {
			s.chain[path] = append(s.chain[path], move)
			lastRollback[path] = e.cause == "rollback"
		}
	}
	s.observe(m.now().fields)
	for path, held := range m.now().fields {
		chain := s.chain[path]
		if len(chain) == 0 {
			for _, from := range s.moved {
				if from.held == held {
					s.undone[path], s.since[path] = true, from.moment
				}
			}
			continue
		}
		s.undone[path] = chain[len(chain)-1].new != held
		s.rolled[path] = !s.undone[path] && lastRollback[path]
		s.back = s.back || s.undone[path]
	}
	return s
}

// gone lists, by the moment, the fields that Pintle wrote, that the policy has no
// more, and that it had last then: before its next entry without them.
func (m *model) gone() map[int][]string {
	last := map[string]int{}
	for i, moment := range m.line {
		if moment.entry == nil || moment.policy != m.policy {
			continue
		}
		for path := range moment.entry.moves {
			last[path] = i
		}
	}
	found := map[int][]string{}
	for path, i := range last {
		if _, there := m.now().fields[path]; there {
			continue
		}
		seen := -1
		for j := i + 1; j < len(m.line); j++ {
			_, there := m.line[j].fields[path]
			own := m.line[j].policy == m.policy
			if there && own {
				seen = j
			}
			if !there && own && m.line[j].entry != nil {
				break
			}
		}
		if seen >= 0 {
			by := m.since(path, seen)
			found[by] = append(found[by], path)
		}
	}
	return found
}

// observe takes note of what fields hold, and tells whether that undid something.
func (s *standing) observe(fields map[string]ref) bool {
	undone := false
	for path, held := range fields {
		if chain := s.chain[path]; len(chain) > 0 && chain[len(chain)-1].new != held {
			s.lift(held)
		}
	}
	for path, held := range fields {
		if chain := s.chain[path]; len(chain) > 0 && chain[len(chain)-1].new != held {
			s.castSince(chain, held)
			undone = true
		}
	}
	return undone
}

// castSince vetoes all that was written after the value gone back to.
func (s *standing) castSince(chain []modelMove, to ref) {
	for i, move := range slices.Backward(chain) {
		if move.old == to || move.old.same(to) {
			for _, move := range chain[i:] {
				s.cast(move.wrote)
			}
			return
		}
	}
	s.cast(chain[len(chain)-1].wrote)
}

func (s *standing) cast(r ref) {
	if !slices.Contains(s.vetoes, r) {
		s.vetoes = append(s.vetoes, r)
	}
}

func (s *standing) lift(r ref) { s.vetoes = slices.DeleteFunc(s.vetoes, r.same) }

func (s *standing) vetoed(r ref) bool { return slices.ContainsFunc(s.vetoes, r.same) }

// stood tells whether a selection stood in a field since the newest entry, and
// somebody took it away.
func (m *model) stood(path string, want ref) bool {
	held := m.now().fields[path]
	if held.same(want) {
		return false
	}
	for _, moment := range slices.Backward(m.line) {
		if moment.entry != nil && moment.policy == m.policy {
			return false
		}
		past, there := moment.fields[path]
		if !there && len(m.entries()) == 0 {
			return false
		}
		if there && past.same(want) && (past.digest != "" || past.tag != held.tag) {
			return true
		}
	}
	return false
}

// since is the moment at which a field came to hold what it holds at another.
func (m *model) since(path string, i int) int {
	held := m.line[i].fields[path]
	for i > 0 {
		before, there := m.line[i-1].fields[path]
		if !there || before != held {
			break
		}
		i--
	}
	return i
}

// outcome is what a sync has to come to.
type prediction struct {
	reason reconcile.Reason
	fields map[string]ref
	moved  map[string]modelMove
	wrote  ref
	cause  string
	vetoes []ref
}

// sync says what the engine has to do.
func (m *model) sync() prediction { return m.predict("") }

// resume is what `pintle resume` has to do.
func (m *model) resume() prediction { return m.predict("resume") }

func (m *model) predict(order string) prediction {
	p := prediction{fields: m.now().fields, cause: "schedule"}
	want, selected := m.selection()
	switch {
	case m.pin != nil:
		p.cause = "pin"
		if want, selected = m.pinned(); !selected {
			p.reason = reconcile.Failed
			return p
		}
	case !selected:
		p.reason = reconcile.NoMatch
		return p
	case m.young:
		p.reason = reconcile.TooYoung
		return p
	}
	if order != "" {
		p.cause = order
	}
	s := m.standing()
	stood := map[string]bool{}
	vetoed := s.vetoed(want)
	for path := range m.now().fields {
		// Where the ledger knows of the undo, it also knows of the fields it wrote.
		known := vetoed && (len(s.chain[path]) > 0 || s.undone[path]) && m.pin == nil
		stood[path] = !known && m.stood(path, want)
		if stood[path] && !s.vetoed(want) {
			s.cast(want)
		}
	}
	p.vetoes = s.vetoes
	verdicts := map[string]reconcile.Reason{}
	for path, held := range m.now().fields {
		verdicts[path] = m.verdict(order, s, stood, path, held, want)
	}
	return m.carryOut(p, verdicts, want)
}

// carryOut moves the fields that are to be moved.
func (m *model) carryOut(p prediction, verdicts map[string]reconcile.Reason, want ref) prediction {
	p.reason, p.wrote = reconcile.NoField, want
	p.fields, p.moved = maps.Clone(p.fields), map[string]modelMove{}
	for path, verdict := range verdicts {
		if verdict == reconcile.Updated {
			p.moved[path] = modelMove{p.fields[path], m.written(want), want}
			p.fields[path] = m.written(want)
		}
		if verdict.Graver(p.reason) {
			p.reason = verdict
		}
	}
	if p.cause != "rollback" && p.cause != "resume" {
		if m.suspended && reconcile.Suspended.Graver(p.reason) {
			p.reason = reconcile.Suspended
		}
	}
	if m.pin != nil && p.reason == reconcile.UpToDate {
		p.reason = reconcile.Pinned
	}
	return p
}

// verdict is the one for a field.
func (m *model) verdict(order string, s standing, stood map[string]bool, path string, held, want ref) reconcile.Reason {
	chain := s.chain[path]
	switch {
	case held.foreign() && !s.undone[path] && !stood[path]:
		return reconcile.Failed
	case !held.foreign() && held == m.written(want):
		return reconcile.UpToDate
	case order == "resume":
		return reconcile.Updated
	case m.suspended:
		return reconcile.Suspended
	}
	movedBack := func(path string) bool {
		held := m.now().fields[path]
		return (s.undone[path] || stood[path] || s.rolled[path]) && (held.foreign() || held != m.written(want))
	}
	if m.pin != nil {
		for _, from := range s.moved {
			if s.vetoed(want) && from.moment > m.pin.since {
				return reconcile.Pinned
			}
		}
		for other := range m.now().fields {
			byHand := movedBack(other) && (s.undone[other] || stood[other])
			since, moved := s.since[other]
			if !moved {
				since = m.since(other, len(m.line)-1)
			}
			if byHand && s.vetoed(want) && since > m.pin.since {
				return reconcile.Pinned
			}
		}
		if held.foreign() {
			return reconcile.Pinned
		}
		return reconcile.Updated
	}
	anyBack := false
	for other, held := range m.now().fields {
		if movedBack(other) && !m.admits(m.known(held)) {
			return reconcile.ManuallySet
		}
		anyBack = anyBack || movedBack(other)
	}
	if s.vetoed(want) {
		return reconcile.RolledBack
	}
	selected := must(version(want.tag))
	for _, v := range s.vetoes {
		if n, ok := version(v.tag); (s.back || anyBack) && ok && m.admits(v) && n >= selected && v.tag != "" {
			return reconcile.RolledBack
		}
	}
	known := m.known(held)
	n, ok := version(known.tag)
	wroteIt := len(chain) > 0 && chain[len(chain)-1].new == held
	if ok && n > selected && (m.admits(known) || !wroteIt) {
		return reconcile.DowngradeRefused
	}
	return reconcile.Updated
}

// pinned is what spec.pin names, if anything.
func (m *model) pinned() (ref, bool) {
	switch pin := m.pin; {
	case pin.revision > 0:
		for _, e := range m.entries() {
			if e.revision == pin.revision {
				return e.wrote, true
			}
		}
		return ref{}, false
	case pin.tag != "":
		var held []ref
		for _, r := range m.now().fields {
			if r.tag == pin.tag && r.digest != "" && !slices.Contains(held, r) {
				held = append(held, r)
			}
		}
		if len(held) == 1 {
			return held[0], true
		}
		digest, ok := m.tags[pin.tag]
		return ref{pin.tag, digest}, ok
	default:
		for _, r := range m.now().fields {
			if r.digest == pin.digest && r.tag != "" {
				return r, true
			}
		}
		return m.known(ref{digest: pin.digest}), true
	}
}

// rollback is what `pintle rollback` has to do; false where it has to refuse.
func (m *model) rollback(revision int) (prediction, bool) {
	s := m.standing()
	p := prediction{fields: m.now().fields, cause: "rollback"}
	if m.pin != nil || len(p.fields) == 0 {
		return p, false
	}
	entries := m.entries()
	slices.SortFunc(entries, func(a, b *modelEntry) int { return b.revision - a.revision })
	var current *modelEntry // the newest choice of the rule's that a field holds
	for _, e := range entries {
		for _, held := range p.fields {
			if current == nil && e.forward() && held.same(e.wrote) {
				current = e
			}
		}
	}
	for _, e := range entries {
		if revision != 0 && e.revision != revision {
			continue
		}
		below := current == nil || e.revision < current.revision && !e.wrote.same(current.wrote)
		if revision == 0 && (!e.forward() || !below || s.vetoed(e.wrote)) {
			continue
		}
		verdicts := map[string]reconcile.Reason{}
		for path, held := range p.fields {
			switch {
			case held.foreign():
				verdicts[path] = reconcile.Failed
			case held == m.written(e.wrote):
				verdicts[path] = reconcile.UpToDate
			default:
				verdicts[path] = reconcile.Updated
			}
		}
		return m.carryOut(p, verdicts, e.wrote), true
	}
	return p, false
}

// wrote takes note of what Pintle did as predicted.
func (m *model) wrote(p prediction) {
	if len(p.moved) > 0 {
		m.add(p.fields, &modelEntry{m.nextRevision(), p.cause, p.wrote, p.moved})
	}
}

func (m *model) String() string {
	var b strings.Builder
	for i, moment := range m.line {
		fmt.Fprintf(&b, "  %d %s", i, moment.policy)
		for _, path := range slices.Sorted(maps.Keys(moment.fields)) {
			fmt.Fprintf(&b, " %s=%.8s@%.12s", path, moment.fields[path].tag, moment.fields[path].digest)
		}
		if e := moment.entry; e != nil {
			fmt.Fprintf(&b, "  r%d %s", e.revision, e.cause)
		}
		b.WriteString("\n")
	}
	return b.String()
}
