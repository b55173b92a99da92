// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"fmt"
	"net/http"
	"net/netip"
	"syscall"

	"github.com/pintle-dev/pintle/address"
)

// addressError says that a host is where nobody may send Pintle to.
type addressError struct{ at netip.Addr }

func (e *addressError) Error() string {
	return fmt.Sprintf("its host is at %s, a link-local, metadata, multicast or unspecified address, which is never asked", e.at)
}

// refuseAddress is a net.Dialer's Control, for each transport. It sees each address
// after the name was looked up, so that no name can hide one. Private addresses are
// allowed: many a Git server is in the cluster.
func refuseAddress(_, resolved string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return fmt.Errorf("the address %s can't be checked", resolved)
	}
	return checkAddress(to.Addr())
}

func checkAddress(ip netip.Addr) error {
	if ip = address.Plain(ip); address.Refused(ip) {
		return &addressError{ip}
	}
	return nil
}

// guarded refuses URLs with such an address before a proxy could be asked for them, by
// redirects too.
type guarded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (g guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if ip, err := netip.ParseAddr(req.URL.Hostname()); err == nil {
		if err := checkAddress(ip); err != nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			return nil, err
		}
	}
	return g.Transport.RoundTrip(req)
}
