// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// variants change what a file looks like and not what it says.
var variants = map[string]func(string) string{
	"CRLF":             func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n") },
	"byte order mark":  func(s string) string { return byteOrderMark + strings.TrimPrefix(s, byteOrderMark) },
	"no final newline": func(s string) string { return strings.TrimRight(s, "\r\n") },
	"trailing space":   func(s string) string { return strings.ReplaceAll(s, "}\n", "} \t\n") },
	"a document more": func(s string) string {
		return "# größe\nnote: \"\u2028\"\n---\n" + strings.TrimPrefix(s, byteOrderMark)
	},
	"a comment more": func(s string) string { return strings.ReplaceAll(s, "}\n", "}\n# more\n\n") },
	"in a list": func(s string) string {
		return "- - " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ") + "\n"
	},
	"under a key": func(s string) string {
		return "key:\n  " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n  ") + "\n"
	},
	"quotes swapped": func(s string) string { return strings.NewReplacer("'", `"`, `"6`, "'6", `0"`, "0'").Replace(s) },
}

// Every golden case, in every variant, with values of every kind: what is edited
// is edited well, by the judgement of the fuzz target.
func TestVariants(t *testing.T) {
	originals, err := filepath.Glob(filepath.Join(goldenDir, "*", "original.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	edits := map[string]int{}
	for _, original := range originals {
		g, content := loadGolden(t, filepath.Dir(original))
		for name, vary := range variants {
			varied := []byte(vary(string(content)))
			fields, _ := Scan(g.File, varied, g.targets())
			for _, f := range fields {
				for _, value := range []string{"ghcr.io/acme/podinfo:6.2.0", "1.20", `it's "x": # y`} {
					edited, err := Edit(varied, []Change{{Field: f, New: value}})
					if judge(t, varied, edited, err, 1, value) {
						edits[name]++
					}
					if t.Failed() {
						t.Fatalf("%s, %s, value %q:\n%s", filepath.Dir(original), name, value, bytes.TrimSpace(edited))
					}
				}
			}
		}
	}
	for name := range variants {
		if edits[name] < 50 {
			t.Errorf("%s: got %d edits; the variant says something else", name, edits[name])
		}
	}
}
