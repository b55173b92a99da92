// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pintle-dev/pintle/api/document"
)

// FuzzFind holds that no file makes Find panic, that what it returns is complete, and
// that each problem is one line with a place inside the file.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{
		full, minimal("a") + "---\n" + minimal("b"), policyTemplate, helm + "# pintle.dev/\n",
		"apiVersion: v1\nkind: List\nitems:\n- &a {apiVersion: pintle.dev/v1alpha1, kind: ManifestRepository, metadata: {name: a}, spec: {url: ssh://a/b}}\n- *a\n",
		"apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nstatus: &a [*a, *a]\n",
		"apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nmetadata:\n? {a: b}\n: c\n",
		"{a: [b, pintle.dev/",
		"\ufeff--- # pintle.dev/\r\n...\r\n%YAML 1.2\n---\n!!binary aGk=",
	} {
		f.Add([]byte(seed))
	}
	v := validator(f)
	f.Fuzz(func(t *testing.T, content []byte) {
		docs, problems := v.Find("a.yaml", content)
		lines := strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(content)), "\n") + 1
		for _, d := range docs {
			if (d.Policy == nil) == (d.Repository == nil) || d.Line < 1 || d.Line > lines || d.File != "a.yaml" {
				t.Errorf("incomplete document: %+v", d)
			}
			if d.Policy != nil && (d.Policy.Name == "" || d.Policy.Namespace == "" || d.Policy.Spec.Image == "" || d.Policy.Spec.Schedule == "") {
				t.Errorf("a policy that is not valid: %+v", d.Policy)
			}
		}
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || strings.ContainsAny(p.Message, "\n\r\x1b") || !utf8.ValidString(p.Message) || len(p.Message) > 2000 {
				t.Errorf("of %d lines: %+v", lines, p)
			}
		}
	})
}

func FuzzParseSchedule(f *testing.F) {
	for _, seed := range []string{"@every 5m", "0 9 * * 1-5", "CRON_TZ=Europe/Paris @daily", "TZ=UTC", "CRON_TZ= ", "*/0 * * * *", "0 0 30 2 *", "60-5/2 , * * *", "@every -1s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, schedule string) {
		parsed, err := document.ParseSchedule(schedule)
		if (parsed == nil) == (err == nil) {
			t.Errorf("%q gives %v and %v", schedule, parsed, err)
		}
	})
}
