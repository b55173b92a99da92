// SPDX-License-Identifier: Apache-2.0

package events

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/registry"
)

// Each reader gets what somebody with the secret could send: it may not panic,
// and gives valid names of its host alone.
func FuzzDockerHub(f *testing.F)        { fuzzReader(f, DockerHub, dockerHub) }
func FuzzGitHub(f *testing.F)           { fuzzReader(f, GitHub, "ghcr.io") }
func FuzzQuay(f *testing.F)             { fuzzReader(f, Quay, "quay.io") }
func FuzzHarbor(f *testing.F)           { fuzzReader(f, Harbor, "registry.example.com") }
func FuzzGitea(f *testing.F)            { fuzzReader(f, Gitea, "registry.example.com") }
func FuzzGitLab(f *testing.F)           { fuzzReader(f, GitLab, "registry.example.com:5050") }
func FuzzDistribution(f *testing.F)     { fuzzReader(f, Distribution, "localhost") }
func FuzzACR(f *testing.F)              { fuzzReader(f, ACR, "demo.azurecr.io") }
func FuzzECR(f *testing.F)              { fuzzReader(f, ECR, "123456789012.dkr.ecr.us-west-2.amazonaws.com") }
func FuzzArtifactRegistry(f *testing.F) { fuzzReader(f, ArtifactRegistry, "us-east1-docker.pkg.dev") }
func FuzzCloudEvents(f *testing.F)      { fuzzReader(f, CloudEvents, "ghcr.io") }
func FuzzGeneric(f *testing.F)          { fuzzReader(f, Generic, "ghcr.io") }

// eventHeaders are those that readers look at, in the order of fuzzReader's
// arguments.
var eventHeaders = [...]string{"Content-Type", "X-Github-Event", "X-Gitea-Event", "X-Gitlab-Event", "Ce-Type"}

func fuzzReader(f *testing.F, source Source, host string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", string(source), "*.http"))
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures: ", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		head, body, _ := bytes.Cut(text, []byte("\n\n"))
		var values [len(eventHeaders)]string
		for line := range strings.SplitSeq(string(head), "\n") {
			name, value, _ := strings.Cut(line, ": ")
			for i, wanted := range eventHeaders {
				if strings.EqualFold(name, wanted) {
					values[i] = value
				}
			}
		}
		f.Add(values[0], values[1]+values[2]+values[3], values[4], body)
	}
	route := &route{source: source, kind: kinds[source], host: host}
	f.Fuzz(func(t *testing.T, contentType, name, ceType string, body []byte) {
		header := http.Header{}
		for i, value := range []string{contentType, name, name, name, ceType} {
			header.Set(eventHeaders[i], value)
		}
		header.Set("Ce-Specversion", "1.0")
		told, err := route.kind.read(message{header: header, body: body, host: host})
		if err != nil {
			if answer := (refusal{}); !errors.As(err, &answer) || answer.status < 400 || answer.status > 499 {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		checkHints(t, route, told.events)
	})
}

func checkHints(t *testing.T, route *route, events []event) {
	t.Helper()
	hints := route.hints(events)
	if len(hints) > maxEvents {
		t.Fatalf("%d hints", len(hints))
	}
	for _, hint := range hints {
		reference := hint.Image
		if hint.Tag != "" {
			reference += ":" + hint.Tag
		}
		if hint.Digest != "" {
			reference += "@" + hint.Digest
		}
		split, err := registry.SplitReference(reference)
		if err != nil || split.Tag != hint.Tag || split.Digest != hint.Digest {
			t.Fatalf("the hint %+v is no reference: %v", hint, err)
		}
		canonical, err := registry.Canonical(hint.Image)
		if err != nil || canonical != hint.Image || !strings.HasPrefix(canonical, route.host+"/") {
			t.Fatalf("the hint %+v is for %s, %v, want an image of %s", hint, canonical, err, route.host)
		}
	}
}

// Strangers get no hints, whatever they send.
func FuzzStrangers(f *testing.F) {
	f.Add("POST", "/github", "application/json", "sha256=00", []byte(`{}`))
	f.Add("OPTIONS", "/acr", "", "", []byte{})
	f.Add("POST", "/gitlab", "application/json", "v1,AAAA", []byte(`{"object_kind":"pipeline"}`))
	f.Fuzz(func(t *testing.T, method, path, contentType, proof string, body []byte) {
		const secret = "a-secret-for-fixtures"
		if strings.Contains(proof, secret) {
			t.Skip()
		}
		receiver, err := New([]Endpoint{
			{Path: "/github", Source: GitHub, Secret: secret},
			{Path: "/gitea", Source: Gitea, Secret: secret, Host: "x.example.com"},
			{Path: "/gitlab", Source: GitLab, Secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", Host: "x.example.com"},
			{Path: "/harbor", Source: Harbor, Secret: secret, Host: "x.example.com"},
			{Path: "/acr", Source: ACR, Secret: secret, Host: "x.azurecr.io"},
			{Path: "/generic", Source: Generic, Secret: secret, Host: "x.example.com"},
			{Path: "/google", Source: ArtifactRegistry, Audience: "a", Email: "e", Host: "x.pkg.dev", Issuer: "i", Keys: "http://127.0.0.1:1/"},
		}, func(hints []Hint) { t.Errorf("hints for a stranger: %v", hints) })
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Method, r.URL.Path = method, path
		r.Header.Set("Content-Type", contentType)
		for _, name := range []string{
			"Authorization", "X-Hub-Signature-256", "X-Gitea-Signature", "X-Gitlab-Token", "Webhook-Signature", "Webhook-Id",
			"Webhook-Timestamp", "X-Pintle-Signature", "X-Pintle-Timestamp", "Webhook-Request-Origin",
		} {
			r.Header.Set(name, proof)
		}
		answer := httptest.NewRecorder()
		receiver.ServeHTTP(answer, r)
		if answer.Code < 300 && (method != http.MethodOptions || path != "/acr") {
			t.Errorf("the answer to a stranger is %d", answer.Code)
		}
	})
}

// What is loaded can be used. There are no secrets to be read.
func FuzzParse(f *testing.F) {
	f.Add([]byte("endpoints:\n- source: github\n  path: /github\n"))
	f.Add([]byte("endpoints: [{source: quay, path: /4f9d1c07be2a63587d0e94b1fa2c6835}]"))
	f.Add([]byte("endpoints: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("File")) {
			t.Skip() // reads no files of this machine
		}
		endpoints, err := parse(text, t.Name())
		if err != nil {
			return
		}
		if _, err := New(endpoints, nil); err != nil {
			t.Errorf("what was loaded is not taken: %v", err)
		}
	})
}
