// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/registry/events"
)

func TestFind(t *testing.T) {
	one := events.Hint{Image: "index.docker.io/library/nginx"}
	below := events.Hint{Image: "registry.gitlab.com/acme/app", Below: true}
	for _, c := range []struct {
		hint  events.Hint
		image string
		want  bool
	}{
		{one, "nginx", true},
		{one, "docker.io/library/nginx", true},
		{one, "nginx/x", false},
		{one, "ghcr.io/library/nginx", false},
		{one, "NGINX", false},
		{below, "registry.gitlab.com/acme/app", true},
		{below, "registry.gitlab.com/acme/app/web", true},
		{below, "registry.gitlab.com/acme/apple", false},
		{below, "registry.gitlab.com/acme", false},
	} {
		got, found := events.Find([]events.Hint{c.hint, {Image: "example.com/other"}})(c.image)
		if found != c.want || found && got != c.hint {
			t.Errorf("for %s and %s there is %v, %v, want %v", c.hint.Image, c.image, got, found, c.want)
		}
	}
}

func TestInbox(t *testing.T) {
	inbox := events.NewInbox()
	ready := func() bool {
		select {
		case <-inbox.Ready():
			return true
		default:
			return false
		}
	}
	inbox.Put(nil)
	if ready() {
		t.Error("an empty inbox is ready")
	}
	hint := func(image, tag string, below bool) events.Hint {
		return events.Hint{Source: events.Harbor, Image: image, Tag: tag, Below: below}
	}
	inbox.Put([]events.Hint{hint("b.io/x", "1", false), hint("a.io/x", "1", true)})
	inbox.Put([]events.Hint{hint("b.io/x", "2", false), hint("a.io/x", "1", false)})
	if !ready() || ready() {
		t.Error("the inbox is not ready exactly once")
	}
	want := []events.Hint{hint("a.io/x", "1", false), hint("a.io/x", "1", true), hint("b.io/x", "2", false)}
	if diff := cmp.Diff(want, inbox.Take()); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if got := inbox.Take(); len(got) != 0 {
		t.Errorf("taken twice: %v", got)
	}
	for i := range 10_001 {
		inbox.Put([]events.Hint{hint(fmt.Sprintf("a.io/x%d", i), "", false)})
	}
	inbox.Put([]events.Hint{hint("a.io/x0", "new", false)})
	got := inbox.Take()
	if len(got) != 10_000 || got[0].Tag != "new" {
		t.Errorf("%d hints wait, the first is %v, want 10000, the first of them new", len(got), got[0])
	}
}
