// SPDX-License-Identifier: Apache-2.0

// Package address tells which addresses of the network nobody may send Pintle to,
// whatever registry or Git server they name.
package address

import "net/netip"

// metadata lists the addresses on which clouds serve credentials or set-up data
// to their machines and that are not link-local. Sources: the instance metadata
// documentation of AWS (IPv6), Google Cloud (IPv6), Alibaba Cloud, and Azure's
// of its wire server.
var metadata = [...]netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	ownNAT64  = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215, mostly with a length of 96
	sixToFour = netip.MustParsePrefix("2002::/16")      // RFC 3056
)

// Refused says whether nothing may be dialled at a plain address, whoever names it: it
// is link-local, multicast, unspecified, or serves a cloud's metadata.
func Refused(ip netip.Addr) bool {
	for _, address := range metadata {
		if ip == address {
			return true
		}
	}
	return !ip.IsValid() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() ||
		ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// Plain takes an address out of its IPv6 wrappings (mapped, NAT64, 6to4), so that
// 169.254.169.254 is known in each spelling.
func Plain(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	b := ip.As16()
	switch {
	case nat64.Contains(ip), ownNAT64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:]))
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return ip
}
