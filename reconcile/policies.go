// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/policy"
	"github.com/pintle-dev/pintle/registry"
)

// declared is a valid policy with its compiled rule.
type declared struct {
	name string // <namespace>/<name>
	file string
	line int
	spec v1alpha1.ImagePolicySpec
	rule *policy.Rule
	// pinLine and suspendLine are those of spec.pin and spec.suspend.
	pinLine, suspendLine int
	// markersOnly: its targets do not count.
	markersOnly bool
	// ruleText is equal for equal rules.
	ruleText string
	// question is what its selection depends on, besides the registry, and its name.
	question string
	// uid and generation are those of the object in a cluster.
	uid        types.UID
	generation int64
	// seen is the record of the object's status, in a cluster.
	seen *v1alpha1.FirstSeen
}

// at is where a line of the policy stands, in words.
func (p declared) at(line int) string {
	if p.file == "" {
		return "the ImagePolicy " + p.name
	}
	return fmt.Sprintf("%s:%d", p.file, line)
}

// policySet is all that a set of documents declares.
type policySet struct {
	policies map[string]declared
	// broken are policies that are there but not valid.
	broken   map[string]bool
	problems []Problem
	notices  []string
	// granted: they are those of a cluster that may write here.
	granted bool
	from    source
	// schedules are made of them once somebody asks.
	schedules map[string]Schedule
}

func (s policySet) sorted() []declared {
	names := slices.Sorted(maps.Keys(s.policies))
	all := make([]declared, 0, len(names))
	for _, n := range names {
		all = append(all, s.policies[n])
	}
	return all
}

// bindings is what the policies say about fields.
func (s policySet) bindings() gitwriter.Bindings {
	b := gitwriter.Bindings{Images: make(map[string]string, len(s.policies))}
	for _, p := range s.sorted() {
		b.Images[p.name] = p.spec.Image
		if p.markersOnly {
			continue
		}
		for _, t := range p.spec.Targets {
			b.Targets = append(b.Targets, targetOf(p, t))
		}
	}
	return b
}

func targetOf(p declared, t v1alpha1.Target) manifest.Target {
	target := manifest.Target{Policy: p.name, Image: p.spec.Image}
	switch {
	case t.Kustomize != nil:
		target.Kind, target.Path = manifest.Kustomize, t.Kustomize.Path
	case t.Workloads != nil:
		target.Kind, target.Path = manifest.Workloads, t.Workloads.Path
	case t.HelmValues != nil:
		h := t.HelmValues
		target.Kind, target.Path = manifest.HelmValues, h.Path
		target.Repository, target.Tag, target.Digest = h.Repository, h.Tag, h.Digest
	}
	return target
}

// parsed is what one content of a file declares.
type parsed struct {
	id       string
	policies []declared
	broken   []string
	problems []Problem
	notices  []string
}

// policies reads the documents of the repository, or of the folder that the
// operator named, or asks the cluster. Where neither the repository nor the cluster
// changed, it returns what it did before, and files that did not change are not
// parsed again.
func (e *Engine) policies(ctx context.Context) (*policySet, error) {
	listed, err := e.listed(ctx)
	if err != nil {
		return nil, err
	}
	from := source{e.repo.Tree(), identities(listed)}
	if e.config.PoliciesPath == "" && e.set != nil && e.set.from.equal(from) {
		return e.set, nil
	}
	documents, err := e.documents()
	if err != nil {
		return nil, err
	}
	set := merge(documents)
	if e.config.Policies != nil {
		set = e.objects(listed, set)
	}
	set.from = from
	e.set, e.bound = &set, nil
	e.rankings.keep(set.policies)
	e.selections.keep(set.policies)
	return e.set, nil
}

// source is what a set of policies was made of: the tree of the repository, and the
// objects of a cluster.
type source struct {
	tree    string
	objects []identity
}

func (s source) equal(o source) bool { return s.tree == o.tree && slices.Equal(s.objects, o.objects) }

// documents reads the files that may hold policies.
func (e *Engine) documents() (map[string]parsed, error) {
	docs, err := e.repo.Documents()
	if e.config.PoliciesPath != "" {
		docs, err = readFolder(e.config.PoliciesPath)
	}
	if err != nil {
		return nil, err
	}
	fresh := make(map[string]parsed, len(docs))
	for _, d := range docs {
		p, ok := e.parsed[d.Path]
		if !ok || p.id != d.ID {
			p = parse(e.validator, d)
		}
		fresh[d.Path] = p
	}
	e.parsed = fresh
	return fresh, nil
}

// parse reads the policies of one file and compiles their rules.
func parse(v *document.Validator, d gitwriter.Document) parsed {
	found, problems := v.Find(d.Path, d.Content)
	p := parsed{id: d.ID}
	for _, problem := range problems {
		p.problems = append(p.problems, Problem{problem.File, problem.Line, problem.Message})
		if problem.Policy != "" {
			p.broken = append(p.broken, problem.Policy)
		}
	}
	for _, doc := range found {
		if doc.Repository != nil {
			p.notices = append(p.notices, fmt.Sprintf("%s:%d: this ManifestRepository is for a cluster: without one, the command's flags say where to write, so it is ignored", doc.File, doc.Line))
			continue
		}
		name := doc.Policy.Namespace + "/" + doc.Policy.Name
		if doc.Policy.Spec.Registry != nil {
			p.notices = append(p.notices, fmt.Sprintf("%s:%d: spec.registry of %s is ignored: without a cluster, the Docker configuration says how to log in", doc.File, doc.Line, name))
		}
		if doc.Policy.Spec.Trigger != nil {
			p.notices = append(p.notices, fmt.Sprintf("%s:%d: spec.trigger of %s is ignored: without a cluster, there are no Builds to start", doc.File, doc.Line, name))
		}
		found, err := compile(doc.Policy)
		if err != nil {
			line := doc.Line
			if wrong, ok := errors.AsType[*SpecError](err); ok {
				line = doc.LineOf(wrong.Field)
			}
			p.problems = append(p.problems, Problem{doc.File, line, err.Error()})
			p.broken = append(p.broken, name)
			continue
		}
		found.file, found.line = doc.File, doc.Line
		found.pinLine, found.suspendLine = doc.LineOf("spec.pin"), doc.LineOf("spec.suspend")
		p.policies = append(p.policies, found)
	}
	return p
}

// SpecError says what is wrong with a policy that its schema lets pass.
type SpecError struct {
	// Policy is <namespace>/<name>; Field is as in "spec.image", or empty.
	Policy, Field string
	Reason        string
}

func (e *SpecError) Error() string {
	if e.Field == "" {
		return e.Policy + ": " + e.Reason
	}
	return e.Policy + ": " + e.Field + ": " + e.Reason
}

// compile makes a valid policy ready for use. Its errors are *SpecError.
func compile(p *v1alpha1.ImagePolicy) (declared, error) {
	name := p.Namespace + "/" + p.Name
	rule, err := policy.Compile(ruleOf(p.Spec.Select))
	if wrong, ok := errors.AsType[*policy.SpecError](err); ok {
		return declared{}, &SpecError{name, wrong.Field, wrong.Reason}
	}
	if err != nil {
		return declared{}, &SpecError{name, "", err.Error()}
	}
	if _, err := registry.Canonical(p.Spec.Image); err != nil {
		return declared{}, &SpecError{name, "spec.image", err.Error()}
	}
	text, err := json.Marshal(p.Spec.Select)
	if err != nil {
		text = []byte(name) // Not shared, then.
	}
	question := fmt.Sprintf("%s\x00%s\x00%s\x00%q %v", name, p.Spec.Image, text, p.Spec.Platforms, p.Spec.MinimumAge)
	return declared{name: name, spec: p.Spec, rule: rule, ruleText: string(text), question: question, uid: p.UID, generation: p.Generation, seen: p.Status.FirstSeen}, nil
}

func ruleOf(s v1alpha1.Select) policy.Spec {
	spec := policy.Spec{Tag: s.Tag, Newest: s.Newest != nil, Exclude: s.Exclude}
	if s.Semver != nil {
		spec.Semver = &policy.Semver{Range: s.Semver.Range}
	}
	if s.Numerical != nil {
		spec.Numerical = &policy.Ordered{Order: policy.Order(s.Numerical.Order)}
	}
	if s.Alphabetical != nil {
		spec.Alphabetical = &policy.Ordered{Order: policy.Order(s.Alphabetical.Order)}
	}
	if s.Filter != nil {
		spec.Filter = &policy.Filter{Pattern: s.Filter.Pattern, Extract: s.Filter.Extract}
	}
	return spec
}

// merge puts the files together. A policy that is declared twice counts as
// broken: which of the two is meant can't be known.
func merge(files map[string]parsed) policySet {
	set := policySet{policies: map[string]declared{}, broken: map[string]bool{}}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		f := files[path]
		set.problems = append(set.problems, f.problems...)
		set.notices = append(set.notices, f.notices...)
		for _, name := range f.broken {
			set.broken[name] = true
		}
		for _, p := range f.policies {
			if first, twice := set.policies[p.name]; twice {
				set.broken[p.name] = true
				set.problems = append(set.problems, Problem{p.file, p.line, fmt.Sprintf(
					"%s is declared at %s:%d already: remove one of the two; until then neither is followed", p.name, first.file, first.line)})
				continue
			}
			set.policies[p.name] = p
		}
	}
	for name := range set.broken {
		delete(set.policies, name)
	}
	return set
}

// maxPolicyFiles bounds a folder of policies.
const maxPolicyFiles = 100_000

// readFolder reads the manifests below a local path that may hold policies.
func readFolder(root string) ([]gitwriter.Document, error) {
	var docs []gitwriter.Document
	read := func(path string, content []byte) {
		if document.MayMatter(content) {
			docs = append(docs, gitwriter.Document{Path: path, ID: string(content), Content: content})
		}
	}
	// No policy is that large, so one that is can't be meant.
	err := walkManifests(root, read, func(string) {})
	if err != nil {
		return nil, fmt.Errorf("cannot read policies: %w", err)
	}
	return docs, nil
}

// walkManifests reads the manifests below dir, or dir itself where it is a
// file. Links are not followed. Files that are too large are told to large.
func walkManifests(dir string, each func(path string, content []byte), large func(path string)) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if info.Size() > mirror.MaxBlobBytes {
			return fmt.Errorf("%s: %w", dir, mirror.ErrTooLarge)
		}
		content, err := os.ReadFile(dir)
		if err != nil {
			return err
		}
		each(dir, content)
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	count := 0
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() || !manifest.IsManifest(path) {
			return nil
		}
		if count++; count > maxPolicyFiles {
			return fmt.Errorf("%s holds more than %d manifests", dir, maxPolicyFiles)
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Size() > mirror.MaxBlobBytes {
			large(filepath.Join(dir, path))
			return nil
		}
		content, err := root.ReadFile(path)
		if err != nil {
			return err
		}
		each(filepath.Join(dir, path), content)
		return nil
	})
	return errors.Join(err, root.Close())
}
