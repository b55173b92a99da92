// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write fields.txt and expected-refusal.txt of the golden cases")

const goldenDir = "../../fixtures/manifests"

// golden is a case of the corpus, as its case.yaml says.
type golden struct {
	File    string `yaml:"file"`   // the path of original.yaml in its repository
	Name    string `yaml:"name"`   // what fields of the part Name get
	Tag     string `yaml:"tag"`    // what is written as tag
	Digest  string `yaml:"digest"` // and as digest; into whole references only if it is set here
	Targets []struct {
		Policy     string `yaml:"policy"`
		Image      string `yaml:"image"`
		Kind       string `yaml:"kind"`
		Path       string `yaml:"path"`
		Repository string `yaml:"repository"`
		Tag        string `yaml:"tag"`
		Digest     string `yaml:"digest"`
	} `yaml:"targets"`
}

const newDigest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"

func loadGolden(t testing.TB, dir string) (g golden, original []byte) {
	t.Helper()
	g = golden{File: "apps/app.yaml", Name: "ghcr.io/acme/podinfo", Tag: "6.2.0"}
	text, err := os.ReadFile(filepath.Join(dir, "case.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	original, err = os.ReadFile(filepath.Join(dir, "original.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return g, original
}

func (g golden) targets() []Target {
	kinds := map[string]TargetKind{SourceKustomize: Kustomize, SourceWorkloads: Workloads, SourceHelmValues: HelmValues}
	var targets []Target
	for _, t := range g.Targets {
		targets = append(targets, Target{
			Policy: t.Policy, Image: t.Image, Kind: kinds[t.Kind], Path: t.Path,
			Repository: t.Repository, Tag: t.Tag, Digest: t.Digest,
		})
	}
	return targets
}

// newValue is what a case writes into a field.
func (g golden) newValue(f Field) string {
	switch f.Part {
	case Name:
		return g.Name
	case Tag:
		return g.Tag
	case Digest:
		return newDigest
	default:
		name, _, _ := SplitReference(f.Value)
		if g.Digest != "" {
			return name + ":" + g.Tag + "@" + g.Digest
		}
		return name + ":" + g.Tag
	}
}

// run scans and edits the case as the engine does. It gives the content after,
// what was bound, and what was refused or reported.
func (g golden) run(t testing.TB, original []byte) (edited []byte, bound, refusals string) {
	t.Helper()
	fields, problems := Scan(g.File, original, g.targets())
	var changes []Change
	for _, f := range fields {
		bound += fmt.Sprintf("line %d: %s of %s by %s\n  value %q\n  key   %s\n", f.Line, f.Part, f.Policy, f.Source, f.Value, f.Key)
		if f.Slot != f.Key {
			bound += fmt.Sprintf("  slot  %s\n", f.Slot)
		}
		if f.Image != "" {
			bound += fmt.Sprintf("  image %s\n", f.Image)
		}
		if f.Refusal != "" {
			refusals += fmt.Sprintf("%s:%d: %s\n", f.File, f.Line, f.Refusal)
			continue
		}
		changes = append(changes, Change{Field: f, New: g.newValue(f)})
	}
	for _, p := range problems {
		refusals += p.String() + "\n"
	}
	edited, err := Edit(original, changes)
	if err != nil {
		t.Fatalf("cannot edit: %v", err)
	}
	return edited, bound, refusals
}

func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(goldenDir, "*", "original.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	edits := 0
	for _, original := range dirs {
		dir := filepath.Dir(original)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			g, original := loadGolden(t, dir)
			edited, bound, refusals := g.run(t, original)
			want := expected(t, dir, "expected.yaml", string(original), "")
			if want != string(original) {
				edits++
			} else if refusals == "" && bound != "" {
				t.Error("the case neither edits nor refuses")
			}
			if diff := cmp.Diff(want, string(edited)); diff != "" {
				t.Errorf("edited (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(expected(t, dir, "fields.txt", "", bound), bound); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(expected(t, dir, "expected-refusal.txt", "", refusals), refusals); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			settles(t, g, edited)
		})
	}
	if len(dirs) < 60 || edits < 45 {
		t.Errorf("got %d cases of which %d edit, want at least 60 and 45", len(dirs), edits)
	}
}

// settles asserts that a second pass with the same values writes nothing.
func settles(t *testing.T, g golden, edited []byte) {
	t.Helper()
	again, _, _ := g.run(t, edited)
	if diff := cmp.Diff(string(edited), string(again)); diff != "" {
		t.Errorf("edited twice (-once +twice):\n%s", diff)
	}
}

// expected reads a golden file; absent is what it says when it is not there.
// With -update it is written first, unless it is the expected content, which
// only people write.
func expected(t *testing.T, dir, name, absent, got string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if *update && name != "expected.yaml" && got != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return absent
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Seventy updates of a quoted Helm value leave a file of the same lines.
func TestSeventyUpdates(t *testing.T) {
	g, content := loadGolden(t, filepath.Join(goldenDir, "helm-values-quoted"))
	lines := strings.Count(string(content), "\n")
	for i := range 70 {
		g.Tag = fmt.Sprintf("6.2.%d", i)
		content, _, _ = g.run(t, content)
	}
	if got := strings.Count(string(content), "\n"); got != lines {
		t.Errorf("got %d lines, want %d", got, lines)
	}
	if !strings.Contains(string(content), `"6.2.69"`) {
		t.Errorf("got %s, want the last tag in it", content)
	}
}
