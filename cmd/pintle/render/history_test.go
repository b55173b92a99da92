// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

// revisions has every state, and every form that an image can have.
func revisions() []reconcile.Revision {
	row := func(revision int, tag, digest string, state reconcile.State, cause, author string) reconcile.Revision {
		return reconcile.Revision{Revision: revision, Tag: tag, Digest: digest, Commit: head, Author: author, Time: "2026-01-02T03:04:05Z", Cause: cause, State: state}
	}
	built := row(13, "1.2.0", digestB, reconcile.Earlier, "build/ci/app-x7k2p", "Pintle")
	built.Source = head
	return []reconcile.Revision{
		built,
		row(12, "1.0.0", digestA, reconcile.PinnedTo, "pin", "Pintle"),
		row(11, "1.1.0", digestB, reconcile.Vetoed, "schedule", "Pintle"),
		row(10, "", digestA, reconcile.Current, "rollback", "Pintle"),
		row(0, "", "", reconcile.Earlier, reconcile.ByHand, "Ada Person"),
		row(9, "1.0.0", digestA, reconcile.Earlier, "event/harbor", "Pintle"),
		row(0, "1.0.0", "", reconcile.Earlier, reconcile.ByHand, "Ada Person"),
	}
}

func TestHistory(t *testing.T) {
	tests := map[string]func(io.Writer) error{
		"history":       func(w io.Writer) error { return render.History(w, revisions(), render.Style{}) },
		"historycolors": func(w io.Writer) error { return render.History(w, revisions(), render.Style{Color: true}) },
		"nohistory":     func(w io.Writer) error { return render.History(w, nil, render.Style{}) },
	}
	for name, write := range tests {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", got.String())
			if err := write(brokenPipe{}); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("a closed pipe gives %v", err)
			}
		})
	}
}

// TestHostileHistory: authors and tags are others' text.
func TestHostileHistory(t *testing.T) {
	evil := "\x1b]0;owned\x07\u009b2J\u202e\r\nX"
	rows := []reconcile.Revision{{Revision: 1, Tag: evil, Digest: evil, Commit: evil, Author: evil, Time: evil, Cause: evil, Source: evil, State: reconcile.State(evil)}}
	for name, write := range map[string]func(io.Writer) error{
		"text": func(w io.Writer) error { return render.History(w, rows, render.Style{}) },
		"json": func(w io.Writer) error { return render.JSON(w, rows) },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexAny(got.String(), "\x1b\x07\u009b\u202e\r"); i >= 0 {
			t.Errorf("%s lets a control character through at byte %d:\n%q", name, i, got.String())
		}
		if name == "text" && strings.Count(got.String(), "\n") != 2 {
			t.Errorf("a line is broken:\n%s", got.String())
		}
	}
}
