// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// wantKind checks the kind of an error, and that no password is in it.
func wantKind(t *testing.T, err error, kind mirror.Kind, says string) {
	t.Helper()
	known, ok := errors.AsType[*mirror.Error](err)
	if !ok || known.Kind != kind || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want kind %d and %q", err, kind, says)
	}
	if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "r0tated")) {
		t.Errorf("the message tells the password: %v", err)
	}
}

func TestAPasswordIsChangedOnTheSameMirror(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{Username: "ada", Password: "s3cret"})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	m, err := mirror.Open(repo.URL, "", mirror.Auth{Username: "ada", Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, m)
	head := m.Head()

	server.SetPassword("r0tated")
	_, err = m.Tip(t.Context())
	wantKind(t, err, mirror.Unauthorized, "other credentials")
	server.Reset()
	for range 2 {
		if err := m.SetAuth(mirror.Auth{Username: "ada", Password: "r0tated"}); err != nil {
			t.Fatal(err)
		}
	}
	fetch(t, m)
	if m.Head() != head {
		t.Errorf("the head is %s, want %s", m.Head(), head)
	}
	if diff := cmp.Diff(gitserver.Counts{Lookups: 1}, server.Counts()); diff != "" {
		t.Errorf("requests after the change (-want +got):\n%s", diff)
	}

	// What comes later is fetched by itself, onto what was there before.
	repo.Seed(t, map[string]string{"b.yaml": "b: 1\n"}, "Second")
	fetch(t, m)
	if err := commit(t.Context(), m, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(gitserver.Counts{Lookups: 2, UploadPacks: 1, ReceivePacks: 1}, server.Counts()); diff != "" {
		t.Errorf("requests at the end (-want +got):\n%s", diff)
	}
	repo.Fsck(t)
}

// The credentials of SetAuth take the place of those in the URL, and nobody is
// somebody too.
func TestCredentialsThatAreSet(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{Username: "ada", Password: "s3cret"})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	m := open(t, strings.Replace(repo.URL, "://", "://ada:s3cret@", 1))
	fetch(t, m)
	for _, c := range []struct {
		auth mirror.Auth
		want bool
	}{
		{mirror.Auth{Username: "ada", Password: "wr0ng"}, false},
		{mirror.Auth{Username: "ada", Password: "s3cret"}, true},
		{mirror.Auth{}, false},
	} {
		if err := m.SetAuth(c.auth); err != nil {
			t.Fatal(err)
		}
		_, err := m.Tip(t.Context())
		if c.want && err != nil {
			t.Error(err)
		}
		if !c.want {
			wantKind(t, err, mirror.Unauthorized, "other credentials")
		}
	}

	local := open(t, repo.Dir)
	if err := local.SetAuth(mirror.Auth{Username: "ada", Password: "wr0ng"}); err != nil {
		t.Error(err)
	}
	fetch(t, local)
}

func TestAServerWithAnAuthorityOfItsOwn(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{Username: "ada", Password: "s3cret", TLS: true})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	auth := mirror.Auth{Username: "ada", Password: "s3cret"}
	m, err := mirror.Open(repo.URL, "", auth)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Tip(t.Context())
	wantKind(t, err, mirror.Unreachable, "unknown authority")
	if diff := cmp.Diff(gitserver.Counts{}, server.Counts()); diff != "" {
		t.Errorf("requests were sent (-want +got):\n%s", diff)
	}

	auth.RootCAs = "s3cret, but no PEM"
	wantKind(t, m.SetAuth(auth), mirror.Unauthorized, "cannot log in to "+repo.URL+": the certificate authorities that were given for it hold no certificate")
	_, err = mirror.Open(repo.URL, "", auth)
	wantKind(t, err, mirror.Unauthorized, "hold no certificate")

	auth.RootCAs = server.Authority
	if err := m.SetAuth(auth); err != nil {
		t.Fatal(err)
	}
	fetch(t, m)
	if err := commit(t.Context(), m, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
		t.Error(err)
	}
	// Authorities alone are no login: that of the URL still counts.
	withUser := strings.Replace(repo.URL, "://", "://ada:s3cret@", 1)
	if m, err = mirror.Open(withUser, "", mirror.Auth{RootCAs: server.Authority}); err != nil {
		t.Fatal(err)
	}
	fetch(t, m)
}
