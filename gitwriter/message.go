// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
)

const (
	// maxListed bounds the changes that a commit message lists one by one.
	maxListed = 100
	// maxCell bounds what stands in one cell of its table, in characters.
	maxCell = 200
	// maxVersions and maxSubject bound what a subject lists, of one image and in
	// characters.
	maxVersions = 3
	maxSubject  = 100
	// maxOrigins bounds the images whose origins a message tells.
	maxOrigins = 20
)

// Compose gives the commit its message: a subject, the body, and the trailers that
// make it an entry, as a paragraph of their own. origins are what images say of
// themselves, by digest. Where the template fails, the message is the default one,
// and the error says why.
func (p *Planned) Compose(template *Template, origins map[string]Origin) error {
	d := p.data(origins)
	text := d.Subject + "\n\n" + d.Body
	var err error
	if template != nil {
		var made string
		if made, err = template.execute(d); err == nil {
			text = made
		}
	}
	var b strings.Builder
	b.WriteString(strings.TrimSpace(text) + "\n\n")
	for _, t := range p.trailers() {
		b.WriteString(t.String() + "\n")
	}
	p.Text = b.String()
	return err
}

// Subject is the first line of the message.
func (p *Planned) Subject() string {
	subject, _, _ := strings.Cut(p.Text, "\n")
	return subject
}

// data is what a message is made of. Nothing in it can break out of its line.
func (p *Planned) data(origins map[string]Origin) data {
	d := data{Images: p.images(origins), Causes: p.distinct(func(u Update) string { return u.Cause }), Policies: p.distinct(func(u Update) string { return u.Slot.Policy })}
	for _, u := range p.Updates {
		for _, c := range u.Changes {
			if len(d.Changes) == maxListed {
				d.More++
				continue
			}
			d.Changes = append(d.Changes, changeData{Policy: safe(u.Slot.Policy), Image: safe(u.Image), File: safe(c.Field.File), Line: c.Field.Line,
				Old: display(u.Slot.Value), New: display(u.New)})
		}
	}
	d.Subject = p.verb() + " " + listImages(d.Images)
	d.Body = body(d)
	return d
}

// images are what the commit moves, each once, as they come.
func (p *Planned) images(origins map[string]Origin) []imageData {
	var images []imageData
	index := map[string]int{}
	for _, u := range p.Updates {
		i, known := index[u.Image]
		if !known {
			i = len(images)
			index[u.Image] = i
			images = append(images, imageData{Image: safe(u.Image)})
		}
		images[i].add(u)
	}
	for i := range images {
		images[i].tell(origins)
	}
	return images
}

// add takes down a move of the image.
func (i *imageData) add(u Update) {
	digest := u.Wrote.ShortDigest()
	word := u.Wrote.Tag()
	switch {
	case word == "":
		word = digest
	case u.Slot.Value.Tag() == word && digest != "":
		word += " at " + digest
	}
	if !slices.Contains(i.Versions, word) && len(i.Versions) <= maxVersions {
		i.Versions = append(i.Versions, word)
	}
	i.Tag, i.Digest = u.Wrote.Tag(), u.Wrote.Digest()
	if old := u.Slot.Value.Digest(); old != "" && old != i.Digest {
		i.before = append(i.before, old)
	}
}

// listImages names images and versions, as many as a subject has room for.
func listImages(images []imageData) string {
	var b strings.Builder
	for i, image := range images {
		versions := image.Versions
		if len(versions) > maxVersions {
			versions = append(versions[:maxVersions:maxVersions], "…")
		}
		next := image.Image + " to " + strings.Join(versions, ", ")
		if i > 0 && utf8.RuneCountInString(b.String()+next) > maxSubject {
			fmt.Fprintf(&b, " and %d more", len(images)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(next)
	}
	return b.String()
}

func (p *Planned) verb() string {
	all := func(is func(Update) bool) bool {
		return !slices.ContainsFunc(p.Updates, func(u Update) bool { return !is(u) })
	}
	switch {
	case all(func(u Update) bool { return u.Rollback }):
		return "Roll back"
	case all(func(u Update) bool { return u.Cause == ledger.CausePin }):
		return "Pin"
	}
	return "Update"
}

// distinct lists what the updates say, each once and sorted.
func (p *Planned) distinct(of func(Update) string) []string {
	var all []string
	for _, u := range p.Updates {
		all = append(all, safe(of(u)))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// body is the default message's: what moved where, what the images are made of,
// and why.
func body(d data) string {
	var b strings.Builder
	writeTable(&b, d)
	told := 0
	for _, image := range d.Images {
		lines := image.lines()
		if told == maxOrigins || lines == "" {
			continue
		}
		told++
		b.WriteString("\n")
		if len(d.Images) > 1 {
			fmt.Fprintf(&b, "%s %s\n", image.Image, cmp.Or(image.Tag, image.Digest))
		}
		b.WriteString(lines)
	}
	fmt.Fprintf(&b, "\nCause: %s\n", strings.Join(d.Causes, ", "))
	return b.String()
}

// writeTable writes the changes as a table that forges render and that is straight
// in a terminal.
func writeTable(b *strings.Builder, d data) {
	rows := [][]string{{"file", "image", "old", "new"}}
	for _, c := range d.Changes {
		rows = append(rows, []string{fmt.Sprintf("%s:%d", cell(c.File), c.Line), cell(c.Image), c.Old, c.New})
	}
	if d.More > 0 {
		rows = append(rows, []string{fmt.Sprintf("and %d more", d.More), "", "", ""})
	}
	if len(d.Images) == 1 {
		for i, row := range rows {
			rows[i] = slices.Delete(row, 1, 2)
		}
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for i, row := range rows {
		for column, text := range row {
			b.WriteString("| " + text + strings.Repeat(" ", widths[column]-utf8.RuneCountInString(text)+1))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, width := range widths {
				b.WriteString("|" + strings.Repeat("-", width+2))
			}
			b.WriteString("|\n")
		}
	}
}

// cell makes text fit for a cell of the table.
func cell(text string) string {
	if runes := []rune(text); len(runes) > maxCell {
		text = string(runes[:maxCell/2]) + "…" + string(runes[len(runes)-maxCell/2:])
	}
	return strings.ReplaceAll(text, "|", "\\|")
}

// display is a value as people read it; the trailers have it whole.
func display(v ledger.Value) string {
	if v == ledger.Unknown {
		return "(no reference)"
	}
	if v.Tag() == "" || v.Digest() == "" {
		return cmp.Or(v.Tag(), v.ShortDigest())
	}
	return v.Tag() + "@" + v.ShortDigest()
}

// safe makes text that others chose fit for a line of a message: it stays one
// line, and calls nobody.
func safe(text string) string {
	return strings.ReplaceAll(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text), "@", "(at)")
}
