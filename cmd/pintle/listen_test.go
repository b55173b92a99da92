// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

// TestListen pushes to distribution's registry, whose notification makes a running
// command look, though the schedule is a day away; the commit tells why.
func TestListen(t *testing.T) {
	isolate(t, "true")
	target := make(chan *url.URL, 1)
	// The registry has to know the address before the command has one.
	to := sync.OnceValue(func() *url.URL { return <-target })
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to()) }})
	defer front.Close()
	const secret = "a-secret-for-notifications"
	host := parts.Registry(t, parts.RegistryOptions{Notify: front.URL + "/distribution", NotifyAuthorization: secret})
	w := &world{host: host, repo: gitserver.New(t, gitserver.Options{}).Create("fleet")}
	w.repo.Seed(t, map[string]string{
		"policy.yaml": w.policy(">=1", "@daily"),
		"app.yaml":    "image: " + w.image() + `:1.0.0 # {"$imagepolicy": "prod:app"}` + "\n",
	}, "Run 1.0.0")

	folder := t.TempDir()
	for name, text := range map[string]string{
		"secret":      secret + "\n",
		"events.yaml": "endpoints:\n- {source: distribution, path: /distribution, host: '" + host + "', secretFile: secret}\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Args[0], "sync", "--watch", "--repo", w.repo.URL, "--plain-http", host,
		"--listen", "127.0.0.1:0", "--events", filepath.Join(folder, "events.yaml"))
	command.Env = append(os.Environ(), runMain+"=1")
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	complaints := bufio.NewScanner(stderr)
	if !complaints.Scan() {
		t.Fatal("the command says no address")
	}
	address, found := strings.CutPrefix(complaints.Text(), "Listening for events at ")
	if !found {
		t.Fatalf("the command says %q", complaints.Text())
	}
	target <- &url.URL{Scheme: "http", Host: address}
	awaitEnd(t, complaints, "prod/app Failed: ") // the registry knows no such image yet

	w.push(t, "1.1.0")
	lines := bufio.NewScanner(stdout)
	awaitLine(t, lines, "to 1.1.0 (1 field)")
	trailer := gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%(trailers:key=Pintle-Update,valueonly)", "main")
	if !strings.HasSuffix(trailer, "cause=event/distribution") {
		t.Errorf("the trailer is %q", trailer)
	}

	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, io.MultiReader(stdout, stderr)); err != nil {
		t.Error(err) // Wait may not close them before all is read
	}
	if err := command.Wait(); err != nil {
		t.Errorf("the command ends with %v", err)
	}
	w.repo.Fsck(t)
}

// awaitEnd reads lines until one has the text.
func awaitEnd(t *testing.T, lines *bufio.Scanner, text string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the command ended before it said %q", text)
}

func TestListenUsage(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	file := filepath.Join(t.TempDir(), "events.yaml")
	if err := os.WriteFile(file, []byte("endpoints:\n- source: harbor\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--watch", "--listen", ":0"}, statusUsage, "--listen and --events go together"},
		{[]string{"--watch", "--events", file}, statusUsage, "--listen and --events go together"},
		{[]string{"--listen", ":0", "--events", file}, statusUsage, "--listen needs --watch"},
		{[]string{"--watch", "--listen", ":0", "--events", file}, statusFailed, "events.yaml:2: path has to start with /"},
	} {
		status, _, stderr := w.pintle(t, append([]string{"sync", "--repo", w.repo.URL}, c.args...)...)
		if status != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, want %d: %s, want %q", c.args, status, c.status, stderr, c.want)
		}
	}
	if head := gitserver.Git(t, w.repo.Dir, "log", "--format=%s", "main"); head != "Run 1.0.0" {
		t.Errorf("wrong usage wrote %q", head)
	}
}
