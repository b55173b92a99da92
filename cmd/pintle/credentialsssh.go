// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

const (
	// maxKey bounds a file with a private key, in bytes.
	maxKey = 1 << 20
	// maxKnownHosts bounds a known_hosts file, in bytes.
	maxKnownHosts = 16 << 20
)

// sshAuth finds what logs in over SSH: the key of the flags, or else the agent's
// keys, and the known_hosts of the flags, or else those that ssh(1) reads. Nothing
// else of ssh's configuration counts.
func sshAuth(flags gitFlags) (auth mirror.Auth, err error) {
	if flags.username != "" {
		return auth, usageError{errors.New("--git-username is for HTTP(S): over SSH the user stands in the URL, as in ssh://git@git.example.com/acme/fleet.git")}
	}
	if flags.passwordFile != "" && flags.keyFile == "" {
		return auth, usageError{errors.New("--git-password-file holds the passphrase of --git-key-file over SSH: give both, or neither")}
	}
	if auth.SSH.KnownHosts, err = readKnownHosts(flags.knownHosts); err != nil {
		return auth, err
	}
	if flags.keyFile == "" {
		auth.SSH.Agent = os.Getenv("SSH_AUTH_SOCK")
		return auth, nil
	}
	if auth.SSH.PrivateKey, err = readFile(flags.keyFile, maxKey); err != nil {
		return auth, fmt.Errorf("cannot read --git-key-file: %w", err)
	}
	if flags.passwordFile != "" {
		auth.SSH.Passphrase, err = readPassword(flags.passwordFile)
	}
	return auth, err
}

// readKnownHosts reads a file, or without one those that ssh_config(5) names, of
// which any may be missing.
func readKnownHosts(file string) (string, error) {
	if file != "" {
		lines, err := readFile(file, maxKnownHosts)
		if err != nil {
			return "", fmt.Errorf("cannot read --git-known-hosts: %w", err)
		}
		return lines, nil
	}
	files := []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	if home, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(home, ".ssh", "known_hosts"), filepath.Join(home, ".ssh", "known_hosts2"))
	}
	var lines strings.Builder
	for _, file := range files {
		content, err := readFile(file, maxKnownHosts)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("cannot read the keys of servers: %w", err)
		}
		lines.WriteString(content + "\n")
	}
	return lines.String(), nil
}

func readFile(name string, limit int64) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // nothing was written
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return string(content), err
}
