// SPDX-License-Identifier: Apache-2.0

package manifest

import "fmt"

// Part says how much of an image reference a field holds.
type Part int

// The parts of a reference that a field can hold.
const (
	Whole  Part = iota // NAME[:TAG][@DIGEST]
	Name               // the name alone, without tag and digest
	Tag                // the tag alone
	Digest             // the digest alone, as sha256:…
)

// String gives the word that a marker uses for the part; Whole reads "whole".
func (p Part) String() string {
	switch p {
	case Name:
		return "name"
	case Tag:
		return "tag"
	case Digest:
		return "digest"
	default:
		return "whole"
	}
}

// What binds a field.
const (
	SourceMarker     = "marker"
	SourceKustomize  = "kustomize"
	SourceWorkloads  = "workloads"
	SourceHelmValues = "helmValues"
)

// Field is one scalar of a file that is bound to a policy.
type Field struct {
	Policy string // "<namespace>/<name>"
	Part   Part
	File   string
	Line   int // of the value itself, from 1, as git counts lines

	// Key says where the scalar stands in its file, in words that do not change
	// when the file is edited elsewhere: the document (apiVersion, kind,
	// namespace/name, else its number) and the path in it; a list item by its
	// name where that is unique, else by its index.
	Key string

	// Slot is shared by the fields that form one reference together: newName,
	// newTag and digest of a kustomize entry; repository, tag and digest of Helm
	// values; the name, tag and digest that one policy marks in one mapping. A
	// field that stands alone has its own Key as its Slot.
	Slot string

	// Value is the decoded scalar. Of a block scalar it is the text without the
	// white space around it, which an edit keeps.
	Value string

	// Image is the image that the field is known to be about by what stands
	// beside it, as written there; empty where only the value itself can tell.
	Image string

	Source string // one of the Source constants

	// Refusal says why the field is bound but can't be edited; empty if it can.
	Refusal string

	node  int // the scalar's place in the parsed file
	token token
}

// Problem is something in a file that its authors should know of.
type Problem struct {
	File    string
	Line    int // from 1, as git counts lines; 0 where no line can be named
	Message string
}

// String gives the problem as file:line: message.
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Change asks for a new value of a field that Scan found.
type Change struct {
	Field Field
	New   string // the new decoded value; never empty
}

// EditError says why an edit was refused. The content is as it was.
type EditError struct {
	File   string
	Line   int // from 1; 0 where no line can be named
	Reason string
}

// Error names the place and the reason.
func (e *EditError) Error() string {
	return fmt.Sprintf("cannot edit %s: %s", place(e.File, e.Line), e.Reason)
}

// place gives file:line, or the file alone where the line is unknown.
func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}
