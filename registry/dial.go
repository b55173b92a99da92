// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/pintle-dev/pintle/address"
)

// notPublic is what clusters and networks use inside besides the private ranges; Google
// Kubernetes Engine takes pods and nodes of each of the IPv4 ones.
var notPublic = [...]netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), // RFC 6598, carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),  // RFC 6890
	netip.MustParsePrefix("198.18.0.0/15"), // RFC 2544
	netip.MustParsePrefix("240.0.0.0/4"),   // RFC 1112
	netip.MustParsePrefix("fec0::/10"),     // RFC 3879, site-local
}

// inside says whether an address is not on the public internet.
func inside(ip netip.Addr) bool {
	return ip.IsLoopback() || ip.IsPrivate() || slices.ContainsFunc(notPublic[:], func(p netip.Prefix) bool { return p.Contains(ip) })
}

// dialer opens the connections for one registry and checks each address after
// the name was looked up, so that no name can hide one.
type dialer struct {
	own     string // host:port of the registry
	word    word
	proxy   func(*url.URL) (*url.URL, error)
	proxies sync.Map // host:port of proxies in use: operator's word too

	wasInside, wasOutside atomic.Bool // where the registry itself was found so far
}

func newDialer(own string, word word) *dialer {
	return &dialer{own: own, word: word, proxy: httpproxy.FromEnvironment().ProxyFunc()}
}

// proxyFor is http.Transport's Proxy. Unlike http.ProxyFromEnvironment it reads
// the environment once per registry, not once per process.
func (d *dialer) proxyFor(req *http.Request) (*url.URL, error) {
	proxy, err := d.proxy(req.URL)
	if proxy != nil {
		d.proxies.Store(hostPort(proxy), true)
	}
	return proxy, err
}

// dial is http.Transport's DialContext.
func (d *dialer) dial(ctx context.Context, network, hostport string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:   10 * time.Second,
		KeepAlive: 30 * time.Second,
		Control: func(_, resolved string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(resolved)
			if err != nil {
				return faultf(Unavailable, "the address %s can't be checked", resolved)
			}
			return d.check(hostport, to.Addr())
		},
	}
	return dialer.DialContext(ctx, network, hostport)
}

// check decides whether ip may be dialled for hostport, and remembers where the
// registry itself is.
func (d *dialer) check(hostport string, ip netip.Addr) error {
	ip = address.Plain(ip)
	if address.Refused(ip) {
		return faultf(Unavailable, "%s is at %s, a link-local, metadata, multicast or unspecified address, which is never asked", hostport, ip)
	}
	own := hostport == d.own
	switch {
	case own && inside(ip):
		d.wasInside.Store(true)
	case own:
		d.wasOutside.Store(true)
	}
	if _, proxy := d.proxies.Load(hostport); proxy || !inside(ip) || d.word.allows(hostport, ip) {
		return nil
	}
	name := withoutPort(hostport)
	switch {
	case own && d.word.inCluster:
		return faultf(Unavailable, "%s is at the private address %s, which may be anybody's in a cluster: if that is meant, allow it with `--allow-private %s`", name, ip, name)
	case own, !d.word.inCluster && d.wasInside.Load() && !d.wasOutside.Load():
		return nil
	}
	return faultf(Unavailable, "%s sends to %s, which is at the private address %s: if that is meant, allow it with `--allow-private %s`", withoutPort(d.own), name, ip, name)
}

// withoutPort leaves out the port that https has by itself.
func withoutPort(hostport string) string { return strings.TrimSuffix(hostport, ":443") }

// hostPort gives host:port of a URL, with the scheme's default port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}
