// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Trailer keys of Pintle's commits.
const (
	UpdateKey   = "Pintle-Update"
	RollbackKey = "Pintle-Rollback"
)

// Causes that an entry can have, besides event/<source> and
// build/<namespace>/<name>.
const (
	CauseSchedule = "schedule"
	CauseResume   = "resume"
	CausePin      = "pin"
	CauseRollback = "rollback"
)

// sourceKey is what Source stands after.
const sourceKey = "source="

// maxRevision bounds a revision, so that it fits wherever one is kept.
const maxRevision = 1<<31 - 1

// Trailer is one line of an entry: one policy and one old value.
type Trailer struct {
	// Rollback is true for Pintle-Rollback lines.
	Rollback bool
	// Policy is <namespace>/<name>.
	Policy   string
	Revision int
	// Image is the policy's image as the policy writes it.
	Image    string
	Old, New Value
	Cause    string
	// Source is the commit of the source that a build made the image of, in hex;
	// empty where none is known.
	Source string
}

// String is the line as it stands in a commit's last paragraph.
func (t Trailer) String() string {
	key := UpdateKey
	if t.Rollback {
		key = RollbackKey
	}
	line := fmt.Sprintf("%s: %s %d %s %s -> %s cause=%s", key, t.Policy, t.Revision, t.Image, t.Old, t.New, t.Cause)
	if t.Source != "" {
		line += " " + sourceKey + t.Source
	}
	return line
}

var (
	// trailerLine is what git-interpret-trailers takes for a trailer.
	trailerLine = regexp.MustCompile(`^[A-Za-z0-9-]+[ \t]*:`)
	causeWord   = regexp.MustCompile(`^(schedule|resume|pin|rollback|event/[A-Za-z0-9._-]+|build/[a-z0-9.-]+/[a-z0-9.-]+)$`)
	sourceWord  = regexp.MustCompile(`^[0-9a-f]{7,64}$`)
)

// ValidSource tells whether a text can be a Trailer's Source: a commit's id, whole or
// shortened as Git does, and so nothing that could add words or lines.
func ValidSource(text string) bool { return sourceWord.MatchString(text) }

// Parse returns Pintle's trailers of a commit message, as `git
// interpret-trailers --parse` reads them: from the last paragraph, if it is one
// of trailers. Of lines of Pintle's that are malformed it returns the policy.
func Parse(message string) (found []Trailer, malformed []string) {
	for _, line := range lastParagraph(message) {
		key, text, _ := strings.Cut(line, ":")
		if key != UpdateKey && key != RollbackKey {
			continue
		}
		words := strings.Fields(text)
		if t, ok := parseWords(words); ok {
			t.Rollback = key == RollbackKey
			found = append(found, t)
		} else if len(words) > 0 {
			malformed = append(malformed, words[0])
		}
	}
	return found, malformed
}

// lastParagraph returns the lines of the message's trailer block, if it has one.
func lastParagraph(message string) []string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(message, "\r\n", "\n"), "\n \t"), "\n")
	start := len(lines)
	for start > 0 && strings.TrimSpace(lines[start-1]) != "" {
		start--
	}
	if start == 0 {
		return nil // The first paragraph is the title.
	}
	block := lines[start:]
	for i, line := range block {
		continued := i > 0 && (line[0] == ' ' || line[0] == '\t')
		if !continued && !trailerLine.MatchString(line) && !strings.HasPrefix(line, "(cherry picked from commit ") {
			return nil
		}
	}
	return block
}

func parseWords(words []string) (Trailer, bool) {
	if len(words) < 7 || words[4] != "->" {
		return Trailer{}, false
	}
	t := Trailer{Policy: words[0], Image: words[2]}
	revision, err := strconv.Atoi(words[1])
	var okOld, okNew bool
	t.Revision = revision
	t.Old, okOld = ParseValue(words[3])
	t.New, okNew = ParseValue(words[5])
	cause, okCause := strings.CutPrefix(words[6], "cause=")
	t.Cause = cause
	for _, word := range words[7:] { // Words that are not known mean nothing.
		if source, is := strings.CutPrefix(word, sourceKey); is && ValidSource(source) {
			t.Source = source
		}
	}
	ok := err == nil && revision > 0 && revision <= maxRevision && okOld && okNew && okCause && causeWord.MatchString(cause)
	return t, ok && t.New != Unknown && strings.Count(t.Policy, "/") == 1
}
