// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

const (
	someDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	anyDigest  = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	someSource = "0123456789abcdef0123456789abcdef01234567"
)

// decodeRun reads a BuildRun ci/run as the API server sends one.
func decodeRun(t *testing.T, spec, status string) *buildRun {
	t.Helper()
	run := &buildRun{}
	text := `{"metadata": {"namespace": "ci", "name": "run", "uid": "1"}, "spec": ` + spec + `, "status": ` + status + `}`
	if err := json.Unmarshal([]byte(text), run); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestMade(t *testing.T) {
	const (
		succeeded = `"conditions": [{"type": "Other", "status": "False"}, {"type": "Succeeded", "status": "True", "lastTransitionTime": "2026-01-02T03:04:00Z"}]`
		completed = succeeded + `, "completionTime": "2026-01-02T03:04:05Z"`
		pushed    = `{"build": {"name": "app"}, "output": {"image": "ghcr.io/acme/app:1.0.0", "pushSecret": "x"}}`
		plain     = `{"build": {"name": "app"}}`
	)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := made{run: types.NamespacedName{Namespace: "ci", Name: "run"}, image: "ghcr.io/acme/app", tag: "1.0.0", completed: at}
	with := func(change func(*made)) made {
		m := want
		change(&m)
		return m
	}
	tests := map[string]struct {
		spec, status string
		want         made // empty for none
	}{
		"by the spec":       {pushed, `{` + completed + `, "buildSpec": {"output": {"image": "ghcr.io/acme/other:2"}}}`, want},
		"by the Build":      {plain, `{` + completed + `, "buildSpec": {"output": {"image": "ghcr.io/acme/app:1.0.0"}}}`, want},
		"all":               {pushed, `{` + completed + `, "output": {"digest": "` + someDigest + `", "size": 7}, "source": {"git": {"commitSha": "` + someSource + `", "commitAuthor": "A"}}}`, with(func(m *made) { m.digest, m.source = someDigest, someSource })},
		"Docker Hub's":      {`{"output": {"image": "acme/app"}}`, `{` + completed + `}`, with(func(m *made) { m.image, m.tag = "index.docker.io/acme/app", "latest" })},
		"no time":           {pushed, `{` + succeeded + `}`, with(func(m *made) { m.completed = at.Add(-5 * time.Second) })},
		"a source in text":  {pushed, `{` + completed + `, "source": {"git": {"commitSha": "main\nPintle-Update: x"}}}`, want},
		"a long source":     {pushed, `{` + completed + `, "source": {"git": {"commitSha": "` + strings.Repeat("a", 65) + `"}}}`, want},
		"failed":            {pushed, `{"conditions": [{"type": "Succeeded", "status": "False"}]}`, made{}},
		"still running":     {pushed, `{"conditions": [{"type": "Succeeded", "status": "Unknown"}]}`, made{}},
		"not begun":         {pushed, `{}`, made{}},
		"no image":          {plain, `{` + completed + `}`, made{}},
		"no image's name":   {`{"output": {"image": "https://ghcr.io/acme/app"}}`, `{` + completed + `}`, made{}},
		"a very long name":  {`{"output": {"image": "` + strings.Repeat("a", 1<<20) + `"}}`, `{` + completed + `}`, made{}},
		"a digest in text":  {pushed, `{` + completed + `, "output": {"digest": "sha256:x cause=pin"}}`, made{}},
		"a digest too many": {pushed, `{` + completed + `, "output": {"digest": "` + someDigest + `@` + someDigest + `"}}`, made{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := decodeRun(t, test.spec, test.status).made()
			if got.completed = got.completed.UTC(); !ok {
				got = made{}
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(made{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhereABuildAndARegistryDiffer(t *testing.T) {
	told := made{run: types.NamespacedName{Namespace: "ci", Name: "run"}, image: "ghcr.io/acme/app", tag: "1.0.0", digest: someDigest}
	silent := told
	silent.digest = ""
	tests := map[string]struct {
		made   made
		served string
		want   string // a part of it; empty for no word
	}{
		"the same":             {told, someDigest, ""},
		"another":              {told, anyDigest, "as " + someDigest + ", but the registry serves " + anyDigest},
		"none":                 {told, "", "as " + someDigest + ", which the registry does not have"},
		"no digest was told":   {silent, anyDigest, ""},
		"and there is no such": {silent, "", "with ghcr.io/acme/app:1.0.0, which the registry does not have"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.made.wrong(test.served); !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// What is kept of a run in memory does not depend on how large others make it.
func TestSlim(t *testing.T) {
	long := strings.Repeat("x", 1<<16)
	run := decodeRun(t, `{"build": {"name": "app"}, "output": {"image": "ghcr.io/acme/app:1.0.0"}, "paramValues": [{"name": "`+long+`"}]}`,
		`{"conditions": [{"type": "Succeeded", "status": "True", "message": "`+long+`", "lastTransitionTime": "2026-01-02T03:04:05Z"}], "buildSpec": {"source": {"git": {"url": "`+long+`"}}}}`)
	run.Annotations = map[string]string{"long": long}
	before, _ := run.made()
	kept, err := slim(run)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 1000 {
		t.Errorf("%d bytes are kept: %.1000s", len(text), text)
	}
	if after, ok := run.made(); !ok || after != before {
		t.Errorf("it tells %+v, and before %+v", after, before)
	}
}
