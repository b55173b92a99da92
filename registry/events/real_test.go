// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/registry/events"
)

// arrival is one request of a real source.
type arrival struct {
	status int
	hints  []events.Hint
}

// listener is a receiver behind real HTTP, whose endpoints may be made when it
// listens already.
type listener struct {
	*httptest.Server

	arrivals chan arrival
	mu       sync.Mutex // one request at a time
	receiver *receiver
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l := &listener{arrivals: make(chan arrival, 100)}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		before := len(l.receiver.got)
		answer := httptest.NewRecorder()
		l.receiver.ServeHTTP(answer, r)
		a := arrival{status: answer.Code}
		for _, hints := range l.receiver.got[before:] {
			a.hints = append(a.hints, hints...)
		}
		w.WriteHeader(answer.Code)
		l.arrivals <- a
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) serve(t *testing.T, e events.Endpoint) {
	t.Helper()
	receiver := newReceiver(t, e)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receiver = receiver
}

// until takes arrivals until one is as wanted, and gives all.
func (l *listener) until(t *testing.T, what string, wanted func(arrival) bool) []arrival {
	t.Helper()
	const bound = time.Minute
	deadline := time.After(bound)
	var all []arrival
	for {
		select {
		case a := <-l.arrivals:
			all = append(all, a)
			if wanted(a) {
				return all
			}
		case <-deadline:
			t.Fatalf("after %v there is no %s, but %+v", bound, what, all)
		}
	}
}

// two is an index of two images.
func two(seed string) images.Image {
	return images.Image{Platforms: []images.Image{{Seed: seed + "1", Platform: "linux/amd64"}, {Seed: seed + "2", Platform: "linux/arm64"}}}
}

func hasHint(a arrival) bool { return len(a.hints) > 0 }

func TestDistributionsNotifications(t *testing.T) {
	l := newListener(t)
	host := parts.Registry(t, parts.RegistryOptions{Notify: l.URL + "/hooks/distribution", NotifyAuthorization: "Bearer " + secret})
	l.serve(t, events.Endpoint{Path: "/hooks/distribution", Source: events.Distribution, Secret: "Bearer " + secret, Host: host})

	pushed := images.PushImage(t, host, "acme/podinfo", "6.1.0", two("a"))
	all := l.until(t, "hint for the pushed tag", hasHint)
	want := []events.Hint{{Source: events.Distribution, Image: host + "/acme/podinfo", Tag: "6.1.0", Digest: pushed}}
	if diff := cmp.Diff(want, all[len(all)-1].hints); diff != "" {
		t.Errorf("hints (-want +got):\n%s", diff)
	}
	for _, a := range all[:len(all)-1] { // of blobs, and of the index's parts
		if a.status != 204 {
			t.Errorf("before it a request is answered with %d", a.status)
		}
	}
	if len(all) < 3 {
		t.Errorf("there are %d requests, want one for each part of the index too", len(all))
	}

	// A pull is no reason to look.
	ref, err := name.ParseReference(host+"/acme/podinfo:6.1.0", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Get(ref); err != nil {
		t.Fatal(err)
	}
	images.PushImage(t, host, "acme/podinfo", "latest", two("a"))
	all = l.until(t, "hint for the second tag", hasHint)
	if got := all[len(all)-1].hints; len(got) != 1 || got[0].Tag != "latest" || got[0].Digest != pushed {
		t.Errorf("the second hints are %v", got)
	}
}

// Gitea's own registry tells of a push by its webhook, with its own signature.
func TestGiteasPackageWebhook(t *testing.T) {
	l := newListener(t)
	forge := parts.Gitea(t)
	l.serve(t, events.Endpoint{Path: "/hooks/gitea", Source: events.Gitea, Secret: secret, Host: forge.Host})
	forge.Call(t, http.MethodPost, "/user/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"package"},
		"config": map[string]string{"url": l.URL + "/hooks/gitea", "content_type": "json", "secret": secret},
	}, nil)

	login := remote.WithAuth(&authn.Basic{Username: forge.Username, Password: forge.Password})
	push := func(tag, seed string) {
		images.PushImage(t, forge.Host, forge.Username+"/tools/podinfo", tag, two(seed), login)
	}
	want := []events.Hint{{Source: events.Gitea, Image: forge.Host + "/" + forge.Username + "/tools/podinfo", Tag: "6.1.0"}}
	for _, seed := range []string{"a", "b"} { // the same tag moves
		push("6.1.0", seed)
		all := l.until(t, "hint for the pushed tag", hasHint)
		if diff := cmp.Diff(want, all[len(all)-1].hints); diff != "" {
			t.Errorf("hints (-want +got):\n%s", diff)
		}
		for _, a := range all[:len(all)-1] {
			if a.status != 204 {
				t.Errorf("before it a request is answered with %d", a.status)
			}
		}
	}

	l.serve(t, events.Endpoint{Path: "/hooks/gitea", Source: events.Gitea, Secret: "another-secret-entirely", Host: forge.Host})
	push("6.2.0", "c")
	all := l.until(t, "refused event", func(a arrival) bool { return a.status != 204 })
	if last := all[len(all)-1]; last.status != 403 || len(last.hints) != 0 {
		t.Errorf("an event with another signature is answered with %d, hints %v", last.status, last.hints)
	}
}
