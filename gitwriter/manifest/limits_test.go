// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const markerOfTest = ` # {"$imagepolicy": "prod:podinfo"}`

// Hostile files must end, soon, in fields or in a problem that names the file.
func TestHostile(t *testing.T) {
	many := func(text string) string { return strings.Repeat(text, maxSize/4/len(text)) }
	some := func(text string) string { return strings.Repeat(text, maxCrowd/4) }
	line := "a: x" + markerOfTest + "\n"
	cases := map[string]string{
		"too large":                 strings.Repeat("#", maxSize+1),
		"flow nesting":              many("["),
		"flow nesting closed":       strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"map nesting":               many("{a: "),
		"block nesting":             many("- "),
		"key nesting":               many("? "),
		"items":                     many("- a\n"),
		"flow items":                "[" + many("a,") + "]",
		"flow keys":                 "{" + many("a,") + "}",
		"as many items":             some("- a\n"),
		"as many flow keys":         "{" + some("a,") + "}",
		"as many documents":         some("---\n"),
		"as many aliases":           "- &a x\n" + some("- *a\n"),
		"empty documents":           many("---\n"),
		"comments":                  many("#\n"),
		"markers in comments":       many("#" + markerOfTest[2:] + "\n"),
		"marked items":              many("- x" + markerOfTest + "\n"),
		"markers in a block scalar": "a: |\n" + many("  # {\"$imagepolicy\"\n"),
		"markers on block scalars":  many("- |" + markerOfTest + "\n  x\n"),
		"one long line":             "[" + many("x, ") + "]" + markerOfTest,
		"one long json":             `{"kind":"Pod","spec":{"containers":[` + many(`{"image":"nginx:1"},`) + `{"image":"nginx:1"}]}}`,
		"one long scalar":           "a: " + many("x") + markerOfTest,
		"spaces":                    many(" "),
		"breaks":                    many("\n"),
		"line separators":           `"` + many("\u2028") + `"` + markerOfTest,
		"anchors":                   many("- &a x\n"),
		"aliases":                   "- &a x\n" + many("- *a\n"),
		"alias of itself":           "a: &a [*a, *a]\n" + line,
		"duplicate keys":            many(line),
		"long key":                  strings.Repeat("k", 1<<20) + ":\n  a: x" + markerOfTest + "\n",
		"long names":                "kind: K\nmetadata: {name: " + strings.Repeat("n", 1<<20) + "}\n" + strings.Repeat(line, 5000),
		"long marker":               "a: x # {\"$imagepolicy\": \"" + many("p") + "\"}\n",
		"tags":                      many("!a "),
		"quotes":                    many(`'' `),
		"tag directives":            many("%TAG !a! b\n"),
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			content += "\n" + line
			fields, problems := Scan("apps/app.yaml", []byte(content), fuzzTargets)
			if len(fields)+len(problems) == 0 {
				t.Errorf("got neither a field nor a problem")
			}
			if len(fields) > maxFields || len(problems) > maxProblems+1 {
				t.Errorf("got %d fields and %d problems", len(fields), len(problems))
			}
			// The slowest takes a second; what is quadratic takes minutes.
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	if _, problems := Scan("a.yaml", []byte(strings.Repeat("#", maxSize+1)+markerKey), nil); len(problems) != 1 {
		t.Errorf("too large: got problems %v", problems)
	}
	deep := func(n int) []byte {
		return []byte("a: " + strings.Repeat("[", n) + strings.Repeat("]", n) + "\nb: x" + markerOfTest + "\n")
	}
	if fields, problems := Scan("a.yaml", deep(maxDepth-2), nil); len(fields) != 1 || len(problems) != 0 {
		t.Errorf("deep: got fields %v, problems %v", fields, problems)
	}
	if fields, problems := Scan("a.yaml", deep(maxDepth), nil); len(fields) != 0 || len(problems) != 1 {
		t.Errorf("too deep: got fields %v, problems %v", fields, problems)
	}
	fields, problems := Scan("a.yaml", []byte(strings.Repeat("- x"+markerOfTest+"\n", maxFields+1)), nil)
	if want := fmt.Sprintf("%d fields", maxFields); len(fields) != maxFields || len(problems) != 1 || !strings.Contains(problems[0].Message, want) {
		t.Errorf("too many: got %d fields, problems %v", len(fields), problems)
	}
}
