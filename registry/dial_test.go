// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestAddressesThatMayBeDialled(t *testing.T) {
	const own, other, named = "registry.example:443", "auth.example:443", "named.example:443"
	for _, c := range []struct {
		name string
		own  []string // where the registry was found before
		to   string
		ip   string
		want bool
	}{
		{"a public registry", nil, own, "203.0.113.7", true},
		{"a registry on the private network", nil, own, "10.1.2.3", true},
		{"a registry on this machine", nil, own, "::1", true},
		{"a link-local registry", nil, own, "169.254.3.4", false},
		{"a link-local registry, IPv6 with a zone", nil, own, "fe80::1%eth0", false},
		{"a cloud's metadata", nil, own, "169.254.169.254", false},
		{"a cloud's metadata, mapped", nil, own, "::ffff:169.254.169.254", false},
		{"a cloud's metadata through NAT64", nil, own, "64:ff9b::169.254.169.254", false},
		{"another cloud's metadata", nil, own, "fd00:ec2::254", false},
		{"unspecified", nil, own, "0.0.0.0", false},
		{"multicast", nil, own, "ff02::1", false},
		{"public to public", []string{"203.0.113.7"}, other, "203.0.113.8", true},
		{"public to loopback", []string{"203.0.113.7"}, other, "127.0.0.1", false},
		{"public to loopback, mapped", []string{"203.0.113.7"}, other, "::ffff:127.0.0.1", false},
		{"public to private", []string{"203.0.113.7"}, other, "192.168.1.1", false},
		{"public to unique local", []string{"2001:db8::1"}, other, "fd12::1", false},
		{"public to shared space", []string{"203.0.113.7"}, other, "100.64.0.1", false},
		{"public to a private host that the operator named", []string{"203.0.113.7"}, named, "10.0.0.1", true},
		{"public to link-local that the operator named", []string{"203.0.113.7"}, named, "169.254.169.254", false},
		{"private to private", []string{"10.0.0.1"}, other, "10.0.0.2", true},
		{"private to link-local", []string{"10.0.0.1"}, other, "169.254.169.254", false},
		{"by turns private and public to private", []string{"10.0.0.1", "203.0.113.7"}, other, "10.0.0.2", false},
		{"never seen to private", nil, other, "10.0.0.2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDialer(own, func(hostport string) bool { return hostport == named })
			for _, before := range c.own {
				if err := d.check(own, netip.MustParseAddr(before)); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.check(c.to, netip.MustParseAddr(c.ip)); (err == nil) != c.want {
				t.Errorf("got %v, want it allowed: %v", err, c.want)
			}
		})
	}
}

// The check is at the connection, after the name was looked up.
func TestNamesHideNoAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	address := net.JoinHostPort("localhost", port)

	d := newDialer("registry.example:443", func(string) bool { return false })
	if err := d.check(d.own, netip.MustParseAddr("203.0.113.7")); err != nil {
		t.Fatal(err)
	}
	var refused *fault
	if _, err := d.dial(t.Context(), "tcp", address); !errors.As(err, &refused) {
		t.Errorf("a public registry sends to %s: got %v, want a refusal", address, err)
	}
	d = newDialer(address, func(string) bool { return false })
	conn, err := d.dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("the registry itself: %v", err)
	}
	_ = conn.Close()
}
