// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The files look alike: the list below its key begins in the same column, as generated
// files have it, and lines are short enough to be read side by side.
func TestFilesLookAlike(t *testing.T) {
	const widest = 105
	var files []string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".yml") {
			t.Errorf("%s: the others end in .yaml", path)
		}
		if strings.HasSuffix(path, ".yaml") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../.ko.yaml") {
		content := read(t, file)
		if !strings.HasSuffix(content, "\n") || strings.HasSuffix(content, "\n\n") {
			t.Errorf("%s: does not end with one line end", file)
		}
		for i, line := range strings.Split(content, "\n") {
			generated := strings.HasPrefix(filepath.Base(file), "pintle.dev_")
			if line != strings.TrimRight(line, " \t\r") || strings.Contains(line, "\t") || (!generated && utf8.RuneCountInString(line) > widest) {
				t.Errorf("%s:%d: has a tab, a space at its end, or more than %d characters", file, i+1, widest)
			}
		}
		decoder := yaml.NewDecoder(strings.NewReader(content))
		for {
			var node yaml.Node
			err := decoder.Decode(&node)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			for _, problem := range layout(&node) {
				t.Errorf("%s:%s", file, problem)
			}
		}
	}
}

// layout lists what is laid out in another way than the rest.
func layout(node *yaml.Node) (problems []string) {
	if node.Style&yaml.FlowStyle != 0 && len(node.Content) > 0 {
		problems = append(problems, fmt.Sprintf("%d: is in one line, within brackets", node.Line))
	}
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 1 && child.Kind == yaml.SequenceNode && len(child.Content) > 0 {
			if key := node.Content[i-1]; child.Column != key.Column {
				problems = append(problems, fmt.Sprintf("%d: the list begins right of its key", child.Line))
			}
		}
		problems = append(problems, layout(child)...)
	}
	return problems
}
