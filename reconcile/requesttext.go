// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
)

const (
	// maxTitle, in characters, and maxTrailers, in bytes, are what each forge takes.
	maxTitle    = 200
	maxTrailers = 40 << 10
	// maxRows bounds the changes that a request lists one by one.
	maxRows = 100
)

// marker begins a request's text. It names the commit once all is done for it, and whose
// request it is.
var marker = regexp.MustCompile(`^<!-- pintle: ([0-9a-f]{40}|new)(?: for ([!-~]+))? -->`)

func markerOf(tip, owner string) string {
	if owner != "" {
		owner = " for " + owner
	}
	return fmt.Sprintf("<!-- pintle: %s%s -->\n", cmp.Or(tip, "new"), owner)
}

func finishedFor(body string) string {
	if found := marker.FindStringSubmatch(body); found != nil && found[1] != "new" {
		return found[1]
	}
	return ""
}

// ownerOf is empty where the text does not say whose it is.
func ownerOf(body string) string {
	if found := marker.FindStringSubmatch(body); found != nil {
		return found[2]
	}
	return ""
}

// textOf is what a request says. It ends in the trailers, so that a squash which
// takes the text for its message is an entry.
func textOf(plan []gitwriter.Planned, tip, owner string) forge.Text {
	var b strings.Builder
	b.WriteString(markerOf(tip, owner))
	b.WriteString("| file | from | to |\n|---|---|---|\n")
	rows := 0
	for _, p := range plan {
		for _, u := range p.Updates {
			for _, c := range u.Changes {
				if rows++; rows <= maxRows {
					fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(fmt.Sprintf("%s:%d", c.Field.File, c.Field.Line)), cell(c.Field.Value), cell(c.New))
				}
			}
		}
	}
	if rows > maxRows {
		fmt.Fprintf(&b, "\nand %d more.\n", rows-maxRows)
	}
	b.WriteString("\nClosing this request without merging it declines these images: they are not proposed again.\n")
	if trailers := trailersOf(plan); trailers != "" {
		b.WriteString("\n" + trailers)
	}
	return forge.Text{Title: titleOf(plan), Body: b.String()}
}

func titleOf(plan []gitwriter.Planned) string {
	title := plan[0].Subject()
	if len(plan) > 1 {
		title = fmt.Sprintf("%s and %d more", title, len(plan)-1)
	}
	if runes := []rune(plain(title)); len(runes) > maxTitle {
		return string(runes[:maxTitle-1]) + "…"
	}
	return plain(title)
}

// mention is what a forge may take for somebody's name.
var mention = regexp.MustCompile(`(^|[^A-Za-z0-9])@`)

// plain takes out what a forge would make a mention of, or a link to an issue.
func plain(s string) string {
	return mention.ReplaceAllString(strings.NewReplacer("#", "", "`", "", "<", "", "\n", " ").Replace(s), "$1")
}

// cell is text as it is, in a table: in a span of code nothing means anything else.
func cell(s string) string {
	const longest = 300
	s = strings.Map(func(r rune) rune {
		if r == '`' || r == '|' || r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > longest {
		s = string(runes[:longest]) + "…"
	}
	if strings.TrimSpace(s) == "" {
		return "–"
	}
	return "`" + s + "`"
}

// trailersOf are the trailers of all commits, or nothing where they do not fit, or
// would name somebody.
func trailersOf(plan []gitwriter.Planned) string {
	var b strings.Builder
	for _, p := range plan {
		trailers, _ := ledger.Parse(p.Text)
		for _, t := range trailers {
			b.WriteString(t.String() + "\n")
		}
	}
	if b.Len() > maxTrailers || mention.MatchString(b.String()) {
		return ""
	}
	return b.String()
}
