// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"strings"
)

// Mirrors are where images are asked for in place of their own registry, by its host.
// Nothing else changes: messages and Git have the image's own name.
type Mirrors map[string]mirror

// mirror has the repositories of a registry, below prefix if there is one.
type mirror struct{ host, prefix string }

// ParseMirrors reads HOST=MIRROR[/PREFIX]. The error completes "--registry-mirror …".
func ParseMirrors(entries []string) (Mirrors, error) {
	mirrors := Mirrors{}
	for _, entry := range entries {
		from, to, _ := strings.Cut(entry, "=")
		host, prefix, below := strings.Cut(to, "/")
		from, host = hubHost(strings.ToLower(from)), hubHost(strings.ToLower(host))
		switch {
		case strings.Contains(entry, "://"):
			return nil, fmt.Errorf("%s has a scheme: write HOST=MIRROR[/PREFIX]; `--plain-http MIRROR` is for a mirror without TLS", printable(entry))
		case !validHost(from) || !validHost(host):
			return nil, fmt.Errorf("%s is not HOST=MIRROR[/PREFIX], as in docker.io=mirror.example.com/hub", printable(entry))
		case below && !validPath(prefix):
			return nil, fmt.Errorf("%s has a prefix that no repository can have: it is in lower case, and without a slash at its end", printable(entry))
		case from == host:
			return nil, fmt.Errorf("%s leads to itself", printable(entry))
		case mirrors[from] != mirror{}:
			return nil, fmt.Errorf("%s is the second mirror of %s: only one is asked", printable(entry), from)
		}
		mirrors[from] = mirror{host, prefix}
	}
	return mirrors, nil
}

// asked is the name that an image is asked for by. A mirror's is not looked up again.
func (m Mirrors) asked(canonical string) string {
	host, path, _ := strings.Cut(canonical, "/")
	to, found := m[hubHost(host)]
	switch {
	case !found:
		return canonical
	case to.prefix == "":
		return to.host + "/" + path
	}
	return to.host + "/" + to.prefix + "/" + path
}

// hubHost gives Docker Hub the one name that canonical images have.
func hubHost(host string) string {
	switch host {
	case "docker.io", "registry-1.docker.io":
		return dockerHub
	}
	return host
}

func validPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if !validComponent(part) {
			return false
		}
	}
	return true
}
