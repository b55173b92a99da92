// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/registry/events"
)

// inFolder writes endpoints.yaml, with the file "secret" beside it.
func inFolder(t testing.TB, text string) (file string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "secret"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(folder, "endpoints.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoad(t *testing.T) {
	got, err := events.Load(inFolder(t, `endpoints:
  - source: github
    path: /github
    secretFile: secret
  - {source: ecr, path: /ecr, host: 123456789012.dkr.ecr.us-west-2.amazonaws.com, secretFile: secret, header: X-Api-Key}
  - source: docker-hub
    path: /hub/`+unguessable+`
  - source: artifact-registry
    path: /google
    host: us-east1-docker.pkg.dev
    audience: `+audience+`
    email: `+email+`
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []events.Endpoint{
		{Source: events.GitHub, Path: "/github", Secret: secret},
		{Source: events.ECR, Path: "/ecr", Host: "123456789012.dkr.ecr.us-west-2.amazonaws.com", Secret: secret, Header: "X-Api-Key"},
		{Source: events.DockerHub, Path: "/hub/" + unguessable},
		{Source: events.ArtifactRegistry, Path: "/google", Host: "us-east1-docker.pkg.dev", Audience: audience, Email: email},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	newReceiver(t, got...)
}

func TestLoadNamesTheLine(t *testing.T) {
	const good = "endpoints:\n- source: github\n  path: /github\n  secretFile: secret\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":              {"", "endpoints.yaml: the file is empty"},
		"not YAML":           {"endpoints:\n- {source: github\npath: x\n", "endpoints.yaml: line "},
		"two documents":      {good + "---\n" + good, "endpoints.yaml: the file has more than one document"},
		"a list":             {"- source: github\n", "endpoints.yaml:1: there has to be a mapping here"},
		"another key":        {good + "listen: :80\n", `endpoints.yaml:5: unknown key "listen"`},
		"no endpoints":       {"{}\n", "endpoints.yaml:1: endpoints has to be a list of 1 to 1000"},
		"an empty list":      {"endpoints: []\n", "endpoints.yaml:1: endpoints has to be a list"},
		"text in the list":   {"endpoints:\n- github\n", "endpoints.yaml:2: there has to be a mapping here"},
		"a secret":           {"endpoints:\n- source: github\n  path: /github\n  secret: x\n", `endpoints.yaml:4: unknown key "secret": an endpoint has source,`},
		"a list as host":     {"endpoints:\n- source: github\n  host: [a]\n", "endpoints.yaml:3: host has to be text"},
		"nothing as path":    {"endpoints:\n- source: github\n  path:\n", "endpoints.yaml:3: path has to be text"},
		"a key twice":        {"endpoints:\n- source: github\n  source: quay\n", "endpoints.yaml:3: source is there twice"},
		"no source":          {"endpoints:\n- path: /github\n", "endpoints.yaml:2: source is missing"},
		"an unknown source":  {good + "- source: nexus\n  path: /nexus\n", `endpoints.yaml:5: source "nexus" is unknown`},
		"no secret":          {good + "- source: harbor\n  path: /harbor\n  host: h.io\n", "endpoints.yaml:5: the secret is missing"},
		"no file":            {good + "- source: harbor\n  secretFile: gone\n", "endpoints.yaml:6: cannot read the secret: open "},
		"one path for two":   {good + "- source: github\n  path: /github\n  secretFile: secret\n", "endpoints.yaml:5: path is that of another endpoint"},
		"an alias":           {"endpoints:\n- &a\n  source: github\n- *a\n", "endpoints.yaml:2: path has to start with /"},
		"an alias as a host": {"endpoints:\n- source: &s github\n  host: *s\n", "endpoints.yaml:3: host has to be text"},
	} {
		file := inFolder(t, c.text)
		_, err := events.Load(file)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if got := strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", ""); !strings.HasPrefix(got, "cannot read the endpoints: "+c.want) {
			t.Errorf("%s: the error is %s, want %s", name, got, c.want)
		}
	}
	if _, err := events.Load(filepath.Join(t.TempDir(), "gone.yaml")); err == nil {
		t.Error("a file that is not there: no error")
	}
}
