// SPDX-License-Identifier: Apache-2.0

package pintle_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// pages are all that users and contributors read, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range append(files, "README.md", "ARCHITECTURE.md", "CHANGELOG.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	return texts
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// yamlBlocks are those of a page that hold a word, by FILE:LINE.
func yamlBlocks(file, text, word string) map[string]string {
	blocks := map[string]string{}
	for _, at := range yamlBlock.FindAllStringSubmatchIndex(text, -1) {
		if block := text[at[2]:at[3]]; strings.Contains(block, word) {
			blocks[fmt.Sprintf("%s:%d", file, 1+strings.Count(text[:at[2]], "\n"))] = block
		}
	}
	return blocks
}

// Whoever copies an object of ours from a page has one that the API server takes.
func TestPagesShowValidObjects(t *testing.T) {
	validator, err := document.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	policies, repositories := 0, 0
	for file, text := range pages(t) {
		for place, block := range yamlBlocks(file, text, v1alpha1.Group+"/"+v1alpha1.Version) {
			found, problems := validator.Find(place, []byte(block))
			for _, p := range problems {
				t.Errorf("%s, line %d of the block: %s", place, p.Line, p.Message)
			}
			if want := strings.Count(block, "apiVersion: "+v1alpha1.Group); len(found) != want {
				t.Errorf("%s: %d objects are read, of %d", place, len(found), want)
			}
			for _, d := range found {
				if d.Policy != nil {
					policies++
				} else {
					repositories++
				}
			}
		}
	}
	if policies == 0 || repositories == 0 {
		t.Errorf("the pages show %d policies and %d repositories", policies, repositories)
	}
}

// The kustomization that a page shows builds, and does what the page says.
func TestPagesShowKustomizationsThatBuild(t *testing.T) {
	const remote = "https://github.com/pintle-dev/pintle/config"
	built := 0
	for file, text := range pages(t) {
		for place, block := range yamlBlocks(file, text, "kind: Kustomization") {
			dir := t.TempDir()
			here, err := filepath.Abs("config")
			if err != nil {
				t.Fatal(err)
			}
			local, err := filepath.Rel(dir, here)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(strings.ReplaceAll(block, remote, local)), 0o600); err != nil {
				t.Fatal(err)
			}
			resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
			if err != nil {
				t.Errorf("%s: %v", place, err)
				continue
			}
			got, err := resources.AsYaml()
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"image: registry.example.com/mirror/pintle:v0.1.0\n", "- --leader-elect\n", "- --suspend\n"} {
				if !strings.Contains(string(got), want) {
					t.Errorf("%s: what it builds lacks %q", place, want)
				}
			}
			built++
		}
	}
	if built == 0 {
		t.Error("no page shows a kustomization")
	}
}

// docs/install.md tells each right that the install gives to the controller.
func TestPageTellsAllRights(t *testing.T) {
	everywhere, atHome, whereOpened := "everywhere", "`pintle-system`", "where you say so"
	var want []string
	for _, one := range []struct{ file, where string }{{"controller.yaml", everywhere}, {"leader-election.yaml", atHome}, {"credentials.yaml", whereOpened}, {"builds.yaml", whereOpened}} {
		text, err := os.ReadFile(filepath.Join("config", "rbac", one.file))
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n---\n")
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(first), &role); err != nil {
			t.Fatal(err)
		}
		for _, r := range role.Rules {
			want = append(want, fmt.Sprintf("| `%s` | %s | %s |", strings.Join(r.Resources, "`, `"), strings.Join(r.Verbs, ", "), one.where))
		}
	}
	var got []string
	_, rest, _ := strings.Cut(pages(t)["docs/install.md"], "\n## What it may do\n")
	section, _, _ := strings.Cut(rest, "\n## ")
	for line := range strings.SplitSeq(section, "\n") {
		if cells := strings.Split(line, " | "); strings.HasPrefix(line, "| `") {
			got = append(got, strings.Join(cells[:3], " | ")+" |")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of rights (-install +page):\n%s", diff)
	}
}

var (
	code    = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`")
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug  = regexp.MustCompile(`[^a-z0-9 _-]`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Links between pages lead somewhere, to the very heading.
func TestLinksLead(t *testing.T) {
	texts := pages(t)
	checked := 0
	for file, text := range texts {
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", file, found[1])
			} else if anchor != "" && !slices.Contains(anchors(texts[path]), anchor) {
				t.Errorf("%s: %s has no heading for #%s", file, path, anchor)
			}
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("only %d links are found", checked)
	}
}

// anchors are the names that a forge gives to the headings of a page.
func anchors(text string) []string {
	var found []string
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(h[1]), "")
		found = append(found, strings.ReplaceAll(slug, " ", "-"))
	}
	return found
}
