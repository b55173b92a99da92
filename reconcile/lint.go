// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// LintReport is what is wrong with the policies, markers and targets of a
// folder.
type LintReport struct {
	// Files counts the manifests that were read, Fields the bound scalars.
	Files    int       `json:"files"`
	Policies int       `json:"policies"`
	Fields   int       `json:"fields"`
	Problems []Problem `json:"problems"`
}

// Lint checks the files below a folder, without a registry and without Git.
func Lint(ctx context.Context, dir string) (*LintReport, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("cannot lint %s: %w", dir, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("cannot lint %s: it is no folder", dir)
	}
	validator, err := document.NewValidator()
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema of policies: %w", err)
	}
	contents := map[string][]byte{}
	files := map[string]parsed{}
	d := &decision{}
	read := func(path string, content []byte) {
		name := relative(dir, path)
		contents[name] = content
		if document.MayMatter(content) {
			files[name] = parse(validator, gitwriter.Document{Path: name, Content: content})
		}
	}
	large := func(path string) {
		d.problems = append(d.problems, Problem{File: relative(dir, path), Message: mirror.ErrTooLarge.Error() + ", so it is not read"})
	}
	if err := walkManifests(dir, read, large); err != nil {
		return nil, fmt.Errorf("cannot lint %s: %w", dir, err)
	}
	set := merge(files)
	d.set = &set
	d.problems = append(d.problems, d.set.problems...)
	fields, err := lintFields(ctx, d, contents)
	if err != nil {
		return nil, err
	}
	return &LintReport{Files: len(contents), Policies: len(d.set.policies), Fields: fields, Problems: d.allProblems()}, nil
}

func relative(dir, path string) string {
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(name)
}

// lintFields checks what the files bind.
func lintFields(ctx context.Context, d *decision, contents map[string][]byte) (int, error) {
	bindings := d.set.bindings()
	var fields []manifest.Field
	for _, path := range sortedKeys(contents) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if !manifest.MayMatter(path, contents[path], bindings.Targets) {
			continue
		}
		found, problems := manifest.Scan(path, contents[path], bindings.Targets)
		fields = append(fields, found...)
		for _, p := range problems {
			d.problems = append(d.problems, Problem{p.File, p.Line, p.Message})
		}
	}
	d.problems = append(d.problems, misplaced(d.set, fields)...)
	for _, s := range gitwriter.Slots(fields, bindings.Images) {
		f := s.Fields[0]
		if s.Foreign {
			d.problems = append(d.problems, Problem{f.File, f.Line, fmt.Sprintf("it holds another image than %s, which %s follows", bindings.Images[s.Policy], s.Policy)})
		}
		if why := s.Refusal(); why != "" {
			d.problems = append(d.problems, Problem{f.File, f.Line, "it can't be edited: " + why})
		}
	}
	return len(fields), nil
}

// misplaced finds markers that name no policy.
func misplaced(set *policySet, fields []manifest.Field) []Problem {
	what := "which does not exist: declare it, or mend the marker"
	if set.granted {
		what = "which does not exist in the cluster, or may not write here: create it, mend the marker, or widen spec.policies of the ManifestRepository"
	}
	var problems []Problem
	for _, f := range fields {
		_, valid := set.policies[f.Policy]
		if !valid && !set.broken[f.Policy] {
			problems = append(problems, Problem{f.File, f.Line, fmt.Sprintf("the marker names the policy %s, %s", f.Policy, what)})
		}
	}
	return problems
}
