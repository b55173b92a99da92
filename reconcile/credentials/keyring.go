// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// entry is one login and what it is for.
type entry struct {
	host  string // HOST[:PORT], lower case; its labels may have wildcards
	path  string // "" is the whole host
	login authn.AuthConfig
}

// keyring matches logins as the kubelet does, with three differences: a path ends
// at a slash, so that ghcr.io/acme is not for ghcr.io/acme-corp; the longest path
// is first also where wildcards are in play; and Docker Hub goes by all its names.
//
// https://kubernetes.io/docs/concepts/containers/images/#config-json
type keyring []entry

// fitting gives the logins for an image, the closest first.
func (k keyring) fitting(host, below string) []entry {
	var fitting []entry
	for _, e := range k {
		if e.fits(host, below) {
			fitting = append(fitting, e)
		}
	}
	slices.SortStableFunc(fitting, func(a, b entry) int {
		switch {
		case a.closer(&b, host):
			return -1
		case b.closer(&a, host):
			return 1
		}
		return 0
	})
	return fitting
}

// keyrings are asked in their order. It implements registry.Logins.
type keyrings []keyring

// ResolveAll gives each login for an image.
func (k keyrings) ResolveAll(_ context.Context, target authn.Resource) ([]authn.Authenticator, error) {
	host, below, _ := strings.Cut(target.String(), "/")
	host = canonicalHost(host)
	var all []authn.Authenticator
	for _, ring := range k {
		for _, e := range ring.fitting(host, below) {
			all = append(all, authn.FromConfig(e.login))
		}
	}
	return all, nil
}

// Resolve implements authn.Keychain: it gives the first login.
func (k keyrings) Resolve(target authn.Resource) (authn.Authenticator, error) {
	all, err := k.ResolveAll(context.Background(), target)
	if err != nil || len(all) == 0 {
		return authn.Anonymous, err
	}
	return all[0], nil
}

func (e *entry) fits(host, below string) bool {
	return hostFits(e.host, host) && (e.path == "" || e.path == below || strings.HasPrefix(below, e.path+"/"))
}

// closer says whether e is more about the host than other; both fit.
func (e *entry) closer(other *entry, host string) bool {
	if len(e.path) != len(other.path) {
		return len(e.path) > len(other.path)
	}
	return e.host == host && other.host != host
}

// hostFits matches label by label, so that * is for one label, and the ports
// must be equal.
func hostFits(pattern, host string) bool {
	if pattern == host {
		return true
	}
	wanted, port := splitPort(pattern)
	given, givenPort := splitPort(host)
	patterns, labels := strings.Split(wanted, "."), strings.Split(given, ".")
	if port != givenPort || len(patterns) != len(labels) {
		return false
	}
	for i, label := range labels {
		if fits, err := path.Match(patterns[i], label); err != nil || !fits {
			return false
		}
	}
	return true
}

func splitPort(host string) (name, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return host, ""
	}
	return name, port
}

// canonicalHost gives Docker Hub the one name that images have.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	switch host {
	case "docker.io", "registry-1.docker.io":
		return "index.docker.io"
	}
	return host
}
