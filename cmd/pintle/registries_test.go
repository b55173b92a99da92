// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// A mirror is asked, and the image's own name is what is shown and written.
func TestSyncByAMirror(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	mirrored := w.host
	w.host = "registry.example.com" // which nobody can ask
	w.repo.Seed(t, map[string]string{
		"policy.yaml": w.policy(">=1", "@every 1s"),
		"app.yaml":    "image: " + w.image() + `:1.0.0 # {"$imagepolicy": "prod:app"}` + "\n",
	}, "Follow registry.example.com")
	flags := []string{"--registry-mirror", w.host + "=" + mirrored, "--plain-http", mirrored}
	status, stdout, stderr := w.pintle(t, append(flags, "sync", "--repo", w.repo.URL)...)
	if status != 0 || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	written := w.repo.Read(t, "main", "app.yaml")
	if !strings.HasPrefix(written, "image: registry.example.com/acme/app:1.1.0@sha256:") {
		t.Errorf("it wrote %s", written)
	}
	if strings.Contains(stdout, mirrored) {
		t.Errorf("it shows the mirror:\n%s", stdout)
	}
}

// In a cluster, a registry at a private address takes the operator's word.
func TestSyncInACluster(t *testing.T) {
	isolate(t, "true")
	t.Setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
	w := newWorld(t, gitserver.Options{})
	backend, err := url.Parse("http://" + w.host)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(backend))
	t.Cleanup(server.Close)
	plain := w.host
	w.host = server.Listener.Addr().String()
	w.repo.Seed(t, map[string]string{"policy.yaml": w.policy(">=1", "@every 1s")}, "Follow it over TLS")
	w.host = plain
	for _, c := range []struct {
		allowed []string
		says    string
	}{
		{nil, "is at the private address 127.0.0.1, which may be anybody's in a cluster: if that is meant, allow it with `--allow-private 127.0.0.1:"},
		{[]string{"--allow-private", "127.0.0.0/8"}, "is not trusted"}, // so it was dialled
	} {
		_, stdout, stderr := w.pintle(t, append(c.allowed, "plan", "--repo", w.repo.URL)...)
		if !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%v: it says %s%s, want %q", c.allowed, stdout, stderr, c.says)
		}
	}
}

func TestWrongRegistryFlags(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	for flag, says := range map[string]string{
		"--registry-mirror=docker.io":       "--registry-mirror docker.io is not HOST=MIRROR[/PREFIX]",
		"--cloud-identity=ecr,aws":          `--cloud-identity "aws" is no cloud: the names are ecr, gar, acr`,
		"--allow-private=https://r.example": "--allow-private https://r.example is no HOST[:PORT]",
	} {
		for _, command := range [][]string{{"plan", "--repo", w.repo.URL}, {"controller"}} {
			status, _, stderr := w.pintle(t, append(command, flag)...)
			if status != statusUsage || !strings.Contains(stderr, says) {
				t.Errorf("%s %s: status %d: %s", command[0], flag, status, stderr)
			}
		}
	}
}
