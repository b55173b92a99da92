// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// one scans a content that has one field and no problem.
func one(t *testing.T, content string) Field {
	t.Helper()
	fields, problems := Scan("app.yaml", []byte(content), nil)
	if len(fields) != 1 || len(problems) != 0 {
		t.Fatalf("got fields %+v, problems %v in %q", fields, problems, content)
	}
	return fields[0]
}

func TestEditAnyValue(t *testing.T) {
	styles := map[string]string{
		"plain":   "a: old%s\n",
		"flow":    "a: {image: old, b: c}%s\n",
		"single":  "a: 'old'%s\n",
		"double":  "a: \"old\"%s\n",
		"literal": "a: |%s\n  old\nb: c\n",
		"folded":  "a: >-%s\n  old\nb: c\n",
	}
	values := []string{
		"x", "ghcr.io/acme/podinfo:6.2.0", "a: b", "a #b", "# a", "- a", "---", "...", "[a]", "{a}", "a,b", "*a", "&a", "!a", "|", ">",
		`it's`, `say "x"`, `back\slash`, "%YAML", "@a", "`a`", "?", "? a", ":", "a:", "<<", "=", "größe", "'", `"`, `\`, "a  b",
		"1.20", "0123", "1e3", "true", "null", "~", "yes", "NO", "0x1f", "0o7", "1_0", "12:30", "12:30:45.5", "2024-11-01", "2024-11-01T10:00:00Z", ".5", "5.", ".inf", "-.INF", ".NaN", "+1", "-1",
	}
	for name, format := range styles {
		content := fmt.Sprintf(format, markerOfTest)
		f := one(t, content)
		for _, value := range values {
			t.Run(name+"/"+value, func(t *testing.T) {
				edited, err := Edit([]byte(content), []Change{{Field: f, New: value}})
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]any
				if err := yaml.Unmarshal(edited, &got); err != nil {
					t.Fatal(err)
				}
				held := got["a"]
				if m, ok := held.(map[string]any); ok {
					held = m["image"]
				}
				if text, ok := held.(string); !ok || strings.TrimSuffix(text, "\n") != value {
					t.Errorf("got %#v, want the string %q, in %q", held, value, edited)
				}
			})
		}
	}
}

func TestQuotesOnlyWhereNeeded(t *testing.T) {
	for value, want := range map[string]string{
		"6.2.0": "6.2.0", "v1": "v1", "1.20.3": "1.20.3", "latest": "latest", "1.20-alpine": "1.20-alpine", "nightly": "nightly",
		"2024.11.01": "2024.11.01", "20241101-abc": "20241101-abc", "abc1e3": "abc1e3", "1e3f": "1e3f", "0xyz": "0xyz", "0.1.0": "0.1.0", "yes-1": "yes-1", "_1": "_1",
		"nginx:1.27": "nginx:1.27", "localhost:5000/a:1": "localhost:5000/a:1", newDigest: newDigest, "a@" + newDigest: "a@" + newDigest,
		"1.20": `"1.20"`, "0123": `"0123"`, "089": `"089"`, "1e3": `"1e3"`, "1E+3": `"1E+3"`, "1234e567": `"1234e567"`, "7": `"7"`, "on": `"on"`, "Y": `"Y"`, "0b11": `"0b11"`, "0XFF": `"0XFF"`,
		"1_000.5": `"1_000.5"`, "1.": `"1."`, "190:20:30": `"190:20:30"`, "2024-1-2": `"2024-1-2"`, "-x": `"-x"`, "x:": `"x:"`,
	} {
		if got, reason := encode(value, plain, false); got != want || reason != "" {
			t.Errorf("%q: got %s, refusal %q, want %s", value, got, reason, want)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	content := "image: a:1" + markerOfTest + "\n"
	f := one(t, content)
	moved := one(t, "# more\n"+content)
	refused := f
	refused.Refusal = "because"
	cases := map[string]struct {
		content string
		changes []Change
		reason  string
	}{
		"an empty value":         {content, []Change{{f, ""}}, "empty"},
		"a line break":           {content, []Change{{f, "a\nb"}}, "printed"},
		"a control character":    {content, []Change{{f, "a\x00"}}, "printed"},
		"a direction override":   {content, []Change{{f, "a\u202eb"}}, "printed"},
		"bytes that are no text": {content, []Change{{f, "a\xff"}}, "printed"},
		"a refused field":        {content, []Change{{refused, "a:2"}}, "because"},
		"two values":             {content, []Change{{f, "a:2"}, {f, "a:3"}}, "different values"},
		"another content":        {content, []Change{{moved, "a:2"}}, "other content"},
		"a field of nobody":      {content, []Change{{Field{}, "a:2"}}, "other content"},
		"a content that changed": {strings.Replace(content, "a:1", "b:1", 1), []Change{{f, "a:2"}}, "other content"},
		"no YAML":                {"a: [", []Change{{f, "a:2"}}, "YAML"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			edited, err := Edit([]byte(c.content), c.changes)
			var refusal *EditError
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, c.reason) || edited != nil {
				t.Errorf("got %q, %v, want an *EditError about %q", edited, err, c.reason)
			}
		})
	}
}

func TestEditErrorNamesItsPlace(t *testing.T) {
	f := one(t, "\nimage: a:1"+markerOfTest+"\n")
	_, err := Edit([]byte("\nimage: a:1"+markerOfTest+"\n"), []Change{{f, ""}})
	if want := "cannot edit app.yaml:2: the new value is empty"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSameChangeTwice(t *testing.T) {
	content := "image: a:1" + markerOfTest + "\n"
	f := one(t, content)
	edited, err := Edit([]byte(content), []Change{{f, "a:2"}, {f, "a:2"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("image: a:2"+markerOfTest+"\n", string(edited)); diff != "" {
		t.Error(diff)
	}
}

// One refused change leaves the others undone too.
func TestAllOrNothing(t *testing.T) {
	content := "a: x:1" + markerOfTest + "\nb: x:1" + markerOfTest + "\n"
	fields, _ := Scan("app.yaml", []byte(content), nil)
	edited, err := Edit([]byte(content), []Change{{fields[0], "x:2"}, {fields[1], "\n"}})
	if err == nil || edited != nil {
		t.Errorf("got %q, %v, want an error and no content", edited, err)
	}
}

// A verification that fails refuses the edit: here the splice is forged so that
// it breaks out of its scalar.
func TestVerifyFindsOtherChanges(t *testing.T) {
	content := []byte("a: x:1" + markerOfTest + "\nb: c # kept\nd: &e f\ng: *e\n")
	f := one(t, string(content))
	before, err := parse(content)
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]string{
		"another value":     strings.Replace(string(content), "b: c", "b: d", 1),
		"another comment":   strings.Replace(string(content), "kept", "lost", 1),
		"no comment":        strings.Replace(string(content), " # kept", "", 1),
		"another type":      strings.Replace(string(content), "b: c", "b: 'c'", 1),
		"another anchor":    strings.ReplaceAll(string(content), "e", "h"),
		"another structure": strings.Replace(string(content), "x:1", "{x: 1}", 1),
		"the old value":     string(content),
		"a number":          strings.Replace(string(content), "x:1", "2", 1),
		"a longer value":    strings.Replace(string(content), "x:1", "x:22", 1),
	} {
		t.Run(name, func(t *testing.T) {
			after, err := parse([]byte(forged))
			if err != nil {
				t.Fatal(err)
			}
			var refusal *EditError
			if err := verify(before, after, []splice{{Change{f, "x:2"}, "x:2"}}); !errors.As(err, &refusal) {
				t.Errorf("got %v, want an *EditError", err)
			}
		})
	}
}
