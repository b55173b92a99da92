// SPDX-License-Identifier: Apache-2.0

package render

// Style says how a text may look. The zero value is plain text.
type Style struct {
	// Color allows the escape sequences of ANSI terminals.
	Color bool
}

// The colours used: SGR parameters as in ECMA-48, 8.3.117.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s Style) paint(color, text string) string {
	if !s.Color || text == "" || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// Heading is how the title of a part of a text looks.
func (s Style) Heading(text string) string { return s.paint(bold, text) }

// Command is how a command that the reader can type looks.
func (s Style) Command(text string) string { return s.paint(cyan, text) }
