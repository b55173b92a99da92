// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/registry"
)

// inCluster is a client of a process in a cluster.
func inCluster(t *testing.T, options registry.Options, allowed ...string) *registry.Client {
	t.Helper()
	private, err := registry.ParsePrivate(allowed)
	if err != nil {
		t.Fatal(err)
	}
	options.Keychain, options.InCluster, options.AllowPrivate = ann, true, private
	return registry.New(options)
}

// A name, an address, and where a registry leads to: all are on this machine.
func TestPrivateAddressesInACluster(t *testing.T) {
	certificate, pool := newCertificate(t)
	f, other := newPrivateFake(t, certificate), newPrivateFake(t, certificate)
	_, port, _ := net.SplitHostPort(f.host)
	_, otherPort, _ := net.SplitHostPort(other.host)
	byName, otherByName := "localhost:"+port, "localhost:"+otherPort
	b := &bearer{realm: "https://" + otherByName + "/token"}
	f.before, other.before = b.before(f), b.before(other)
	for _, c := range []struct {
		name    string
		image   string
		allowed []string
		says    string // "" is well
	}{
		{"a name", byName + "/x", nil, byName + " is at the private address "},
		{"an address", f.host + "/x", nil, "allow it with `--allow-private " + f.host + "`"},
		{"a token service", f.host + "/x", []string{f.host}, "allow it with `--allow-private " + otherByName + "`"},
		{"both", f.host + "/x", []string{"127.0.0.1", otherByName}, ""},
		{"a range", byName + "/x", []string{"127.0.0.0/8", "::1/128"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tags, err := inCluster(t, registry.Options{RootCAs: pool}, c.allowed...).Pass().Tags(t.Context(), c.image)
			if c.says == "" {
				if err != nil || len(tags) != 1 {
					t.Errorf("got %v, %v", tags, err)
				}
			} else {
				wantError(t, err, registry.Unavailable, c.says)
				wantNoSecretIn(t, err)
				if got := other.counts(); got != (counts{}) {
					t.Errorf("the other host was asked: %+v", got)
				}
			}
			f.counts()
			other.counts()
		})
	}
	t.Run("a redirect", func(t *testing.T) {
		f.backend, f.before = newFake(t).backend, redirect("https://"+otherByName)
		other.before = tagList("x", `["1.0"]`)
		_, err := inCluster(t, registry.Options{RootCAs: pool}, f.host).Pass().Tags(t.Context(), f.host+"/x")
		wantError(t, err, registry.Unavailable, f.host+" sends to "+otherByName+", which is at the private address ")
		if got := other.counts(); got != (counts{}) {
			t.Errorf("the other host was asked: %+v", got)
		}
	})
}

// The hosts that the operator named for something else are named already.
func TestTheOperatorsHostsInACluster(t *testing.T) {
	f := newFake(t)
	f.before = tagList("x", `["1.0"]`)
	if _, err := inCluster(t, registry.Options{PlainHTTP: []string{f.host}}).Pass().Tags(t.Context(), f.host+"/x"); err != nil {
		t.Error(err)
	}
	certificate, pool := newCertificate(t)
	m := newPrivateFake(t, certificate)
	m.backend, m.before = f.backend, tagList("x", `["1.0"]`)
	mirrors := mustMirrors(t, "registry.example="+m.host)
	if _, err := inCluster(t, registry.Options{RootCAs: pool, Mirrors: mirrors}).Pass().Tags(t.Context(), "registry.example/x"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 1}, m.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
