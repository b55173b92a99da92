// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/reconcile"
)

func origin(revision string) map[string]string {
	return map[string]string{"org.opencontainers.image.source": "https://github.com/acme/app", "org.opencontainers.image.revision": revision}
}

// TestMessageTellsTheOrigin: what the image says of itself is in the message, and the
// way from the one before where that is known.
func TestMessageTellsTheOrigin(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	first, second := strings.Repeat("a", 40), strings.Repeat("b", 40)
	images.PushImage(t, w.registry, "app", "1.2.0", images.Image{Seed: "1.2.0", Labels: origin(first)})
	e := w.engine()
	sync := func() string {
		if _, err := e.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		return gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%B", "main")
	}
	if got, want := sync(), "\n\nSource: https://github.com/acme/app\nRevision: https://github.com/acme/app/commit/"+first+"\n\nCause: schedule\n\nPintle-Update: "; !strings.Contains(got, want) {
		t.Errorf("the message is\n%s\nwant it to have\n%s", got, want)
	}
	images.PushImage(t, w.registry, "app", "1.3.0", images.Image{Seed: "1.3.0", Annotations: origin(second)})
	if got, want := sync(), "\nChanges: https://github.com/acme/app/compare/"+first+"..."+second+"\n"; !strings.Contains(got, want) {
		t.Errorf("the message is\n%s\nwant it to have\n%s", got, want)
	}
}

// TestAnOriginStopsNoWrite: a registry that does not give it, or not in time, is not
// waited for.
func TestAnOriginStopsNoWrite(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		within time.Duration
	}{
		"not there": {func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNotFound) }, 2 * time.Second},
		"broken":    {func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) }, 2 * time.Second},
		"not JSON":  {func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>")) }, 2 * time.Second},
		"silent":    {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := newFront(t)
			s.seed()
			digest := images.Push(t, s.registry, "app", "1.2.0", "1.2.0")
			f.answer("app/manifests/"+digest, c.answer)
			begun := time.Now()
			s.expect(reconcile.Updated, at("1.2.0"))
			if took := time.Since(begun); took > c.within {
				t.Errorf("it took %s", took)
			}
			if !slices.Contains(f.take(), "GET app/manifests/"+digest) {
				t.Error("the registry was not asked")
			}
		})
	}
}

// TestTemplate: the template makes subject and body, and the trailers stay.
func TestTemplate(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	template, err := gitwriter.NewTemplate("chore(deps): {{range .Images}}{{.Tag}}{{end}}\n\nPintle-Update: forged")
	if err != nil {
		t.Fatal(err)
	}
	report := w.with(reconcile.Commits{Template: template})
	if got := report.Commits[0].Subject; got != "chore(deps): 1.1.0" {
		t.Errorf("the subject is %q", got)
	}
	if diff := cmp.Diff("chore(deps): 1.1.0", gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%s", "main")); diff != "" {
		t.Errorf("subject (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"prod/app 1"}, w.entries(1)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if report := w.expect(reconcile.UpToDate, at("1.1.0")); len(report.Problems) > 0 {
		t.Errorf("problems: %v", report.Problems)
	}
}

// TestTemplateThatFails: it is written with the default message, and reported.
func TestTemplateThatFails(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	template, err := gitwriter.NewTemplate("{{(index .Images 1).Tag}}")
	if err != nil {
		t.Fatal(err)
	}
	report := w.with(reconcile.Commits{Template: template})
	if got, want := report.Commits[0].Subject, "Update "+w.image("app")+" to 1.1.0"; got != want {
		t.Errorf("the subject is %q, want %q", got, want)
	}
	if len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Message, "the template of commit messages does not work") {
		t.Errorf("problems: %v", report.Problems)
	}
}

// TestAuthor: who is named makes the commits, and Pintle where nobody is.
func TestAuthor(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.with(reconcile.Commits{Author: reconcile.Signature{Name: "Fleet Bot", Email: "bot@example.com"}})
	w.push("app", "1.2.0")
	w.with(reconcile.Commits{})
	want := "Pintle <noreply@pintle.dev> Pintle <noreply@pintle.dev>\nFleet Bot <bot@example.com> Fleet Bot <bot@example.com>"
	if diff := cmp.Diff(want, gitserver.Git(t, w.repo.Dir, "log", "-2", "--format=%an <%ae> %cn <%ce>", "main")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
