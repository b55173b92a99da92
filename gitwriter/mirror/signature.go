// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Sign makes the signature of a commit's text; nil makes none.
type Sign func(text []byte) (string, error)

// signatureHeader begins the header of a commit in which its signature stands. The
// lines after the first one begin with a space.
const signatureHeader = "gpgsig "

// sign puts the signature into a commit.
func (s Sign) sign(c *object.Commit) error {
	if s == nil {
		return nil
	}
	text, err := textOf(c.EncodeWithoutSignature)
	if err != nil {
		return fmt.Errorf("cannot write a commit: %w", err)
	}
	c.PGPSignature, err = s(text)
	return err
}

// Unsigned is the text of a commit that its signature is for.
func Unsigned(c *object.Commit) ([]byte, error) {
	text, err := textOf(c.EncodeWithoutSignature)
	if err != nil {
		return nil, fmt.Errorf("cannot read commit %s: %w", c.Hash, err)
	}
	return text, nil
}

// textOf is what go-git encodes.
func textOf(encode func(plumbing.EncodedObject) error) ([]byte, error) {
	o := &plumbing.MemoryObject{}
	if err := encode(o); err != nil {
		return nil, err
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// newText is what is kept of the text of a commit whose message is that long.
func newText(text string, message int) *Text {
	t := &Text{Message: text[len(text)-message:]}
	t.Signed, t.Signature = splitSignature(text)
	if t.Signature != "" && strings.HasSuffix(t.Signed, t.Message) {
		t.Message = t.Signed[len(t.Signed)-message:] // One text in memory, not two.
	}
	return t
}

// splitSignature takes the one signature out of a commit's text. Where there is none,
// or more than one, both results are empty.
func splitSignature(text string) (signed, signature string) {
	headers, message, _ := strings.Cut(text, "\n\n")
	var b strings.Builder
	signatures, inside := 0, false
	for line := range strings.Lines(headers + "\n") {
		switch {
		case strings.HasPrefix(line, signatureHeader):
			signatures, inside = signatures+1, true
			signature = line[len(signatureHeader):]
		case inside && strings.HasPrefix(line, " "):
			signature += line[1:]
		default:
			inside = false
			b.WriteString(line)
		}
	}
	if signatures != 1 {
		return "", ""
	}
	return b.String() + "\n" + message, signature
}
