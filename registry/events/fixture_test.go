// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/registry/events"
)

const (
	// secret is what the fixtures are signed with, or have in a header.
	secret = "a-secret-for-fixtures"
	// standardSecret signs gitlab/pipeline-signed.
	standardSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	// unguessable is the last part of paths that stand for a secret.
	unguessable = "4f9d1c07be2a63587d0e94b1fa2c6835"
	digest      = "sha256:33330123456789abcdef0123456789abcdef0123456789abcdefabcdef012345"
)

// fixture is a request as a source sends it. The file says what it was written
// from, then has headers, an empty line and the body, to the last byte.
type fixture struct {
	header http.Header
	body   []byte
}

func readFixture(t testing.TB, source events.Source, name string) fixture {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", string(source), name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	head, body, found := bytes.Cut(text, []byte("\n\n"))
	if !found || !bytes.HasPrefix(head, []byte("# Written from: ")) {
		t.Fatalf("%s/%s names no document, or has no body", source, name)
	}
	f := fixture{header: http.Header{}, body: body}
	for line := range strings.SplitSeq(string(head), "\n") {
		if key, value, isHeader := strings.Cut(line, ": "); isHeader && !strings.HasPrefix(line, "#") {
			f.header.Set(key, value)
		}
	}
	return f
}

// request makes one that can be changed.
func (f fixture) request(path string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(f.body))
	r.Header = f.header.Clone()
	return r
}

// endpoint is one that takes the fixtures of a source.
func endpoint(source events.Source) events.Endpoint {
	e := events.Endpoint{Path: "/hooks/" + string(source), Source: source, Secret: secret}
	switch source {
	case events.DockerHub, events.Quay:
		e.Secret, e.Path = "", e.Path+"/"+unguessable
	case events.Harbor, events.Gitea, events.Distribution:
		e.Host = "registry.example.com"
	case events.GitLab:
		e.Host = "registry.example.com:5050"
	case events.ACR:
		e.Host = "demo.azurecr.io"
	case events.ECR:
		e.Host = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
	case events.CloudEvents, events.Generic:
		e.Host = "ghcr.io"
	case events.ArtifactRegistry:
		e.Secret, e.Host = "", "us-east1-docker.pkg.dev"
		e.Audience, e.Email = audience, email
	case events.GitHub:
	}
	return e
}

// proofHeader is where the proof of a source's requests is, or empty.
func proofHeader(source events.Source) string {
	switch source {
	case events.DockerHub, events.Quay:
		return ""
	case events.GitHub:
		return "X-Hub-Signature-256"
	case events.Gitea:
		return "X-Gitea-Signature"
	case events.GitLab:
		return "X-Gitlab-Token"
	case events.Generic:
		return "X-Pintle-Signature"
	default:
		return "Authorization"
	}
}

// signsBody says whether a change of the body breaks the proof.
func signsBody(source events.Source) bool {
	return source == events.GitHub || source == events.Gitea || source == events.Generic
}

// receiver takes requests for one endpoint, and keeps what it is told.
type receiver struct {
	*events.Receiver

	got [][]events.Hint
}

func newReceiver(t testing.TB, endpoints ...events.Endpoint) *receiver {
	t.Helper()
	r := &receiver{}
	var err error
	r.Receiver, err = events.New(endpoints, func(hints []events.Hint) { r.got = append(r.got, hints) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send gives the status and body of the answer.
func (r *receiver) send(req *http.Request) (status int, body string) {
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, req)
	return answer.Code, answer.Body.String()
}

// refuses checks the answer to a request that is to do no work.
func (r *receiver) refuses(t testing.TB, what string, req *http.Request, want int) {
	t.Helper()
	before := len(r.got)
	status, body := r.send(req)
	if status != want {
		t.Errorf("%s: the status is %d, want %d: %s", what, status, want, body)
	}
	if len(r.got) != before {
		t.Errorf("%s: gives the hints %v", what, r.got[before:])
	}
	for _, hidden := range []string{secret, unguessable, standardSecret} {
		if strings.Contains(body, hidden) {
			t.Errorf("%s: the answer tells a secret: %s", what, body)
		}
	}
}

// untouched fails the test where it is read.
type untouched struct{ t testing.TB }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func (untouched) Close() error { return nil }

// flip changes the last letter or digit of a header.
func flip(h http.Header, name string) {
	value := []byte(h.Get(name))
	last := len(value) - 1
	for value[last] == '=' {
		last--
	}
	if value[last]++; value[last] == 'f'+1 || value[last] == '9'+1 {
		value[last] = 'a'
	}
	h[textproto.CanonicalMIMEHeaderKey(name)] = []string{string(value)}
}
