// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode"
)

const (
	// maxTemplate is what the schema of a ManifestRepository lets pass.
	maxTemplate = 8192
	// maxMade bounds what a template makes.
	maxMade = 16 << 10
	// maxRounds bounds how often the loops of a template go round, all together.
	// With the size of the template it bounds the time.
	maxRounds = 1000
)

// data is what a template is given; docs/manifestrepository.md has it.
type data struct {
	// Subject and Body are those of the default message.
	Subject, Body string
	Images        []imageData
	// Changes are the first 100; More is how many there are besides.
	Changes  []changeData
	More     int
	Policies []string
	Causes   []string
}

// imageData is an image that a commit moves, and what it says of itself.
type imageData struct {
	Image, Tag, Digest        string
	Versions                  []string
	Source, Revision, Version string
	// RevisionURL and CompareURL are pages of a forge that is known.
	RevisionURL, CompareURL string

	before []string // digests
}

// changeData is a scalar that a commit moves.
type changeData struct {
	Policy, Image, File string
	Line                int
	Old, New            string
}

// Template makes messages.
type Template struct{ made *template.Template }

// round is called in each round of each loop. No template can name it.
const round = "pintleRound"

// functions are those that a template may call, besides round. Of those that
// text/template has, the ones are left out that can make much of little.
var functions = []string{"and", "or", "not", "len", "index", "slice", "eq", "ne", "lt", "le", "gt", "ge", "join"}

// NewTemplate reads a text/template. It may neither define nor call templates, and
// is tried once on an example, so that a wrong field shows at once. Its errors
// complete "the template …".
func NewTemplate(text string) (*Template, error) {
	if len(text) > maxTemplate {
		return nil, fmt.Errorf("has more than %d bytes", maxTemplate)
	}
	var made *template.Template
	// Under one of two names shows also what defines itself.
	for _, name := range []string{"text", "message"} {
		var err error
		if made, err = template.New(name).Funcs(template.FuncMap{"join": strings.Join}).Parse(text); err != nil {
			return nil, fmt.Errorf("can't be read: %s", reason(err))
		}
		if len(made.Templates()) > 1 {
			return nil, errors.New("defines a template: it may neither define nor call any")
		}
	}
	if err := check(made.Root); err != nil {
		return nil, err
	}
	t := &Template{made}
	if _, err := t.execute(example); err != nil {
		return nil, fmt.Errorf("fails on an example: %w", err)
	}
	return t, nil
}

// reason is an error without the place in our source that text/template puts in front.
func reason(err error) string { return strings.TrimPrefix(err.Error(), "template: ") }

// check refuses what would not be bounded, and puts a call of round into each loop.
func check(node parse.Node) error {
	switch n := node.(type) {
	case *parse.ListNode:
		return checkAll(n.Nodes)
	case *parse.ActionNode:
		return check(n.Pipe)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			if err := checkAll(c.Args); err != nil {
				return err
			}
		}
	case *parse.ChainNode:
		return check(n.Node)
	case *parse.IfNode:
		return checkBranch(n.BranchNode)
	case *parse.WithNode:
		return checkBranch(n.BranchNode)
	case *parse.RangeNode:
		err := checkBranch(n.BranchNode)
		n.List.Nodes = slices.Insert(n.List.Nodes, 0, parse.Node(callRound(n)))
		return err
	case *parse.IdentifierNode:
		if !slices.Contains(functions, n.Ident) {
			return fmt.Errorf("calls %s: it may call %s", n.Ident, strings.Join(functions, ", "))
		}
	case *parse.TemplateNode:
		return errors.New("calls a template: it may neither define nor call any")
	}
	return nil // Of texts, fields, variables and constants too.
}

func checkAll(nodes []parse.Node) error {
	for _, n := range nodes {
		if err := check(n); err != nil {
			return err
		}
	}
	return nil
}

func checkBranch(n parse.BranchNode) error {
	parts := []parse.Node{n.Pipe, n.List}
	if n.ElseList != nil {
		parts = append(parts, n.ElseList)
	}
	return checkAll(parts)
}

// callRound is {{round}}, at the place of a loop.
func callRound(loop *parse.RangeNode) *parse.ActionNode {
	identifier := parse.NewIdentifier(round).SetPos(loop.Pos)
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Pos: loop.Pos, Line: loop.Line,
		Cmds: []*parse.CommandNode{{NodeType: parse.NodeCommand, Pos: loop.Pos, Args: []parse.Node{identifier}}}}
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: loop.Pos, Line: loop.Line, Pipe: pipe}
}

// execute makes the message without its trailers.
func (t *Template) execute(d data) (string, error) {
	// Others may execute it at the same time, with a count of their own.
	own, err := t.made.Clone()
	if err != nil {
		return "", err
	}
	rounds := 0
	calls := template.FuncMap{
		round: func() (string, error) {
			if rounds++; rounds > maxRounds {
				return "", fmt.Errorf("its loops go round more than %d times", maxRounds)
			}
			return "", nil
		},
		"join": func(words []string, separator string) (string, error) {
			size := len(separator) * len(words)
			for _, w := range words {
				size += len(w)
			}
			if size > maxMade {
				return "", errTooLong
			}
			return strings.Join(words, separator), nil
		},
	}
	out := &bounded{}
	if err := own.Funcs(calls).Execute(out, d); err != nil {
		return "", errors.New(reason(err))
	}
	text := tidy(out.String())
	if text == "" {
		return "", errors.New("it makes an empty message")
	}
	return text, nil
}

var errTooLong = fmt.Errorf("it makes more than %d bytes", maxMade)

// bounded is a buffer that refuses to grow too large.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxMade {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// WriteString is there since the buffer's own would not be bounded.
func (b *bounded) WriteString(s string) (int, error) { return b.Write([]byte(s)) }

// tidy leaves out what terminals obey, and moves lines aside that git takes for
// the end of a message or for a comment.
func tidy(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			return r
		case r == '\t':
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
	lines := strings.Split(strings.Trim(text, "\n "), "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, " ")
		if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "#") {
			line = " " + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

// example is what a new template is tried on.
var example = func() data {
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	d := data{More: 1, Policies: []string{"prod/app", "prod/web"}, Causes: []string{"schedule"}, Subject: "Update registry.example.com/app to 1.1.0", Body: "Cause: schedule\n"}
	for _, name := range []string{"registry.example.com/app", "registry.example.com/web"} {
		d.Images = append(d.Images, imageData{Image: name, Tag: "1.1.0", Digest: digest, Versions: []string{"1.1.0"}, Source: "https://github.com/example/app",
			Revision: "4b825dc642cb6eb9a060e54bf8d69288fbee4904", Version: "1.1.0", RevisionURL: "https://github.com/example/app/commit/4b825dc642cb6eb9a060e54bf8d69288fbee4904",
			CompareURL: "https://github.com/example/app/compare/4b825dc642cb6eb9a060e54bf8d69288fbee4904...4b825dc642cb6eb9a060e54bf8d69288fbee4904"})
		d.Changes = append(d.Changes, changeData{Policy: "prod/app", Image: name, File: "apps/app.yaml", Line: 7, Old: "1.0.0", New: "1.1.0@sha256:e3b0c44298fc"})
	}
	return d
}()
