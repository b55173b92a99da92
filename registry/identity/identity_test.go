// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/pintle-dev/pintle/registry"
)

// Each cloud is asked for hosts of its own, and not for those that look like it.
func TestWhoseHostItIs(t *testing.T) {
	const account = "123456789012.dkr.ecr."
	want := map[string]string{
		account + "eu-west-1.amazonaws.com":                     "ecr",
		account + "cn-north-1.amazonaws.com.cn":                 "ecr",
		account + "eusc-de-east-1.amazonaws.eu":                 "ecr",
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com": "ecr",
		"123456789012.dkr-ecr.eu-west-1.on.aws":                 "ecr",
		"gcr.io":                                                "gar",
		"eu.gcr.io":                                             "gar",
		"europe-docker.pkg.dev":                                 "gar",
		"us-west1-docker.pkg.dev":                               "gar",
		"contoso.azurecr.io":                                    "acr",
		"contoso-d7bz3fk2.azurecr.io":                           "acr",
		"contoso.azurecr.cn":                                    "acr",
		"contoso.azurecr.us":                                    "acr",
	}
	for _, host := range []string{
		account + "eu-west-1.amazonaws.com.evil.example", "evil.example", account + "eu-west-1.amazonaws.com:8443", account + "eu-west-1.amazonaws.org",
		account + "evil.example.amazonaws.com", "12345678901.dkr.ecr.eu-west-1.amazonaws.com", "x123456789012.dkr.ecr.eu-west-1.amazonaws.com",
		"x." + account + "eu-west-1.amazonaws.com", "public.ecr.aws", "123456789012xdkr.ecr.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com",
		"evilgcr.io", "gcr.io.evil.example", "evil.gcr.io", "gcr.io:443", "pkg.dev", "docker.pkg.dev", "europe-npm.pkg.dev", "europe-docker.pkg.dev.evil.example",
		"x.europe-docker.pkg.dev", "europe-docker-pkg.dev", "www.google.com", "registry.k8s.io",
		"azurecr.io", "contoso.azurecr.io.evil.example", "x.contoso.azurecr.io", "contosoazurecr.io", "contoso.azurecr.io:5000", "contoso.data.azurecr.io",
		"mcr.microsoft.com", "contoso.azurecr.de", "index.docker.io", "ghcr.io", "localhost:5000", "169.254.169.254",
	} {
		want[host] = ""
	}
	got := map[string]string{}
	for host := range want {
		got[host] = ""
		for _, c := range clouds() {
			if c.realm(host) != "" {
				got[host] += c.flag
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

// A name is no other than itself in the eyes of a name's parser.
func TestACloudIsAskedByTheHost(t *testing.T) {
	k, err := New([]string{"ecr", "gar", "acr"})
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"evil.example/123456789012.dkr.ecr.eu-west-1.amazonaws.com/x", "evil.example/gcr.io/x", "contoso.azurecr.io.evil.example/x"} {
		if got := resolve(t, k, image); got != authn.Anonymous {
			t.Errorf("%s: got a login", image)
		}
	}
	k, err = New(nil)
	if err != nil || resolve(t, k, "gcr.io/x") != authn.Anonymous {
		t.Errorf("a cloud that is not turned on is asked: %v", err)
	}
}

func resolve(t *testing.T, k authn.Keychain, image string) authn.Authenticator {
	t.Helper()
	repository, err := name.NewRepository(image)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Resolve(repository)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// made is a cloud of a test's own, and how often it was asked.
type made struct {
	asked atomic.Int32
	life  time.Duration
	err   error
	hang  chan struct{} // until it is closed, it gives no answer, whatever the context says
}

func (m *made) keychain() *keychain {
	return &keychain{realms: map[string]*realm{}, clouds: []cloud{{
		flag: "made", name: "Made Up",
		realm: func(host string) string { return strings.TrimPrefix(host, "a.") },
		logIn: func(context.Context, string) (*login, error) {
			m.asked.Add(1)
			if m.hang != nil {
				<-m.hang
			}
			if m.err != nil {
				return nil, m.err
			}
			return &login{authn.AuthConfig{Username: "u"}, time.Now().Add(m.life)}, nil
		},
		explain: func(err error) string {
			if err.Error() == "known" {
				return "it is known"
			}
			return ""
		},
	}}}
}

func TestALoginIsKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &made{life: 12 * time.Hour}
		k := m.keychain()
		for _, c := range []struct {
			after time.Duration
			image string
			want  int32
		}{
			{0, "r.example/x", 1},
			{0, "a.r.example/y", 1}, // of the same realm
			{0, "s.example/x", 2},
			{11 * time.Hour, "r.example/x", 2},
			{54 * time.Minute, "r.example/x", 2},
			{2 * time.Minute, "r.example/x", 3},
			{11 * time.Hour, "r.example/x", 3},
		} {
			time.Sleep(c.after)
			got := resolve(t, k, c.image)
			ends := got.(registry.Expiring).Expires()
			if m.asked.Load() != c.want || !time.Now().Before(ends) {
				t.Errorf("%+v: asked %d times, the login ends at %s", c, m.asked.Load(), ends)
			}
		}
	})
}

func TestWhereThereIsNoCloud(t *testing.T) {
	repository, err := name.NewRepository("r.example/x")
	if err != nil {
		t.Fatal(err)
	}
	const says = "Made Up gives no login for r.example to this machine's identity, which `--cloud-identity made` asks for: "
	for name, c := range map[string]struct {
		made *made
		says string
		took time.Duration
	}{
		"no answer":         {&made{hang: make(chan struct{})}, "nothing answered within 10s", timeout},
		"no identity":       {&made{err: errors.New("s3cret")}, "none was found", 0},
		"the cloud refuses": {&made{err: errors.New("known")}, "it is known", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if c.made.hang != nil {
					c.made.hang = make(chan struct{}) // of this bubble
					defer close(c.made.hang)
				}
				k, begun := c.made.keychain(), time.Now()
				for range 3 { // it is asked once, and the others are told
					_, err := k.Resolve(repository)
					if _, ok := errors.AsType[*registry.LoginError](err); !ok || err.Error() != says+c.says {
						t.Errorf("got %v", err)
					}
				}
				if c.made.asked.Load() != 1 || time.Since(begun) != c.took {
					t.Errorf("asked %d times, in %v", c.made.asked.Load(), time.Since(begun))
				}
				time.Sleep(retryAfter)
				if _, err := k.Resolve(repository); err == nil || c.made.asked.Load() != 2 {
					t.Errorf("later: asked %d times: %v", c.made.asked.Load(), err)
				}
			})
		})
	}
}

// Whoever gives up says nothing of the cloud to those who ask next.
func TestWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &made{hang: make(chan struct{}), life: time.Hour}
		k := m.keychain()
		repository, err := name.NewRepository("r.example/x")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := k.ResolveContext(ctx, repository); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(m.hang)
		if _, err := k.ResolveContext(t.Context(), repository); err != nil {
			t.Error(err)
		}
	})
}
