// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/registry"
)

// However many policies share a repository and a reference, each is asked for
// once in a pass; the ping is for good.
func TestAPassAsksOnce(t *testing.T) {
	f := newFake(t)
	repositories := []string{"a/one", "a/two", "three"}
	tags := []string{"1.0", "2.0"}
	for _, repository := range repositories {
		for _, tag := range tags {
			images.Push(t, f.host, repository, tag, repository+tag)
		}
	}
	f.counts()
	client := plainClient(f.host)
	for i, pings := range []int{1, 0, 0} {
		pass := client.Pass()
		var policies sync.WaitGroup
		for _, repository := range repositories {
			for range 20 {
				policies.Go(func() { ask(t, pass, f.host+"/"+repository, tags) })
			}
		}
		policies.Wait()
		want := counts{Ping: pings, List: len(repositories), Head: len(repositories) * len(tags)}
		if diff := cmp.Diff(want, f.counts()); diff != "" {
			t.Errorf("pass %d: requests (-want +got):\n%s", i+1, diff)
		}
	}
}

func ask(t *testing.T, pass *registry.Pass, image string, tags []string) {
	got, err := pass.Tags(t.Context(), image)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(tags, got); diff != "" {
		t.Errorf("%s: %s", image, diff)
	}
	for _, tag := range tags {
		if _, err := pass.Digest(t.Context(), image, tag); err != nil {
			t.Error(err)
		}
	}
}

func TestOneConnectionServesMany(t *testing.T) {
	f := newFake(t)
	f.before = tagList("x", `["1.0"]`)
	client := plainClient(f.host)
	for range 5 {
		if _, err := client.Pass().Tags(t.Context(), f.host+"/x"); err != nil {
			t.Fatal(err)
		}
	}
	from := make(map[string]bool)
	for _, r := range f.requests() {
		from[r.RemoteAddr] = true
	}
	if len(from) != 1 {
		t.Errorf("6 requests one after another came from %d connections, want 1", len(from))
	}
}

// However many ask side by side, without HTTP/2 there are no more connections than
// requests on their way at one time, and these are used again by the next pass.
func TestConnectionsAreKept(t *testing.T) {
	f := newFake(t)
	f.before = manyLists(3)
	client := plainClient(f.host)
	for range 3 {
		pass := client.Pass()
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() {
				if _, err := pass.Tags(t.Context(), fmt.Sprintf("%s/app-%d", f.host, i)); err != nil {
					t.Error(err)
				}
			})
		}
		callers.Wait()
	}
	from := make(map[string]bool)
	for _, r := range f.requests() {
		from[r.RemoteAddr] = true
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 300}, f.counts()); diff != "" || len(from) > 8 {
		t.Errorf("over %d connections, want 8 at most; requests (-want +got):\n%s", len(from), diff)
	}
}

// Where a registry speaks HTTP/2, all requests go over one connection, those side
// by side too.
func TestHTTP2(t *testing.T) {
	f := &fake{before: manyLists(3)}
	server := httptest.NewUnstartedServer(f)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	f.host = server.Listener.Addr().String()
	f.backend = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}) // for the ping
	pass := plainClient().Pass()
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			if _, err := pass.Tags(t.Context(), fmt.Sprintf("%s/app-%d", f.host, i)); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	from := make(map[string]bool)
	for _, r := range f.requests() {
		from[r.RemoteAddr] = true
		if r.ProtoMajor != 2 {
			t.Errorf("%s came by %s", r.URL.Path, r.Proto)
		}
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 8}, f.counts()); diff != "" || len(from) != 1 {
		t.Errorf("over %d connections, want 1; requests (-want +got):\n%s", len(from), diff)
	}
}

func TestFaultsAreRememberedInAPassOnly(t *testing.T) {
	f := newFake(t)
	client := plainClient(f.host)
	for range 2 {
		pass := client.Pass()
		for range 3 {
			_, err := pass.Tags(t.Context(), f.host+"/x")
			wantError(t, err, registry.NotFound)
			_, err = pass.Digest(t.Context(), f.host+"/x", "1.0")
			wantError(t, err, registry.NotFound)
		}
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 2, Head: 2}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Two spellings of one repository are one repository, and each message has the
// spelling that was asked with.
func TestSpellingsShareAnAnswer(t *testing.T) {
	f := newFake(t)
	_, port, _ := strings.Cut(f.host, ":")
	pass := plainClient("localhost").Pass()
	for _, image := range []string{"localhost:" + port + "/x", "LOCALHOST:" + port + "/x"} {
		_, err := pass.Tags(t.Context(), image)
		wantError(t, err, registry.NotFound, "cannot list tags of "+image+":")
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 1}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Whoever gives up leaves no error for those who still want to know.
func TestACallerThatGivesUp(t *testing.T) {
	f := newFake(t)
	arrived, first := make(chan struct{}), true
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") && first {
			first = false
			close(arrived)
			<-r.Context().Done()
			return true
		}
		return tagList("x", `["1.0"]`)(w, r)
	}
	pass := plainClient(f.host).Pass()
	ctx, giveUp := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	callers.Go(func() {
		_, err := pass.Tags(ctx, f.host+"/x")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the one that gave up got %v", err)
		}
	})
	<-arrived
	callers.Go(func() {
		got, err := pass.Tags(t.Context(), f.host+"/x")
		if err != nil || len(got) != 1 {
			t.Errorf("the other one got %v, %v", got, err)
		}
	})
	giveUp()
	callers.Wait()
	if diff := cmp.Diff(counts{Ping: 1, List: 2}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A login that changes is taken up without a restart; so is a registry that
// starts to ask for one.
func TestALoginThatChanges(t *testing.T) {
	f := newTLSFake(t)
	password := ""
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if _, sent, _ := r.BasicAuth(); password != "" && sent != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return tagList("x", `["1.0"]`)(w, r)
	}
	keychain := &changing{}
	client := registry.New(registry.Options{Keychain: keychain, Timeout: time.Minute})
	for _, c := range []struct{ asked, known string }{{"", ""}, {"one", "one"}, {"two", "one"}, {"two", "two"}} {
		password, keychain.login = c.asked, login{"ann", c.known}
		_, err := client.Pass().Tags(t.Context(), f.host+"/x")
		if c.asked == c.known {
			if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		wantError(t, err, registry.Unauthorized)
	}
}

// changing is a keychain whose login is set between passes.
type changing struct{ login }

// manyLists serves lists of n tags for any repository.
func manyLists(n int) func(http.ResponseWriter, *http.Request) bool {
	var tags strings.Builder
	for i := range n {
		if i > 0 {
			tags.WriteByte(',')
		}
		fmt.Fprintf(&tags, `"1.%d.0"`, i)
	}
	return func(w http.ResponseWriter, r *http.Request) bool {
		name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list")
		if !ok {
			return false
		}
		_, _ = io.WriteString(w, `{"name":"`+name+`","tags":[`+tags.String()+`]}`)
		return true
	}
}

// BenchmarkPass lists 200 repositories of 500 tags by 8 callers, the server's
// side included.
func BenchmarkPass(b *testing.B) {
	f := newFake(b)
	f.before = manyLists(500)
	client := plainClient(f.host)
	b.ReportAllocs()
	for b.Loop() {
		pass := client.Pass()
		next := make(chan int)
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for i := range next {
					tags, err := pass.Tags(b.Context(), fmt.Sprintf("%s/acme/app-%d", f.host, i))
					if err != nil || len(tags) != 500 {
						b.Errorf("got %d tags, %v", len(tags), err)
					}
				}
			})
		}
		for i := range 200 {
			next <- i
		}
		close(next)
		callers.Wait()
	}
	b.StopTimer()
	if got := f.counts(); got.Ping != 1 {
		b.Errorf("%d pings, want 1", got.Ping)
	}
}
