// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

const (
	// helperTimeout bounds Git's credential helpers, which may ask a keyring.
	helperTimeout = 10 * time.Second
	// maxPassword bounds a password file, in bytes.
	maxPassword = 64 << 10
)

// gitFlags say how to log in to Git.
type gitFlags struct{ username, passwordFile, keyFile, knownHosts string }

func (f *gitFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.username, "git-username", "", "user name for Git over HTTP(S)")
	flags.StringVar(&f.passwordFile, "git-password-file", "", "`file` with the password or token for Git over HTTP(S), or with the passphrase of --git-key-file")
	flags.StringVar(&f.keyFile, "git-key-file", "", "`file` with the private key for Git over SSH (default: the keys of the SSH agent)")
	flags.StringVar(&f.knownHosts, "git-known-hosts", "", "`file` with the keys of servers for Git over SSH (default: those that ssh reads)")
}

// gitAuth finds the credentials for a repository, and takes those that stand in
// its URL out of it, so that no message can show them. The flags come first,
// then the URL, then Git's credential helpers. Over SSH, keys log in.
func gitAuth(ctx context.Context, repo string, flags gitFlags) (string, mirror.Auth, error) {
	if mirror.OverSSH(repo) {
		auth, err := sshAuth(flags)
		return repo, auth, err
	}
	auth := mirror.Auth{Username: flags.username}
	if flags.passwordFile != "" {
		password, err := readPassword(flags.passwordFile)
		if err != nil {
			return "", auth, err
		}
		auth.Password = password
	}
	address, ok := webAddress(repo)
	if !ok {
		return repo, auth, nil
	}
	if user := address.User; user != nil {
		password, _ := user.Password()
		if auth.Username == "" {
			auth.Username = user.Username()
		}
		if auth.Password == "" && auth.Username == user.Username() {
			auth.Password = password
		}
		address.User = nil
	}
	switch {
	case auth.Password == "":
		auth = askHelpers(ctx, address, auth)
	case auth.Username == "":
		return "", auth, usageError{errors.New("--git-password-file needs --git-username: many forges take any name beside a token")}
	}
	return address.String(), auth, nil
}

// webAddress is false for a path, for other schemes, and for what the engine
// refuses without showing a password.
func webAddress(repo string) (*url.URL, bool) {
	address, err := url.Parse(repo)
	return address, err == nil && (address.Scheme == "http" || address.Scheme == "https")
}

// readPassword reads the first line of a file.
func readPassword(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read --git-password-file: %w", err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	content, err := io.ReadAll(io.LimitReader(file, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("cannot read --git-password-file: %w", err)
	}
	password, _, _ := strings.Cut(string(content), "\n")
	password = strings.TrimSuffix(password, "\r")
	if password == "" || len(content) > maxPassword {
		return "", fmt.Errorf("cannot use --git-password-file %s: its first line must hold the password", path)
	}
	return password, nil
}

// askHelpers asks `git credential fill` (gitcredentials(7)), which never
// prompts here. Without git, without a helper or with a slow one there are no
// credentials: the server says whether it wants some.
func askHelpers(ctx context.Context, address *url.URL, known mirror.Auth) mirror.Auth {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "git", "credential", "fill")
	command.WaitDelay = time.Second
	command.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0",
		// The folder that the command is run in may be somebody else's checkout:
		// its configuration names programs.
		"GIT_DIR="+os.DevNull)
	if _, set := os.LookupEnv("GIT_ASKPASS"); !set {
		command.Env = append(command.Env, "GIT_ASKPASS=") // no windows either
	}
	command.Stdin = strings.NewReader(credentialQuery(address, known.Username))
	answer, err := command.Output()
	if err != nil {
		return known
	}
	return parseCredential(answer, known)
}

// credentialQuery is the description that git-credential(1) reads.
func credentialQuery(address *url.URL, username string) string {
	query := "protocol=" + address.Scheme + "\nhost=" + address.Host + "\n"
	if path := strings.TrimPrefix(address.EscapedPath(), "/"); path != "" {
		query += "path=" + path + "\n"
	}
	if username != "" && !strings.ContainsAny(username, "\n\x00") {
		query += "username=" + username + "\n"
	}
	return query + "\n"
}

func parseCredential(answer []byte, known mirror.Auth) mirror.Auth {
	lines := bufio.NewScanner(bytes.NewReader(answer))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), "=")
		switch key {
		case "username":
			known.Username = value
		case "password":
			known.Password = value
		}
	}
	return known
}
