// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pintle-dev/pintle/registry/events"
)

// Where a time is signed, a request is good for five minutes either way.
func TestReplayedRequests(t *testing.T) {
	const window = 5 * time.Minute
	gitlab := endpoint(events.GitLab)
	gitlab.Secret = standardSecret
	for e, f := range map[events.Endpoint]fixture{
		endpoint(events.Generic): readFixture(t, events.Generic, "push"),
		gitlab:                   readFixture(t, events.GitLab, "pipeline-signed"),
	} {
		synctest.Test(t, func(t *testing.T) {
			receiver, start := newReceiver(t, e), time.Now()
			if status, body := receiver.send(f.request(e.Path)); status != 202 {
				t.Errorf("%s answers a new request with %d: %s", e.Source, status, body)
			}
			time.Sleep(window)
			if status, body := receiver.send(f.request(e.Path)); status != 202 {
				t.Errorf("%s answers a request after five minutes with %d: %s", e.Source, status, body)
			}
			time.Sleep(time.Second)
			receiver.refuses(t, "after five minutes and a second", f.request(e.Path), 403)
			stamp := "X-Pintle-Timestamp"
			if e.Source == events.GitLab {
				stamp = "Webhook-Timestamp"
			}
			for _, forged := range []string{"946684860", "", "now"} {
				r := f.request(e.Path)
				r.Header.Set(stamp, forged)
				status := 403
				if forged == "" {
					status = 401
				}
				receiver.refuses(t, "with the time "+forged, r, status)
			}
			if time.Since(start) != window+time.Second {
				t.Errorf("the clock went on by %v", time.Since(start))
			}
		})
	}
}

// A time that is signed ahead is good when it comes near enough.
func TestSignedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f := endpoint(events.Generic), readFixture(t, events.Generic, "future")
		receiver := newReceiver(t, e)
		receiver.refuses(t, "five minutes and a second ahead", f.request(e.Path), 403)
		time.Sleep(time.Second)
		if status, body := receiver.send(f.request(e.Path)); status != 202 {
			t.Errorf("five minutes ahead the status is %d: %s", status, body)
		}
	})
}

// Other sources sign no time: a replay costs a look, of which one waits at most.
func TestReplaysAreOneLook(t *testing.T) {
	e, f := endpoint(events.GitHub), readFixture(t, events.GitHub, "package")
	inbox := events.NewInbox()
	receiver, err := events.New([]events.Endpoint{e}, inbox.Put)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		receiver.ServeHTTP(httptest.NewRecorder(), f.request(e.Path))
	}
	if got := inbox.Take(); len(got) != 1 {
		t.Errorf("%d looks wait, want one: %v", len(got), got)
	}
}

func TestGitLabSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f := endpoint(events.GitLab), readFixture(t, events.GitLab, "pipeline-signed")
		e.Secret = standardSecret
		receiver := newReceiver(t, e)
		w := want{events.GitLab, "", 202, []string{"registry.example.com:5050/acme/podinfo/…"}}
		two := f.request(e.Path) // as while a token is replaced
		two.Header.Set("Webhook-Signature", "v1,AAAA v1a,AAAA "+two.Header.Get("Webhook-Signature"))
		status, body := receiver.send(two)
		checkGot(t, receiver, w, status, body)

		many := f.request(e.Path)
		many.Header.Set("Webhook-Signature", strings.Repeat("v1,AAAA ", 4)+many.Header.Get("Webhook-Signature"))
		receiver.refuses(t, "a fifth signature", many, 403)
		for _, name := range []string{"Webhook-Signature", "Webhook-Id"} {
			missing, wrong := f.request(e.Path), f.request(e.Path)
			missing.Header.Del(name)
			receiver.refuses(t, "without "+name, missing, 401)
			flip(wrong.Header, name)
			receiver.refuses(t, "with another "+name, wrong, 403)
		}
		plain := readFixture(t, events.GitLab, "pipeline").request(e.Path)
		plain.Header.Set("X-Gitlab-Token", standardSecret)
		receiver.refuses(t, "the token in plain text", plain, 401)
	})
}

func TestOneEndpointCannotBeFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, other := endpoint(events.Harbor), endpoint(events.GitHub)
		f := readFixture(t, events.Harbor, "default")
		receiver := newReceiver(t, e, other)
		for range 200 {
			if status, body := receiver.send(f.request(e.Path)); status != 202 {
				t.Fatalf("the status is %d: %s", status, body)
			}
		}
		answer := httptest.NewRecorder()
		receiver.ServeHTTP(answer, f.request(e.Path))
		if answer.Code != 429 || answer.Header().Get("Retry-After") != "1" {
			t.Errorf("one more is answered with %d, Retry-After %q", answer.Code, answer.Header().Get("Retry-After"))
		}
		if status, body := receiver.send(readFixture(t, events.GitHub, "package").request(other.Path)); status != 202 {
			t.Errorf("the other endpoint answers %d: %s", status, body)
		}
		time.Sleep(20 * time.Millisecond) // one more request of 50 a second
		if status, _ := receiver.send(f.request(e.Path)); status != 202 {
			t.Errorf("a moment later the status is %d", status)
		}
		if len(receiver.got) != 202 {
			t.Errorf("notify is called %d times, want 202", len(receiver.got))
		}
	})
}

// Slow senders hold few places, and not for long.
func TestSlowBodiesHoldFewPlaces(t *testing.T) {
	e, f := endpoint(events.Harbor), readFixture(t, events.Harbor, "default")
	receiver := newReceiver(t, e)
	begun := make(chan struct{}, 16)
	var pipes []*io.PipeWriter
	ended := make(chan int, 16)
	for range 16 {
		reader, writer := io.Pipe()
		pipes = append(pipes, writer)
		r := f.request(e.Path)
		r.ContentLength, r.Body = -1, &noticed{Reader: reader, begun: begun}
		go func() {
			answer := httptest.NewRecorder()
			receiver.ServeHTTP(answer, r)
			ended <- answer.Code
		}()
	}
	for range 16 {
		<-begun
	}
	receiver.refuses(t, "with all places taken", f.request(e.Path), 429)
	for _, pipe := range pipes {
		_ = pipe.CloseWithError(io.ErrUnexpectedEOF)
	}
	for range 16 {
		if status := <-ended; status != 400 {
			t.Errorf("a body that breaks off is answered with %d", status)
		}
	}
	if status, body := receiver.send(f.request(e.Path)); status != 202 {
		t.Errorf("afterwards the status is %d: %s", status, body)
	}
}

// noticed says when it is first read.
type noticed struct {
	io.Reader

	begun chan<- struct{}
	told  bool
}

func (n *noticed) Read(p []byte) (int, error) {
	if !n.told {
		n.told = true
		n.begun <- struct{}{}
	}
	return n.Reader.Read(p)
}

func (*noticed) Close() error { return nil }

// A body that is shorter than announced comes to an end with its connection.
func TestBrokenConnection(t *testing.T) {
	e, f := endpoint(events.Harbor), readFixture(t, events.Harbor, "default")
	receiver := newReceiver(t, e)
	statuses := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		receiver.ServeHTTP(answer, r)
		statuses <- answer.Code
		w.WriteHeader(answer.Code)
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		e.Path, secret, len(f.body)+1, f.body)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if status := <-statuses; status != 400 || len(receiver.got) != 0 {
		t.Errorf("the status is %d, the hints are %v", status, receiver.got)
	}
}

func TestHandshakes(t *testing.T) {
	for _, source := range []events.Source{events.ACR, events.CloudEvents, events.Harbor} {
		e := endpoint(source)
		receiver := newReceiver(t, e)
		for asks, status := range map[string]int{"eventgrid.azure.net": 204, "": 400, "a b": 400, "x\r\ny": 400} {
			if source == events.Harbor {
				status = 405
			}
			r := httptest.NewRequest(http.MethodOptions, e.Path, untouched{t})
			r.Header.Set("Webhook-Request-Origin", asks)
			r.Header.Set("Webhook-Request-Callback", "http://127.0.0.1:1/must-not-be-called")
			answer := httptest.NewRecorder()
			receiver.ServeHTTP(answer, r)
			allowed := ""
			if status == 204 {
				allowed = asks
			}
			if got := answer.Header().Get("Webhook-Allowed-Origin"); answer.Code != status || got != allowed {
				t.Errorf("%s answers %q with %d and allows %q", source, asks, answer.Code, got)
			}
		}
		if len(receiver.got) != 0 {
			t.Errorf("%s takes a handshake for an event", source)
		}
	}
}

func TestEventGridGetsItsCode(t *testing.T) {
	e := endpoint(events.ACR)
	receiver := newReceiver(t, e)
	status, body := receiver.send(readFixture(t, events.ACR, "validation").request(e.Path))
	if want := `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}` + "\n"; status != 200 || body != want {
		t.Errorf("the answer is %d %s, want %s", status, body, want)
	}
	wrong := readFixture(t, events.ACR, "validation").request(e.Path)
	wrong.Header.Del("Authorization")
	receiver.refuses(t, "a stranger", wrong, 401)
}

// The header with the secret can be chosen, and the path can stand for it.
func TestOtherProofs(t *testing.T) {
	e := endpoint(events.ECR)
	e.Header = "x-api-key"
	receiver, f := newReceiver(t, e), readFixture(t, events.ECR, "push")
	receiver.refuses(t, "in the usual header", f.request(e.Path), 401)
	r := f.request(e.Path)
	r.Header.Set("X-Api-Key", secret)
	if status, body := receiver.send(r); status != 202 {
		t.Errorf("in the chosen header the status is %d: %s", status, body)
	}

	e = endpoint(events.ACR)
	e.Secret, e.Path = "", "/grid/"+unguessable
	r = readFixture(t, events.ACR, "grid").request(e.Path)
	r.Header.Del("Authorization")
	if status, body := newReceiver(t, e).send(r); status != 202 {
		t.Errorf("with such a path the status is %d: %s", status, body)
	}
}

// Who has no secret uses up nothing of what the source may send.
func TestStrangersDoNotUseUpTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := endpoint(events.Harbor)
		f := readFixture(t, events.Harbor, "default")
		receiver := newReceiver(t, e)
		for range 300 {
			wrong := f.request(e.Path)
			flip(wrong.Header, "Authorization")
			receiver.refuses(t, "a stranger", wrong, 403)
		}
		if status, body := receiver.send(f.request(e.Path)); status != 202 {
			t.Errorf("the source is answered with %d: %s", status, body)
		}
	})
}

// A body of very many objects is refused before they are made.
func TestObjectsAreBounded(t *testing.T) {
	e, f := endpoint(events.Harbor), readFixture(t, events.Harbor, "default")
	receiver := newReceiver(t, e)
	many := f.request(e.Path)
	many.Body = io.NopCloser(strings.NewReader(`{"x": [` + strings.Repeat("{},", 200_000) + `{}]}`))
	many.ContentLength = -1
	receiver.refuses(t, "200,000 objects", many, 413)
}
