// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/address"
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
		{"a cloud's metadata through a NAT64 of its own", nil, own, "64:ff9b:1::169.254.169.254", false},
		{"a cloud's metadata through 6to4", nil, own, "2002:a9fe:a9fe::1", false},
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
			d := newDialer(own, word{hosts: hosts{named: true}})
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

// In a cluster, each private address takes a word of the operator's.
func TestAddressesThatMayBeDialledInACluster(t *testing.T) {
	const own, other = "registry.example:443", "auth.example:443"
	for _, c := range []struct {
		name    string
		allowed []string
		own     string // where the registry was found before
		to      string
		ip      string
		want    bool
	}{
		{"public", nil, "", own, "203.0.113.7", true},
		{"private", nil, "", own, "10.1.2.3", false},
		{"loopback", nil, "", own, "127.0.0.1", false},
		{"loopback, IPv6", nil, "", own, "::1", false},
		{"pods at reserved addresses", nil, "", own, "240.10.0.1", false},
		{"pods at addresses for benchmarks", nil, "", own, "198.19.0.1", false},
		{"pods at protocol assignments", nil, "", own, "192.0.0.10", false},
		{"site-local", nil, "", own, "fec0::1", false},
		{"shared space", nil, "", own, "100.64.0.1", false},
		{"unique local", nil, "", own, "fd12::1", false},
		{"private, mapped", nil, "", own, "::ffff:10.1.2.3", false},
		{"private through NAT64", nil, "", own, "64:ff9b::10.1.2.3", false},
		{"private through a NAT64 of its own", nil, "", own, "64:ff9b:1::10.1.2.3", false},
		{"private through 6to4", nil, "", own, "2002:a01:203::1", false},
		{"public through NAT64", nil, "", own, "64:ff9b::203.0.113.7", true},
		{"an allowed host", []string{"registry.example"}, "", own, "10.1.2.3", true},
		{"an allowed host, in capitals", []string{"Registry.Example:443"}, "", own, "10.1.2.3", true},
		{"an allowed host at another port", []string{"registry.example:5000"}, "", own, "10.1.2.3", false},
		{"below an allowed host", []string{"example"}, "", own, "10.1.2.3", false},
		{"an allowed range", []string{"10.1.0.0/16"}, "", own, "10.1.2.3", true},
		{"an allowed range, mapped", []string{"10.1.0.0/16"}, "", own, "::ffff:10.1.2.3", true},
		{"outside of an allowed range", []string{"10.1.0.0/16"}, "", own, "10.2.2.3", false},
		{"an allowed range, IPv6", []string{"fd12::/16"}, "", own, "fd12::1", true},
		{"metadata in an allowed range", []string{"0.0.0.0/0", "::/0"}, "", own, "169.254.169.254", false},
		{"metadata at an allowed host", []string{"registry.example"}, "", own, "fd00:ec2::254", false},
		{"a token service that is not allowed", []string{"registry.example"}, "10.1.2.3", other, "10.1.2.4", false},
		{"a token service that is allowed", []string{"registry.example", "auth.example"}, "10.1.2.3", other, "10.1.2.4", true},
		{"a token service of a public registry", nil, "203.0.113.7", other, "10.1.2.4", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			private, err := ParsePrivate(c.allowed)
			if err != nil {
				t.Fatal(err)
			}
			d := newDialer(own, newWord(Options{AllowPrivate: private, InCluster: true}))
			if c.own != "" {
				if err := d.check(own, netip.MustParseAddr(c.own)); err != nil {
					t.Fatal(err)
				}
			}
			err = d.check(c.to, netip.MustParseAddr(c.ip))
			if (err == nil) != c.want {
				t.Errorf("got %v, want it allowed: %v", err, c.want)
			}
			if err != nil && !address.Refused(address.Plain(netip.MustParseAddr(c.ip))) && !strings.Contains(err.Error(), "`--allow-private "+withoutPort(c.to)+"`") {
				t.Errorf("the message is %v", err)
			}
		})
	}
}

func TestWhatIsNoAllowance(t *testing.T) {
	for entry, says := range map[string]string{
		"10.1.2.3/16": "10.1.0.0/16 is the range", "https://r.example": "no HOST[:PORT]", "": "no HOST[:PORT]", "r.example/acme": "no HOST[:PORT]",
		"r.example:": "no HOST[:PORT]", "*.example": "no HOST[:PORT]",
	} {
		if _, err := ParsePrivate([]string{entry}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", entry, err, says)
		}
	}
}

// The check is at the connection, after the name was looked up.
func TestNamesHideNoAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	address := net.JoinHostPort("localhost", port)

	d := newDialer("registry.example:443", word{})
	if err := d.check(d.own, netip.MustParseAddr("203.0.113.7")); err != nil {
		t.Fatal(err)
	}
	var refused *fault
	if _, err := d.dial(t.Context(), "tcp", address); !errors.As(err, &refused) {
		t.Errorf("a public registry sends to %s: got %v, want a refusal", address, err)
	}
	d = newDialer(address, word{})
	conn, err := d.dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("the registry itself: %v", err)
	}
	_ = conn.Close()
}
