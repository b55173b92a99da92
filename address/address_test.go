// SPDX-License-Identifier: Apache-2.0

package address_test

import (
	"net/netip"
	"testing"

	"github.com/pintle-dev/pintle/address"
)

func TestRefused(t *testing.T) {
	for ip, want := range map[string]bool{
		"203.0.113.7": false, "2001:db8::7": false, "10.1.2.3": false, "127.0.0.1": false, "::1": false, "fd12::1": false, "100.64.0.1": false,
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "64:ff9b::169.254.169.254": true, "64:ff9b:1::169.254.169.254": true, "2002:a9fe:a9fe::1": true, "fe80::1%eth0": true,
		"fd00:ec2::254": true, "fd20:ce::254": true, "100.100.100.200": true, "168.63.129.16": true,
		"0.0.0.0": true, "::": true, "224.0.0.1": true, "ff02::1": true, "255.255.255.255": true,
	} {
		if got := address.Refused(address.Plain(netip.MustParseAddr(ip))); got != want {
			t.Errorf("%s: refused is %v, want %v", ip, got, want)
		}
	}
	if !address.Refused(address.Plain(netip.Addr{})) {
		t.Error("no address at all is not refused")
	}
}
