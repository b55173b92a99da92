// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// world is a real registry, a real Git server and one repository.
type world struct {
	t        *testing.T
	registry string
	server   *gitserver.Server
	repo     gitserver.Repo
	// address is what engines are given; the repository's URL.
	address string
	// first is the engine whose compiled schema the others share.
	first *reconcile.Engine
}

func newWorld(t *testing.T, options gitserver.Options) *world {
	t.Helper()
	server := gitserver.New(t, options)
	repo := server.Create("fleet")
	return &world{t, parts.Registry(t, parts.RegistryOptions{}), server, repo, repo.URL, nil}
}

func (w *world) image(name string) string { return w.registry + "/" + name }

// push puts tags into the registry, each with content of its own.
func (w *world) push(name string, tags ...string) {
	w.t.Helper()
	for _, tag := range tags {
		images.Push(w.t, w.registry, name, tag, name+":"+tag)
	}
}

func (w *world) policy(name, image string) string {
	return fmt.Sprintf(`apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata: {name: %s, namespace: prod}
spec:
  image: %s
  select: %s
`, name, w.image(image), anySemver)
}

func (w *world) deployment(name, image, policy string) string {
	return fmt.Sprintf(`# %[1]s runs %[2]s
apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
spec:
  template:
    spec:
      containers:
      - name: main
        image:   %[2]s   # {"$imagepolicy": "prod:%[3]s"}
`, name, w.image(image), policy)
}

const anySemver = `{semver: {range: ">=1.0.0"}}`

// seed makes a repository with one policy and one field at 1.0.0.
func (w *world) seed() {
	w.t.Helper()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(w.t, map[string]string{
		"policies/app.yaml": w.policy("app", "app"),
		"apps/app.yaml":     w.deployment("app", "app:1.0.0", "app"),
	}, "First")
}

// engine is a fresh process with an empty disk.
func (w *world) engine() *reconcile.Engine {
	w.t.Helper()
	config := reconcile.Config{Repo: w.address, Registry: registry.Options{PlainHTTP: []string{w.registry}, Limits: registry.NewLimits(10_000)}}
	var e *reconcile.Engine
	var err error
	if w.first == nil {
		e, err = reconcile.Open(config)
		w.first = e
	} else {
		e, err = reconcile.OpenBeside(w.first, config)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// sync runs a fresh engine once, and fsck.
func (w *world) sync() *reconcile.Report {
	w.t.Helper()
	report, err := w.engine().Sync(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.repo.Fsck(w.t)
	return report
}

// expect syncs and checks the first policy's reason and what the files hold.
func (w *world) expect(reason reconcile.Reason, tags map[string]string) *reconcile.Report {
	w.t.Helper()
	report := w.sync()
	if got := report.Policies[0]; got.Reason != reason {
		w.t.Fatalf("the reason is %s (%s), want %s", got.Reason, got.Message, reason)
	}
	for file, tag := range tags {
		if got := w.tag(file); got != tag {
			w.t.Fatalf("%s holds %q, want %q", file, got, tag)
		}
	}
	return report
}

// tag is what stands between the name and the digest in a file at the head.
func (w *world) tag(file string) string {
	w.t.Helper()
	for line := range strings.SplitSeq(gitserver.Git(w.t, w.repo.Dir, "show", "main:"+file), "\n") {
		if _, value, ok := strings.Cut(line, "image:   "); ok {
			value, _, _ = strings.Cut(value, " ")
			value = strings.TrimPrefix(value, w.registry)
			_, tag, _ := strings.Cut(value, ":")
			tag, _, _ = strings.Cut(tag, "@")
			return tag
		}
	}
	w.t.Fatalf("%s has no image", file)
	return ""
}

// user is somebody with a clone.
type user struct {
	w   *world
	dir string
}

func (w *world) user() user {
	w.t.Helper()
	return user{w, w.repo.Clone(w.t)}
}

func (u user) git(args ...string) string {
	u.w.t.Helper()
	return gitserver.Git(u.w.t, u.dir, args...)
}

func (u user) push() {
	u.w.t.Helper()
	u.git("push", "--quiet", "--force", "origin", "main")
}

func (u user) edit(file, old, with string) {
	u.w.t.Helper()
	path := filepath.Join(u.dir, file)
	content, err := os.ReadFile(path)
	if err != nil {
		u.w.t.Fatal(err)
	}
	edited := strings.ReplaceAll(string(content), old, with)
	if edited == string(content) {
		u.w.t.Fatalf("%s does not hold %q", file, old)
	}
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		u.w.t.Fatal(err)
	}
}

func (u user) commit(message string) {
	u.w.t.Helper()
	u.git("commit", "--quiet", "--all", "--message", message)
}

// reference is what the field of app.yaml holds now.
func (u user) reference() string {
	u.w.t.Helper()
	u.git("pull", "--quiet")
	content, err := os.ReadFile(filepath.Join(u.dir, app))
	if err != nil {
		u.w.t.Fatal(err)
	}
	_, value, _ := strings.Cut(string(content), "image:   ")
	value, _, _ = strings.Cut(value, " ")
	return value
}

func reasons(r *reconcile.Report) []string {
	var all []string
	for _, p := range r.Policies {
		all = append(all, fmt.Sprintf("%s/%s %s", p.Namespace, p.Name, p.Reason))
	}
	return all
}

// forgetful are policies without the last selection, which a fresh process does not
// know.
func forgetful(policies []reconcile.Policy) []reconcile.Policy {
	policies = slices.Clone(policies)
	for i := range policies {
		p := &policies[i]
		if !p.Stale {
			continue
		}
		last := "; the last selection was " + p.Selected.Tag
		p.Selected, p.Stale, p.Message = nil, false, strings.TrimSuffix(p.Message, last)
		p.Fields = slices.Clone(p.Fields)
		for j := range p.Fields {
			p.Fields[j].Message = strings.TrimSuffix(p.Fields[j].Message, last)
		}
	}
	return policies
}
