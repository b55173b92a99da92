// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

const (
	sshPort = "22"
	// sshUser is who logs in where the URL names nobody, as forges want it.
	sshUser = "git"
)

// sshAddress is where a repository is that is reached over SSH.
type sshAddress struct{ user, host, port, path string }

func (a sshAddress) hostPort() string { return net.JoinHostPort(a.host, a.port) }

// OverSSH tells whether a repository is reached over SSH: ssh://user@host:port/path,
// or user@host:path.
func OverSSH(repo string) bool {
	if scheme, _, ok := strings.Cut(repo, "://"); ok {
		return strings.EqualFold(scheme, "ssh")
	}
	user, _, ok := strings.Cut(repo, "@")
	return ok && !strings.ContainsAny(user, "/:") && splitShort(repo) > 0
}

// URL reads a repository's URL. That of user@host:path begins with ssh://.
func URL(repo string) (*url.URL, error) {
	if OverSSH(repo) && !strings.Contains(repo, "://") {
		colon := splitShort(repo)
		repo = "ssh://" + repo[:colon] + "/" + strings.TrimPrefix(repo[colon+1:], "/")
	}
	return url.Parse(repo)
}

// splitShort is the place of the colon between host and path in user@host:path.
// An IPv6 address stands in brackets.
func splitShort(repo string) int {
	end := strings.IndexByte(repo, ']') + 1
	colon := strings.IndexByte(repo[end:], ':')
	if colon < 0 || strings.Contains(repo[:end+colon], "/") {
		return -1
	}
	return end + colon
}

// parseSSH reads both forms, and gives a name without a password. No error
// repeats the text: it may hold one.
func parseSSH(repo string) (address sshAddress, name string, err error) {
	if !strings.Contains(repo, "://") {
		colon := splitShort(repo)
		user, host, _ := strings.Cut(repo[:colon], "@")
		address, name = sshAddress{user, strings.Trim(host, "[]"), sshPort, repo[colon+1:]}, repo
	} else {
		u, err := url.Parse(repo)
		if err != nil {
			return address, "ssh://…", errors.New("the URL is malformed")
		}
		address = sshAddress{u.User.Username(), u.Hostname(), u.Port(), u.Path}
		if address.port == "" {
			address.port = sshPort
		}
		if _, set := u.User.Password(); set {
			u.User = url.User(address.user)
			err = errors.New("its URL holds a password, which is of no use: keys log in over SSH")
		}
		if name = u.String(); err != nil {
			return address, name, err
		}
	}
	if strings.HasPrefix(address.path, "/~") {
		address.path = address.path[1:] // somebody's home, as git has it
	}
	switch {
	case address.host == "":
		return address, name, errors.New("the URL names no host")
	case strings.Trim(address.path, "/") == "" || strings.HasPrefix(address.path, "-"):
		// A path like an option could be taken for one.
		return address, name, errors.New("the URL names no repository")
	}
	return address, name, nil
}
