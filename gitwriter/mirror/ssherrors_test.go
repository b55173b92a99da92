// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// newKey is a private key that no server knows.
func newKey(t *testing.T, kind, passphrase string, args ...string) string {
	t.Helper()
	return content(t, gitserver.NewKey(t, kind, passphrase, args...))
}

func TestErrorsOverSSH(t *testing.T) {
	server, readOnly := gitserver.NewSSH(t, gitserver.Options{}), gitserver.NewSSH(t, gitserver.Options{ReadOnly: true})
	repo, guarded, empty, fixed := server.Create("fleet"), server.Create("guarded"), server.Create("empty"), readOnly.Create("fleet")
	for _, r := range []gitserver.Repo{repo, guarded, fixed} {
		r.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	}
	guarded.Hook(t, "pre-receive", "echo 'main is protected' >&2\nexit 1\n")
	ed25519, ecdsa := server.KnownHosts[0], server.KnownHosts[1]
	other := server.KnownHost(strings.TrimSpace(content(t, gitserver.NewKey(t, "ed25519", "")+".pub")))
	otherRSA := server.KnownHost(content(t, gitserver.NewKey(t, "rsa", "")+".pub"))
	withPassphrase := newKey(t, "ed25519", "s3cret")

	for name, c := range map[string]struct {
		repo string // empty: the fleet's
		ssh  mirror.SSH
		kind mirror.Kind
		says []string
	}{
		"no known_hosts":  {"", mirror.SSH{PrivateKey: server.PrivateKey}, mirror.HostKeyUnknown, []string{"known_hosts has no key of the server " + server.Host + ":" + server.Port, "`ssh-keyscan -p " + server.Port + " " + server.Host + "`", "owner publishes"}},
		"another host":    {"", mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: strings.Replace(ed25519, server.Host, "10.0.0.1", 1)}, mirror.HostKeyUnknown, []string{"ssh-keyscan"}},
		"another key":     {"", mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: other}, mirror.HostKeyChanged, []string{"ssh-ed25519 SHA256:", "another is known", "somebody may be in between"}},
		"another kind":    {"", mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: otherRSA}, mirror.HostKeyChanged, []string{"none of the kinds of keys", "ssh-ed25519"}},
		"a revoked key":   {"", mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: ed25519 + "@revoked * " + afterHost(ed25519)}, mirror.HostKeyChanged, []string{"it is revoked"}},
		"all are revoked": {"", mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: "@revoked " + ed25519 + "@revoked " + ecdsa}, mirror.HostKeyUnknown, []string{"no key"}},
		"no key":          {"", mirror.SSH{KnownHosts: ed25519}, mirror.Unauthorized, []string{"no key to log in with", "--git-key-file", "ssh-add"}},
		"a wrong key":     {"", mirror.SSH{PrivateKey: newKey(t, "ed25519", ""), KnownHosts: ed25519}, mirror.Unauthorized, []string{"none of the keys for the user " + server.User}},
		"no PEM":          {"", mirror.SSH{PrivateKey: "s3cret", KnownHosts: ed25519}, mirror.Unauthorized, []string{"the private key can't be read"}},
		"no passphrase":   {"", mirror.SSH{PrivateKey: withPassphrase, KnownHosts: ed25519}, mirror.Unauthorized, []string{"has a passphrase, which is missing"}},
		"another one":     {"", mirror.SSH{PrivateKey: withPassphrase, Passphrase: "r0tated", KnownHosts: ed25519}, mirror.Unauthorized, []string{"the passphrase does not open"}},
		"no agent":        {"", mirror.SSH{Agent: filepath.Join(t.TempDir(), "none"), KnownHosts: ed25519}, mirror.Unauthorized, []string{"the SSH agent gives no answer"}},
		"no repository":   {strings.Replace(repo.URL, "fleet", "none", 1), mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: ed25519}, mirror.NotFound, []string{"not appear to be a git repository"}},
		"empty":           {empty.URL, mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: ed25519}, mirror.NoBranch, []string{"empty"}},
		"protected":       {guarded.URL, mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: ed25519}, mirror.Rejected, []string{"main is protected"}},
		"read-only":       {fixed.URL, mirror.SSH{PrivateKey: readOnly.PrivateKey, KnownHosts: readOnly.KnownHosts[0]}, mirror.Forbidden, []string{"cannot push to " + fixed.URL, "marked as read only"}},
		"no server":       {"ssh://git@127.0.0.1:1/x", mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: "[127.0.0.1]:1 " + afterHost(ed25519)}, mirror.Unreachable, []string{"cannot read ssh://git@127.0.0.1:1/x", "refused"}},
		"a password":      {strings.Replace(repo.URL, "@", ":s3cret@", 1), mirror.SSH{}, mirror.NotFound, []string{"a password, which is of no use"}},
	} {
		t.Run(name, func(t *testing.T) {
			address := c.repo
			if address == "" {
				address = repo.URL
			}
			err := writeTo(t.Context(), address, "", mirror.Auth{SSH: c.ssh})
			for _, says := range c.says {
				wantKind(t, err, c.kind, says)
			}
			if known, ok := errors.AsType[*mirror.Error](err); ok && c.ssh.PrivateKey != "" && strings.Contains(fmt.Sprintf("%+v %#v", err, known.Err), "PRIVATE KEY") {
				t.Errorf("the message tells the key: %v", err)
			}
		})
	}
	sessionsEnd(t)
}

// afterHost is a line of known_hosts without its names.
func afterHost(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	return rest
}

// TestKeysThatLogIn: what ssh-keygen and openssl write, and an agent.
func TestKeysThatLogIn(t *testing.T) {
	for name, c := range map[string]struct {
		kind, passphrase string
		args             []string
	}{
		"OpenSSH":                 {"ed25519", "", nil},
		"OpenSSH, passphrase":     {"ed25519", "s3cret", nil},
		"RSA":                     {"rsa", "", nil},
		"ECDSA":                   {"ecdsa", "", nil},
		"RSA in PEM":              {"rsa", "", []string{"-m", "PEM"}},
		"RSA in PEM, passphrase":  {"rsa", "s3cret", []string{"-m", "PEM"}},
		"ECDSA in PKCS8":          {"ecdsa", "", []string{"-m", "PKCS8"}},
		"a passphrase too many":   {"ed25519", "", nil},
		"end of line in the file": {"ed25519", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := gitserver.NewSSH(t, gitserver.Options{})
			repo := server.Create("fleet")
			repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
			file := gitserver.NewKey(t, c.kind, c.passphrase, c.args...)
			server.Allow(file)
			auth := sshAuth(server)
			auth.SSH.PrivateKey, auth.SSH.Passphrase = content(t, file), c.passphrase
			switch name {
			case "a passphrase too many":
				auth.SSH.Passphrase = "s3cret"
			case "end of line in the file":
				auth.SSH.PrivateKey += "\n\n"
			}
			m, err := mirror.Open(repo.URL, "", auth)
			if err != nil {
				t.Fatal(err)
			}
			fetch(t, m)
			mirror.HangUp(m)
		})
	}
}

// startAgent runs ssh-agent with these keys, and returns its socket.
func startAgent(t *testing.T, keys ...string) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	command := exec.CommandContext(t.Context(), "ssh-agent", "-D", "-a", socket)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", socket); err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the agent does not listen")
		}
	}
	for _, key := range keys {
		add := exec.CommandContext(t.Context(), "ssh-add", "-q", key)
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		if output, err := add.CombinedOutput(); err != nil {
			t.Fatalf("ssh-add: %v: %s", err, output)
		}
	}
	return socket
}

func TestAnAgentLogsIn(t *testing.T) {
	server := gitserver.NewSSH(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	auth := mirror.Auth{SSH: mirror.SSH{Agent: startAgent(t, gitserver.NewKey(t, "rsa", ""), server.KeyFile), KnownHosts: server.KnownHosts[0]}}
	if err := writeTo(t.Context(), repo.URL, "", auth); err != nil {
		t.Error(err)
	}
	auth.SSH.Agent = startAgent(t)
	wantKind(t, writeTo(t.Context(), repo.URL, "", auth), mirror.Unauthorized, "the SSH agent has no keys")
}

// TestTheKnownKeyIsAskedFor: the server has several, and would show one that is
// not known if it were asked for any.
func TestTheKnownKeyIsAskedFor(t *testing.T) {
	server := gitserver.NewSSH(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	for i, line := range server.KnownHosts {
		auth := sshAuth(server)
		auth.SSH.KnownHosts = line
		if err := writeTo(t.Context(), repo.URL, "", auth); err != nil {
			t.Errorf("known key %d: %v", i, err)
		}
	}
}

// TestHostCertificates: a certificate of an authority is a known key, and only for
// the names that it has.
func TestHostCertificates(t *testing.T) {
	ca, otherCA := gitserver.NewKey(t, "ed25519", ""), gitserver.NewKey(t, "ed25519", "")
	for name, c := range map[string]struct {
		principal, lines string
		says             string // empty: it is taken
	}{
		"an authority's":    {"127.0.0.1", "@cert-authority * " + content(t, ca+".pub"), ""},
		"for another name":  {"example.com", "@cert-authority * " + content(t, ca+".pub"), "principal"},
		"another authority": {"127.0.0.1", "@cert-authority * " + content(t, otherCA+".pub"), "no authorities"},
		"a revoked one":     {"127.0.0.1", "@cert-authority * " + content(t, ca+".pub") + "@revoked * " + content(t, ca+".pub"), "revoked"},
		"of another host":   {"127.0.0.1", "@cert-authority *.example.com " + content(t, ca+".pub"), "no key of the server"},
	} {
		t.Run(name, func(t *testing.T) {
			server := gitserver.NewSSH(t, gitserver.Options{HostAuthority: ca, HostPrincipal: c.principal})
			repo := server.Create("fleet")
			repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
			auth := sshAuth(server)
			auth.SSH.KnownHosts = c.lines
			err := writeTo(t.Context(), repo.URL, "", auth)
			if c.says == "" && err != nil {
				t.Error(err)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// TestSilentServers: one that takes the connection and says nothing, and one that
// goes on and on.
func TestSilentServers(t *testing.T) {
	for name, c := range map[string]struct{ scheme, start, drip string }{
		"silent SSH":            {"ssh", "", ""},
		"SSH without a version": {"ssh", "", "x\n"},
		"SSH with a version":    {"ssh", "SSH-2.0-drip\r\n", ""},
		"silent HTTP":           {"http", "", ""},
		"HTTP, headers":         {"http", "HTTP/1.1 200 OK\r\n", "A: b\r\n"},
		"HTTP, an answer":       {"http", "HTTP/1.1 200 OK\r\n\r\n0fff", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, c.start, c.drip)
			host, port, _ := strings.Cut(address, ":")
			known := fmt.Sprintf("[%s]:%s %s", host, port, content(t, gitserver.NewKey(t, "ed25519", "")+".pub"))
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			auth := mirror.Auth{SSH: mirror.SSH{PrivateKey: newKey(t, "ed25519", ""), KnownHosts: known}}
			wantKind(t, writeTo(ctx, c.scheme+"://git@"+address+"/fleet", "", auth), mirror.Unreachable, "no answer in time")
			sessionsEnd(t)
		})
	}
}

// listen takes connections, and writes start to each, then drip again and again.
func listen(t *testing.T, start, drip string) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if strings.HasPrefix(start, "HTTP") {
					_, _ = conn.Read(make([]byte, 1024)) // an answer comes after the request
				}
				for text := start; t.Context().Err() == nil; text = drip {
					if _, err := conn.Write([]byte(text)); err != nil {
						return
					}
					select {
					case <-t.Context().Done():
					case <-time.After(10 * time.Millisecond):
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}
