// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// hosts are those that the operator named: HOST, which is each of its ports, or
// HOST:PORT; in lower case.
type hosts map[string]bool

func (h hosts) add(host string) {
	host = strings.ToLower(host)
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = strings.Trim(host, "[]") // HOST alone
	}
	h[host] = true
}

func (h hosts) name(hostport string) bool {
	hostport = strings.ToLower(hostport)
	if h[hostport] {
		return true
	}
	bare, _, err := net.SplitHostPort(hostport)
	return err == nil && h[bare]
}

// Private is what the operator allows at addresses that are not on the public
// internet. The zero value is nothing.
type Private struct {
	hosts     []string
	addresses []netip.Prefix
}

// ParsePrivate reads HOST[:PORT] and CIDR. The error completes "--allow-private …".
func ParsePrivate(entries []string) (Private, error) {
	var p Private
	for _, entry := range entries {
		prefix, err := netip.ParsePrefix(entry)
		switch {
		case err == nil && prefix != prefix.Masked():
			return Private{}, fmt.Errorf("%s has bits set behind its length: %s is the range that it lies in", printable(entry), prefix.Masked())
		case err == nil:
			p.addresses = append(p.addresses, prefix)
		case validHost(strings.ToLower(entry)):
			p.hosts = append(p.hosts, entry)
		default:
			return Private{}, fmt.Errorf("%s is no HOST[:PORT] and no range of addresses such as 10.1.0.0/16", printable(entry))
		}
	}
	return p, nil
}

// word is what the operator allows beyond the public internet.
type word struct {
	hosts     hosts
	addresses []netip.Prefix
	inCluster bool // and only that
}

func newWord(options Options) word {
	w := word{hosts: hosts{}, addresses: options.AllowPrivate.addresses, inCluster: options.InCluster}
	for _, host := range options.PlainHTTP {
		w.hosts.add(host)
	}
	for _, host := range options.AllowPrivate.hosts {
		w.hosts.add(host)
	}
	for _, mirror := range options.Mirrors {
		w.hosts.add(mirror.host)
	}
	return w
}

func (w word) allows(hostport string, ip netip.Addr) bool {
	for _, prefix := range w.addresses {
		if prefix.Contains(ip) {
			return true
		}
	}
	return w.hosts.name(hostport)
}
