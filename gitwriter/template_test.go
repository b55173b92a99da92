// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
)

func TestTemplate(t *testing.T) {
	cases := map[string]struct{ template, want string }{
		"all of it":        {"{{.Subject}}\n\n{{.Body}}", "Update app to 1.1.0\n\n| file     | old   | new   |\n|----------|-------|-------|\n| a.yaml:7 | 1.0.0 | 1.1.0 |\n\nCause: schedule"},
		"a loop":           {"chore: {{range .Images}}{{.Image}} {{join .Versions \", \"}}{{end}}\n\n{{range $i, $c := .Changes}}{{if $i}}, {{end}}{{$c.File}}:{{.Line}} {{.Old}}{{else}}none{{end}}", "chore: app 1.1.0\n\na.yaml:7 1.0.0"},
		"more":             {"x{{with .Images}}{{len .}}{{end}}{{if gt .More 0}} and {{.More}} more{{end}}", "x1"},
		"its own mention":  {"bump\n\ncc @acme/owners", "bump\n\ncc @acme/owners"},
		"out of the loop":  {"x{{range .Changes}}{{break}}{{end}}", "x"},
		"what git cuts":    {"x\n\n---\n# a comment\n# ------------------------ >8 ------------------------\n\x1b[31m\tend\r\n\x00", "x\n\n ---\n # a comment\n # ------------------------ >8 ------------------------\n[31m end"},
		"a trailer":        {"x\n\nPintle-Update: prod/app 9 app 1.0.0 -> 1.1.0 cause=resume\n", "x\n\nPintle-Update: prod/app 9 app 1.0.0 -> 1.1.0 cause=resume"},
		"another's one":    {"x\n\nReviewed-by: Ada <ada@example.com>", "x\n\nReviewed-by: Ada <ada@example.com>"},
		"not UTF-8":        {"x\xff", "x"},
		"a word of Pintle": {"Pintle-Rollback: prod/app", "Pintle-Rollback: prod/app"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			template, err := NewTemplate(c.template)
			if err != nil {
				t.Fatal(err)
			}
			planned := Planned{Updates: []Update{moveOf("prod/app", "app", "a.yaml", 7, "1.0.0", "1.1.0")}}
			if err := planned.Compose(template, nil); err != nil {
				t.Fatal(err)
			}
			body, _, _ := strings.Cut(planned.Text, "\n\n"+planned.trailers()[0].String())
			if diff := cmp.Diff(c.want, body); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			agree(t, planned.Text, planned.trailers())
		})
	}
}

func TestTemplateRefusals(t *testing.T) {
	cases := map[string]struct{ template, want string }{
		"define":          {`x{{define "a"}}b{{end}}`, "defines a template"},
		"block":           {`x{{block "a" .}}b{{end}}`, "defines a template"},
		"call":            {`x{{template "message" .}}`, "calls a template"},
		"call in a loop":  {`x{{range .Images}}{{else}}{{if true}}{{template "message" .}}{{end}}{{end}}`, "calls a template"},
		"define itself":   {`{{define "message"}}b{{end}}`, "defines a template"},
		"printf":          {`x{{printf "%1000000d" 1}}`, "calls printf: it may call and, or"},
		"print":           {`x{{$x := print "a" "a"}}`, "calls print"},
		"in parentheses":  {`x{{len (html .Subject)}}`, "calls html"},
		"in a chain":      {`x{{(index (urlquery .Subject) 1).Image}}`, "calls urlquery"},
		"as a condition":  {`x{{if js .Subject}}{{end}}`, "calls js"},
		"round":           {`x{{pintleRound}}`, `function "pintleRound" not defined`},
		"unknown":         {`x{{env "HOME"}}`, `function "env" not defined`},
		"no field":        {`x{{.Sha}}`, "can't evaluate field Sha"},
		"no such field":   {`x{{range .Images}}{{.Name}}{{end}}`, "can't evaluate field Name"},
		"syntax":          {`x{{range .Images}}`, "unexpected EOF"},
		"no subject":      {"  \n{{/* nothing */}}", "it makes an empty message"},
		"too long":        {strings.Repeat("x", maxTemplate+1), "has more than 8192 bytes"},
		"too much":        {"x{{range .Changes}}{{range $.Changes}}" + strings.Repeat("x", 8000) + "{{end}}{{end}}", "it makes more than 16384 bytes"},
		"numbers":         {`x{{range 100000000000}}{{end}}`, "its loops go round more than 1000 times"},
		"numbers inside":  {`x{{range 900}}{{range 900}}{{range 900}}{{end}}{{end}}{{end}}`, "its loops go round more than 1000 times"},
		"going on":        {`x{{range 100000000000}}{{continue}}{{end}}`, "its loops go round more than 1000 times"},
		"join too much":   {"{{.Subject}}{{$s := .Body}}{{range 900}}{{$s = join $.Policies $s}}{{end}}", "more than 16384 bytes"},
		"nothing at all":  {"", "it makes an empty message"},
		"an index beyond": {`x{{index .Images 5}}`, "out of range"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			_, err := NewTemplate(c.template)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v, want one with %q", err, c.want)
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestTemplateThatFails: the message is the default one then, and complete.
func TestTemplateThatFails(t *testing.T) {
	template, err := NewTemplate(`x {{(index .Images 1).Image}}`)
	if err != nil {
		t.Fatal(err)
	}
	planned := Planned{Updates: []Update{moveOf("prod/app", "app", "a.yaml", 7, "1.0.0", "1.1.0")}}
	if err := planned.Compose(template, nil); err == nil || !strings.Contains(err.Error(), "out of range") {
		t.Errorf("the error is %v", err)
	}
	fallback := Planned{Updates: planned.Updates}
	_ = fallback.Compose(nil, nil)
	if diff := cmp.Diff(fallback.Text, planned.Text); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	agree(t, planned.Text, planned.trailers())
}

// TestTemplateOfHostileValues: a template adds nothing to what values may do.
func TestTemplateOfHostileValues(t *testing.T) {
	template, err := NewTemplate(`{{range .Changes}}{{.File}}{{end}}`)
	if err != nil {
		t.Fatal(err)
	}
	planned := Planned{Updates: []Update{moveOf("prod/app", "app", "x\n\nPintle-Update: prod/app 9 app 1.0.0 -> 1.1.0 cause=resume\n\n---\n@acme", 7, ledger.Unknown, "1.1.0")}}
	if err := planned.Compose(template, nil); err != nil {
		t.Fatal(err)
	}
	want := "x??Pintle-Update: prod/app 9 app 1.0.0 -> 1.1.0 cause=resume??---?(at)acme"
	if got := planned.Subject(); got != want {
		t.Errorf("the subject is %q, want %q", got, want)
	}
	agree(t, planned.Text, planned.trailers())
}

// TestTemplateAtItsBounds: what takes longest of all that a template may do.
func TestTemplateAtItsBounds(t *testing.T) {
	text := "x{{range .Changes}}{{range $.Changes}}" + strings.Repeat("{{$a:=.}}", 880) + "{{end}}{{end}}"
	template, err := NewTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	var planned Planned
	for i := range 100 {
		planned.Updates = append(planned.Updates, moveOf("prod/app", "app", "a.yaml", i, "1.0.0", "1.1.0"))
	}
	begun := time.Now()
	if err := planned.Compose(template, nil); err == nil || !strings.Contains(err.Error(), "more than 1000 times") {
		t.Errorf("the error is %v", err)
	}
	t.Logf("it took %s", time.Since(begun))
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
