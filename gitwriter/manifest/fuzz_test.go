// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// fuzzFiles are names under which the targets look at a content differently.
var fuzzFiles = []string{"apps/app.yaml", "apps/kustomization.yaml", "apps/x/values.yaml"}

var fuzzTargets = []Target{
	{Policy: "prod/podinfo", Image: "ghcr.io/acme/podinfo", Kind: Kustomize, Path: "apps"},
	{Policy: "prod/podinfo", Image: "ghcr.io/acme/podinfo", Kind: Workloads, Path: "apps/**"},
	{Policy: "prod/nginx", Image: "nginx", Kind: Workloads, Path: "apps"},
	{
		Policy: "prod/podinfo", Image: "ghcr.io/acme/podinfo", Kind: HelmValues, Path: "apps/x/values.yaml",
		Repository: "image.repository", Tag: "image.tag", Digest: "image.digest",
	},
}

// seed adds the golden corpus to a fuzz target.
func seed(f *testing.F, add func(content []byte)) {
	f.Helper()
	originals, err := filepath.Glob(filepath.Join(goldenDir, "*", "original.yaml"))
	if err != nil || len(originals) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	for _, original := range originals {
		_, content := loadGolden(f, filepath.Dir(original))
		if len(content) < 4096 {
			add(content)
		}
	}
}

// FuzzScan asserts that Scan ends, and that what it binds is there.
func FuzzScan(f *testing.F) {
	seed(f, func(content []byte) {
		for file := range fuzzFiles {
			f.Add(content, byte(file))
		}
	})
	f.Fuzz(func(t *testing.T, content []byte, file byte) {
		name := fuzzFiles[int(file)%len(fuzzFiles)]
		fields, problems := Scan(name, content, fuzzTargets)
		lines := 1 + bytes.Count(content, []byte("\n"))
		for _, field := range fields {
			if field.Line < 1 || field.Line > lines || field.Key == "" || field.Slot == "" || field.Policy == "" {
				t.Errorf("got field %+v in a file of %d lines", field, lines)
			}
			if field.Refusal == "" && (field.token.start < 0 || field.token.end < field.token.start || field.token.end > field.token.stop || field.token.stop > len(content)) {
				t.Errorf("got field %+v in a file of %d bytes", field, len(content))
			}
		}
		for _, problem := range problems {
			if problem.Line < 0 || problem.Line > lines+1 || problem.Message == "" {
				t.Errorf("got problem %+v in a file of %d lines", problem, lines)
			}
		}
	})
}

// FuzzEdit asserts that an edit is refused, or changes the bytes of the bound
// scalar alone and leaves every other node as it was. It does not trust the
// editor's own check: it parses both contents by itself.
func FuzzEdit(f *testing.F) {
	values := []string{"ghcr.io/acme/podinfo:6.2.0", "1.20", "it's \"x\": # y", newDigest, "- a", "true"}
	n := 0
	seed(f, func(content []byte) {
		f.Add(content, byte(n), values[n%len(values)])
		n++
	})
	f.Fuzz(func(t *testing.T, content []byte, file byte, value string) {
		name := fuzzFiles[int(file)%len(fuzzFiles)]
		fields, _ := Scan(name, content, fuzzTargets)
		var all []Change
		for _, field := range fields {
			edited, err := Edit(content, []Change{{Field: field, New: value}})
			if judge(t, content, edited, err, 1, value) {
				all = append(all, Change{Field: field, New: value})
			}
		}
		if len(all) == 0 {
			return
		}
		edited, err := Edit(content, all)
		judge(t, content, edited, err, len(all), value)
	})
}

// judge says whether an edit was made, and fails unless it was made well.
func judge(t *testing.T, content, edited []byte, err error, changes int, value string) bool {
	t.Helper()
	if refusal, ok := errors.AsType[*EditError](err); ok {
		if edited != nil || refusal.Reason == "" {
			t.Errorf("refused with content %q, reason %q", edited, refusal.Reason)
		}
		return false
	}
	if err != nil {
		t.Fatalf("got error %v, want an *EditError", err)
	}
	before, after := independent(t, content), independent(t, edited)
	if len(before) != len(after) {
		t.Fatalf("got %d nodes of %d", len(after), len(before))
	}
	changed := 0
	for i := range before {
		old, now := before[i], after[i]
		if old == now {
			continue
		}
		changed++
		// Of the changed scalar all but value, type and quotes is the same.
		if now.Tag != "!!str" || old.Kind != yaml.ScalarNode || trimBlock(now) != value {
			t.Errorf("node %d became %+v, was %+v", i, now, old)
		}
		if changes == 1 {
			within(t, content, edited, before, i)
		}
		old.Tag, old.Value, old.Style = now.Tag, now.Value, now.Style
		if diff := cmp.Diff(old, now); diff != "" {
			t.Errorf("node %d changed beyond its value (-old +new):\n%s", i, diff)
		}
	}
	if changed > changes {
		t.Errorf("%d nodes changed by %d changes", changed, changes)
	}
	return true
}

func trimBlock(n flat) string {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		return n.Value
	}
	return strings.Trim(n.Value, " \t\n")
}

// flat is a node as the parser gives it, without its children.
type flat struct {
	Kind                yaml.Kind
	Style               yaml.Style
	Tag, Value, Anchor  string
	Head, Trailing, End string
	Children            int
}

// independent reads all nodes of a content, as the parser gives them.
func independent(t *testing.T, content []byte) []flat {
	t.Helper()
	var nodes []flat
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		nodes = append(nodes, flat{
			Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value, Anchor: n.Anchor,
			Head: n.HeadComment, Trailing: n.LineComment, End: n.FootComment, Children: len(n.Content),
		})
		for _, child := range n.Content {
			walk(child)
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return nodes
		}
		if err != nil {
			t.Fatalf("cannot parse %q: %v", content, err)
		}
		walk(&doc)
	}
}

// within asserts that the bytes that differ hold the scalar alone: without its
// comments and neighbours, what was there reads as the old value.
func within(t *testing.T, content, edited []byte, nodes []flat, changed int) {
	t.Helper()
	prefix := 0
	for prefix < min(len(content), len(edited)) && content[prefix] == edited[prefix] {
		prefix++
	}
	suffix := 0
	for suffix < min(len(content), len(edited))-prefix && content[len(content)-1-suffix] == edited[len(edited)-1-suffix] {
		suffix++
	}
	gone := content[prefix : len(content)-suffix]
	if !utf8.Valid(content) {
		t.Fatalf("edited content that is not UTF-8")
	}
	if old := nodes[changed]; old.Style&^yaml.TaggedStyle == 0 && !strings.ContainsAny(old.Value, " \n\u2028\u2029") {
		// A plain scalar on one line: what is gone is part of its text.
		if !strings.Contains(old.Value, string(gone)) {
			t.Errorf("%q is gone, which is not in %q", gone, old.Value)
		}
	}
	if old := nodes[changed]; bytes.ContainsRune(gone, '#') && !strings.ContainsRune(old.Value, '#') {
		t.Errorf("a comment went with %q", gone)
	}
}
