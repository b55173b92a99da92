// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/cmd/pintle/demo"
	"github.com/pintle-dev/pintle/cmd/pintle/render"
)

// TestTell runs the whole story, which checks itself; here, that a reader sees
// the points of it, in this order.
func TestTell(t *testing.T) {
	var out bytes.Buffer
	if err := demo.Tell(t.Context(), &out, render.Style{}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	rest := out.String()
	for _, point := range []string{
		"Due on main", "1.1.0@sha256:", "Pushed 1 commit to main", "Pintle-Update: prod/podinfo 1 ", "Nothing was due",
		"git revert", "RolledBack", "VETOED", "1.2.0", "Pushed 1 commit to main", "Run podinfo 1.0.0", "On your own repository",
	} {
		_, after, found := strings.Cut(rest, point)
		if !found {
			t.Fatalf("%q is missing, or not in its place:\n%s", point, out.String())
		}
		rest = after
	}
}
