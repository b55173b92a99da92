// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func TestARefusalOfAnOldLogin(t *testing.T) {
	const unauthorized, forbidden = http.StatusUnauthorized, http.StatusForbidden
	for _, c := range []struct {
		name   string
		scheme string
		status int
		opened bool
		pass   int64
		age    time.Duration
		tried  int
		want   bool
	}{
		{"401, of an earlier pass", "Basic", unauthorized, false, 1, 0, 1, true},
		{"401, of this pass", "Basic", unauthorized, false, 2, 0, 1, false},
		{"401, of this pass and good before", "Bearer", unauthorized, true, 2, 0, 1, true},
		{"403, old and good before", "Basic", forbidden, true, 1, 2 * time.Hour, 1, true},
		{"403, old and never good", "Basic", forbidden, false, 1, 2 * time.Hour, 1, false},
		{"403, young", "Basic", forbidden, true, 1, time.Minute, 1, false},
		{"403 to one of several, good before", "Bearer", forbidden, true, 2, 0, 2, true},
		{"403 to one of several, never good", "Bearer", forbidden, false, 2, 0, 2, false},
		{"403 to a token", "Bearer", forbidden, true, 1, 2 * time.Hour, 1, false},
	} {
		now := time.Now()
		g := &grant{by: &transport.Challenge{Scheme: c.scheme}, pass: c.pass, tried: c.tried, since: now.Add(-c.age)}
		g.opened.Store(c.opened)
		if got := g.outlived(c.status, 2, now); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}
