// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/registry/events"
)

// want is what comes of a fixture.
type want struct {
	source events.Source
	name   string
	status int
	hints  []string // <image>[/…][:<tag>][@<digest>]
}

// wants are all fixtures but those of artifact-registry, which need a server.
var wants = []want{
	{events.DockerHub, "push", 202, []string{"index.docker.io/acme/podinfo:6.1.0"}},
	{events.DockerHub, "broken", 400, nil},
	{events.GitHub, "package", 202, []string{"ghcr.io/acme/podinfo:6.1.0@" + digest}},
	{events.GitHub, "registry-package", 202, []string{"ghcr.io/acme/podinfo:6.1.0@" + digest}},
	{events.GitHub, "untagged", 202, []string{"ghcr.io/acme/podinfo@" + digest}},
	{events.GitHub, "npm", 204, nil},
	{events.GitHub, "other-action", 204, nil},
	{events.GitHub, "ping", 204, nil},
	{events.GitHub, "broken", 400, nil},
	{events.Quay, "push", 202, []string{"quay.io/acme/podinfo:6.1.0", "quay.io/acme/podinfo:latest"}},
	{events.Quay, "push-old", 202, []string{"quay.io/acme/podinfo:latest"}},
	{events.Quay, "build-queued", 204, nil},
	{events.Quay, "broken", 400, nil},
	{events.Harbor, "default", 202, []string{"registry.example.com/acme/podinfo:6.1.0@" + digest}},
	{events.Harbor, "cloudevents", 202, []string{"registry.example.com/acme/podinfo:6.1.0@" + digest}},
	{events.Harbor, "untagged", 204, nil},
	{events.Harbor, "delete", 204, nil},
	{events.Harbor, "broken", 400, nil},
	{events.Gitea, "created", 202, []string{"registry.example.com/acme/tools/podinfo:6.1.0"}},
	{events.Gitea, "untagged", 204, nil},
	{events.Gitea, "deleted", 204, nil},
	{events.Gitea, "npm", 204, nil},
	{events.Gitea, "push", 204, nil},
	{events.Gitea, "broken", 400, nil},
	{events.GitLab, "pipeline", 202, []string{"registry.example.com:5050/acme/podinfo/…"}},
	{events.GitLab, "registry", 202, []string{"registry.example.com:5050/acme/podinfo:6.1.0@" + digest}},
	{events.GitLab, "pipeline-failed", 204, nil},
	{events.GitLab, "push", 204, nil},
	{events.GitLab, "broken", 400, nil},
	{events.Distribution, "push", 202, []string{"registry.example.com/acme/podinfo:6.1.0@" + digest}},
	{events.Distribution, "push-v1", 202, []string{
		"registry.example.com/acme/podinfo:6.1.0@" + digest, "registry.example.com/acme/podinfo:latest@" + digest,
	}},
	{events.Distribution, "pull", 204, nil},
	{events.Distribution, "broken", 400, nil},
	{events.ACR, "push", 202, []string{"demo.azurecr.io/acme/podinfo:6.1.0@" + digest}},
	{events.ACR, "grid", 202, []string{"demo.azurecr.io/acme/podinfo:6.1.0@" + digest}},
	{events.ACR, "grid-cloudevents", 202, []string{"demo.azurecr.io/acme/podinfo:6.1.0@" + digest}},
	{events.ACR, "validation", 200, nil},
	{events.ACR, "delete", 204, nil},
	{events.ACR, "ping", 204, nil},
	{events.ACR, "other-registry", 204, nil},
	{events.ACR, "broken", 400, nil},
	{events.ECR, "push", 202, []string{"123456789012.dkr.ecr.us-west-2.amazonaws.com/acme/podinfo:6.1.0@" + digest}},
	{events.ECR, "pull-through", 202, []string{"123456789012.dkr.ecr.us-west-2.amazonaws.com/docker-hub/alpine:3.17.2@" + digest}},
	{events.ECR, "untagged", 204, nil},
	{events.ECR, "failed", 204, nil},
	{events.ECR, "delete", 204, nil},
	{events.ECR, "other-region", 204, nil},
	{events.ECR, "broken", 400, nil},
	{events.CloudEvents, "structured", 202, []string{"ghcr.io/acme/podinfo:6.1.0@" + digest}},
	{events.CloudEvents, "binary", 202, []string{"ghcr.io/acme/podinfo:6.1.0@" + digest}},
	{events.CloudEvents, "batch", 202, []string{
		"ghcr.io/acme/podinfo:6.1.0@" + digest, "ghcr.io/acme/podinfo:6.2.0@" + digest, "ghcr.io/acme/podinfo:6.3.0@" + digest,
	}},
	{events.CloudEvents, "unknown-type", 204, nil},
	{events.CloudEvents, "broken", 400, nil},
	{events.CloudEvents, "wrong-version", 400, nil},
	{events.Generic, "push", 202, []string{"ghcr.io/acme/podinfo:6.1.0@" + digest}},
	{events.Generic, "other-host", 204, nil},
	{events.Generic, "odd-tag", 204, nil},
	{events.Generic, "no-image", 400, nil},
	{events.Generic, "future", 403, nil},
	{events.Generic, "broken", 400, nil},
}

// In a bubble it is 2000-01-01, when the fixtures with a time were signed.
func TestFixtures(t *testing.T) {
	for _, w := range wants {
		t.Run(string(w.source)+"/"+w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := endpoint(w.source)
				receiver := newReceiver(t, e)
				status, body := receiver.send(readFixture(t, w.source, w.name).request(e.Path))
				checkGot(t, receiver, w, status, body)
			})
		})
	}
}

func checkGot(t *testing.T, receiver *receiver, w want, status int, body string) {
	t.Helper()
	if status != w.status {
		t.Errorf("the status is %d, want %d: %s", status, w.status, body)
	}
	var got []string
	for _, hints := range receiver.got {
		for _, hint := range hints {
			got = append(got, spell(hint))
			if hint.Source != w.source {
				t.Errorf("the source is %q, want %q", hint.Source, w.source)
			}
		}
	}
	if diff := cmp.Diff(w.hints, got); diff != "" {
		t.Errorf("hints (-want +got):\n%s", diff)
	}
	if calls := min(1, len(w.hints)); len(receiver.got) != calls {
		t.Errorf("notify is called %d times, want %d", len(receiver.got), calls)
	}
}

// spell writes a hint as wants do.
func spell(h events.Hint) string {
	text := h.Image
	if h.Below {
		text += "/…"
	}
	if h.Tag != "" {
		text += ":" + h.Tag
	}
	if h.Digest != "" {
		text += "@" + h.Digest
	}
	return text
}

func TestEveryFixtureIsWanted(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.http")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, w := range append(wants, identityWants...) {
		known[filepath.Join("testdata", string(w.source), w.name+".http")] = true
	}
	known["testdata/gitlab/pipeline-signed.http"] = true // of TestGitLabSigns
	for _, file := range files {
		if !known[file] {
			t.Errorf("%s is in no test", file)
		}
	}
	if len(files) != len(known) {
		t.Errorf("there are %d fixtures, and tests for %d", len(files), len(known))
	}
	for _, source := range events.Sources() {
		if _, err := os.Stat(filepath.Join("testdata", source)); err != nil {
			t.Errorf("%s has no fixtures", source)
		}
	}
}

// good are the fixtures that are taken.
func good() []want {
	var some []want
	for _, w := range wants {
		if w.status == http.StatusAccepted {
			some = append(some, w)
		}
	}
	return some
}

func TestForgedRequestsAreRefused(t *testing.T) {
	for _, w := range good() {
		name := proofHeader(w.source)
		if name == "" {
			continue
		}
		t.Run(string(w.source)+"/"+w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := endpoint(w.source)
				receiver, f := newReceiver(t, e), readFixture(t, w.source, w.name)

				missing := f.request(e.Path)
				missing.Header.Del(name)
				missing.Body = untouched{t}
				receiver.refuses(t, "without proof", missing, 401)

				wrong := f.request(e.Path)
				flip(wrong.Header, name)
				receiver.refuses(t, "with a wrong proof", wrong, 403)

				shorter := f.request(e.Path)
				shorter.Header.Set(name, shorter.Header.Get(name)[:len(shorter.Header.Get(name))-1])
				receiver.refuses(t, "with a proof cut short", shorter, 403)

				for _, other := range []string{"sha256=", "Bearer " + secret, strings.Repeat("é", 5000)} {
					odd := f.request(e.Path)
					odd.Header.Set(name, other)
					receiver.refuses(t, "with the proof "+other[:3], odd, 403)
				}
				if signsBody(w.source) {
					changed := f
					changed.body = bytes.Replace(f.body, []byte("podinfo"), []byte("podinf0"), 1)
					receiver.refuses(t, "with another body", changed.request(e.Path), 403)
				}
			})
		})
	}
}

// A token in a header is looked at before the body.
func TestNoBodyIsReadForAWrongToken(t *testing.T) {
	for _, source := range []events.Source{events.Harbor, events.Distribution, events.ACR, events.ECR, events.CloudEvents} {
		e := endpoint(source)
		r := httptest.NewRequest(http.MethodPost, e.Path, untouched{t})
		r.Header.Set("Authorization", "wrong")
		newReceiver(t, e).refuses(t, string(source), r, 403)
	}
}

func TestTruncatedRequestsAreRefused(t *testing.T) {
	for _, w := range good() {
		t.Run(string(w.source)+"/"+w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := endpoint(w.source)
				f := readFixture(t, w.source, w.name)
				f.body = f.body[:len(f.body)/2]
				status := 400
				if signsBody(w.source) {
					status = 403
				}
				newReceiver(t, e).refuses(t, "half a body", f.request(e.Path), status)
			})
		})
	}
}

func TestOversizedRequestsAreRefused(t *testing.T) {
	for _, w := range good() {
		t.Run(string(w.source)+"/"+w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := endpoint(w.source)
				receiver, f := newReceiver(t, e), readFixture(t, w.source, w.name)

				announced := f.request(e.Path)
				announced.ContentLength, announced.Body = 1<<20+1, untouched{t}
				receiver.refuses(t, "a length over 1 MiB", announced, 413)

				chunked := f.request(e.Path)
				chunked.ContentLength = -1
				chunked.Body = io.NopCloser(io.MultiReader(bytes.NewReader(f.body), strings.NewReader(strings.Repeat(" ", 1<<20))))
				receiver.refuses(t, "1 MiB and more without a length", chunked, 413)
			})
		})
	}
}

func TestWrongKindsOfRequestsAreRefused(t *testing.T) {
	for _, w := range good() {
		t.Run(string(w.source)+"/"+w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := endpoint(w.source)
				receiver, f := newReceiver(t, e), readFixture(t, w.source, w.name)
				change := func(what string, status int, how func(*http.Request)) {
					t.Helper()
					r := f.request(e.Path)
					how(r)
					receiver.refuses(t, what, r, status)
				}
				for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead} {
					change(method, 405, func(r *http.Request) { r.Method = method })
				}
				for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/json; ="} {
					change("the type "+kind, 415, func(r *http.Request) { r.Header.Set("Content-Type", kind) })
				}
				change("compressed", 415, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
				for _, path := range []string{"/", e.Path + "/", e.Path + "0", e.Path[:len(e.Path)-1], strings.ToUpper(e.Path)} {
					change("the path "+path, 404, func(r *http.Request) { r.URL.Path = path })
				}
			})
		})
	}
}

// A deep body is refused before the decoder goes down.
func TestDeepBodiesAreRefused(t *testing.T) {
	for _, source := range []events.Source{events.DockerHub, events.Quay, events.Harbor, events.Distribution, events.ACR, events.ECR, events.CloudEvents} {
		e := endpoint(source)
		receiver := newReceiver(t, e)
		deep := func(levels int) *http.Request {
			r := httptest.NewRequest(http.MethodPost, e.Path, strings.NewReader(
				`{"specversion":"1.0","x":"[\"[","data":`+strings.Repeat("[", levels)+strings.Repeat("]", levels)+`}`))
			r.Header.Set("Content-Type", "application/cloudevents+json")
			r.Header.Set("Authorization", secret)
			return r
		}
		status, body := receiver.send(deep(32))
		if status != 400 || !strings.Contains(body, "nested too deep") {
			t.Errorf("%s answers 33 levels with %d: %s", source, status, body)
		}
		if _, body := receiver.send(deep(31)); strings.Contains(body, "nested too deep") {
			t.Errorf("%s finds 32 levels too deep", source)
		}
	}
}

func TestTooManyEventsAreRefused(t *testing.T) {
	one := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	for source, body := range map[events.Source]func(n int) string{
		events.Quay: func(n int) string { return `{"repository":"a/b","updated_tags":[` + one(`"x"`, n) + `]}` },
		events.Harbor: func(n int) string {
			return `{"type":"PUSH_ARTIFACT","event_data":{"resources":[` + one(`{}`, n) + `]}}`
		},
		events.Distribution: func(n int) string { return `{"events":[` + one(`{}`, n) + `]}` },
		events.GitLab:       func(n int) string { return `{"events":[` + one(`{}`, n) + `]}` },
		events.ACR:          func(n int) string { return `[` + one(`{}`, n) + `]` },
		events.CloudEvents:  func(n int) string { return `[` + one(`{"specversion":"1.0"}`, n) + `]` },
	} {
		e := endpoint(source)
		receiver := newReceiver(t, e)
		request := func(n int) *http.Request {
			r := httptest.NewRequest(http.MethodPost, e.Path, strings.NewReader(body(n)))
			r.Header.Set("Content-Type", "application/json")
			if source == events.CloudEvents {
				r.Header.Set("Content-Type", "application/cloudevents-batch+json")
			}
			r.Header.Set("Authorization", secret)
			r.Header.Set("X-Gitlab-Token", secret)
			return r
		}
		receiver.refuses(t, string(source), request(101), 413)
		if status, body := receiver.send(request(100)); status != 204 && status != 202 {
			t.Errorf("%s answers 100 events with %d: %s", source, status, body)
		}
	}
}
