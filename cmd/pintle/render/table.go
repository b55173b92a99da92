// SPDX-License-Identifier: Apache-2.0

package render

import (
	"strings"
	"unicode/utf8"

	"github.com/pintle-dev/pintle/reconcile"
)

// cell is one value of a table and its colour.
type cell struct{ text, color string }

// table is rows under a header; columns are as wide as their widest cell.
type table struct {
	header []string
	rows   [][]cell
}

func (t *table) add(cells ...cell) {
	for i := range cells {
		cells[i].text = Safe(cells[i].text)
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(out *strings.Builder, style Style) {
	widths := make([]int, len(t.header))
	for i, title := range t.header {
		widths[i] = utf8.RuneCountInString(title)
	}
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.text))
		}
	}
	titles := make([]cell, len(t.header))
	for i, title := range t.header {
		titles[i] = cell{title, bold}
	}
	writeRow(out, titles, widths, style)
	for _, row := range t.rows {
		writeRow(out, row, widths, style)
	}
}

// writeRow pads outside the colours, and leaves no blanks at the end.
func writeRow(out *strings.Builder, row []cell, widths []int, style Style) {
	last := len(row) - 1
	for last > 0 && row[last].text == "" {
		last--
	}
	for i, cell := range row[:last+1] {
		out.WriteString(style.paint(cell.color, cell.text))
		if i < last {
			out.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell.text)+2))
		}
	}
	out.WriteString("\n")
}

// reasonCell colours a verdict by what it asks of the reader: green moved or
// moves, yellow waits, red wants mending.
func reasonCell(reason reconcile.Reason) cell {
	switch reason {
	case reconcile.UpToDate:
		return cell{string(reason), ""}
	case reconcile.Updated, reconcile.Due:
		return cell{string(reason), green}
	case reconcile.Failed, reconcile.NoMatch:
		return cell{string(reason), red}
	default:
		return cell{string(reason), yellow}
	}
}
