// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// TestHistoryIsBounded: a history with more commits than are read is an error,
// on which nothing is written.
func TestHistoryIsBounded(t *testing.T) {
	for name, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
		t.Run(name, func(t *testing.T) {
			repo := gitserver.New(t, options).Create("fleet")
			for _, content := range []string{"1", "2", "3"} {
				repo.Seed(t, map[string]string{"a.yaml": content}, "Commit "+content)
			}
			m, err := Open(repo.URL, "", Auth{})
			if err != nil {
				t.Fatal(err)
			}
			m.maxCommits = 2
			if _, err := m.Tip(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := m.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			_, err = m.History(t.Context())
			if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Kind != Limit {
				t.Errorf("the history gives %v, want that it is over the limit", err)
			}
		})
	}
}
