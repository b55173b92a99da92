// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/pintle-dev/pintle/address"
)

// refuseAddress is a net.Dialer's Control. It sees each address after the name was looked
// up, so that no name can hide one. Private addresses are allowed, as for Git.
func refuseAddress(_, resolved string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return fmt.Errorf("the address %s can't be checked", resolved)
	}
	return checkAddress(to.Addr())
}

// checkHost is for what a proxy would be asked for.
func checkHost(host string) error {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil //nolint:nilerr // a name is checked when it is looked up
	}
	return checkAddress(ip)
}

func checkAddress(ip netip.Addr) error {
	if ip = address.Plain(ip); address.Refused(ip) {
		return fmt.Errorf("its host is at %s, a link-local, metadata, multicast or unspecified address, which is never asked", ip)
	}
	return nil
}
