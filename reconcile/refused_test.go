// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// A branch that is protected costs each pass one push, and the person is led to what
// Pintle can do about it.
func TestAProtectedBranch(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.repo.Hook(t, "pre-receive", "echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2\nexit 1")
	e := w.engine()
	for range 2 {
		w.server.Reset()
		_, err := e.Sync(t.Context())
		if err == nil || !strings.Contains(err.Error(), "GH006: Protected branch") || !strings.Contains(err.Error(), "`mode: PullRequest`") {
			t.Errorf("the pass says %v", err)
		}
		if got := w.server.Counts().ReceivePacks; got != 1 {
			t.Errorf("%d pushes, want 1", got)
		}
	}
}
