// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// publicKey is "kind base64" of a new key, without its comment.
func publicKey(t *testing.T, kind string) string {
	t.Helper()
	content, err := os.ReadFile(gitserver.NewKey(t, kind, "") + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(content), " test\n")
}

// hashed is a line of known_hosts whose names ssh-keygen has hidden.
func hashed(t *testing.T, line string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	gitserver.Keygen(t, "-H", "-f", file)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(content), "|1|") {
		t.Fatalf("the line is not hashed: %s", content)
	}
	return string(content)
}

// TestKnownNames has ssh-keygen, which reads known_hosts as ssh does, as the judge.
func TestKnownNames(t *testing.T) {
	key := publicKey(t, "ed25519")
	for name, c := range map[string]struct {
		line string
		fits []string // host:port
		not  []string
	}{
		"a host":             {"git.example.com " + key, []string{"git.example.com:22", "GIT.example.com:22"}, []string{"example.com:22", "agit.example.com:22"}},
		"in upper case":      {"Git.Example.com " + key, []string{"git.example.com:22"}, nil},
		"a port":             {"[git.example.com]:2222 " + key, []string{"git.example.com:2222"}, []string{"git.example.com:22", "git.example.com:222"}},
		"several":            {"a.example,[b.example]:7,10.0.0.1 " + key, []string{"a.example:22", "b.example:7", "10.0.0.1:22"}, []string{"b.example:22"}},
		"a wildcard":         {"*.example.com " + key, []string{"a.example.com:22", "a.b.example.com:22"}, []string{"example.com:22"}},
		"a question mark":    {"g?t.example " + key, []string{"git.example:22"}, []string{"gt.example:22"}},
		"all but one":        {"!evil.example.com,*.example.com " + key, []string{"a.example.com:22"}, []string{"evil.example.com:22"}},
		"a wildcard, a port": {"[*.example.com]:2222 " + key, []string{"a.example.com:2222"}, []string{"a.example.com:22", "e:2222"}},
		"hashed":             {hashed(t, "git.example.com "+key), []string{"git.example.com:22"}, []string{"other.example.com:22"}},
		"hashed with a port": {hashed(t, "[git.example.com]:2222 "+key), []string{"git.example.com:2222"}, []string{"git.example.com:22"}},
		"IPv6":               {"[2001:db8::1]:2222 " + key, []string{"2001:db8::1:2222"}, []string{"2001:db8::2:2222"}},
		"a comment":          {"git.example.com " + key + " of the old machine, see ticket", []string{"git.example.com:22"}, nil},
		"no comment":         {"# git.example.com " + key, nil, []string{"git.example.com:22"}},
		"a broken key":       {"git.example.com ssh-ed25519 AAAA", nil, []string{"git.example.com:22"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "known_hosts")
			if err := os.WriteFile(file, []byte(c.line+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			check := func(address string, want bool) {
				i := strings.LastIndexByte(address, ':')
				host, port := address[:i], address[i+1:]
				if got := len(parseKnownHosts(c.line).of(host, port)) == 1; got != want {
					t.Errorf("%s fits: %v, want %v", address, got, want)
				}
				asked := strings.ToLower(host)
				if port != sshPort {
					asked = "[" + asked + "]:" + port
				}
				err := exec.CommandContext(t.Context(), "ssh-keygen", "-F", asked, "-f", file).Run()
				if name != "a broken key" && (err == nil) != want {
					t.Errorf("ssh-keygen finds %s: %v, want %v", asked, err == nil, want)
				}
			}
			for _, address := range c.fits {
				check(address, true)
			}
			for _, address := range c.not {
				check(address, false)
			}
		})
	}
}

// A key of the host counts for its other ports, unless there is one for the port.
func TestKnownWithoutThePort(t *testing.T) {
	host, port := publicKey(t, "ed25519"), publicKey(t, "ecdsa")
	known := parseKnownHosts("git.example.com " + host + "\n")
	if got := known.of("git.example.com", "2222"); len(got) != 1 {
		t.Errorf("%d keys are known, want that of the host", len(got))
	}
	known = append(known, parseKnownHosts("[git.example.com]:2222 "+port)...)
	if got := known.of("git.example.com", "2222"); len(got) != 1 || got[0].key.Type() != ssh.KeyAlgoECDSA256 {
		t.Errorf("%v is known, want the key of the port alone", got)
	}
}

func TestAlgorithms(t *testing.T) {
	ed25519, ecdsa, rsa := "h "+publicKey(t, "ed25519")+"\n", "h "+publicKey(t, "ecdsa")+"\n", "h "+publicKey(t, "rsa")+"\n"
	certificates := []string{ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01, ssh.CertAlgoED25519v01}
	for name, c := range map[string]struct {
		lines string
		want  []string
	}{
		"none":             {"", nil},
		"one":              {ed25519, []string{ssh.KeyAlgoED25519}},
		"two":              {ed25519 + ecdsa, []string{ssh.KeyAlgoECDSA256, ssh.KeyAlgoED25519}},
		"RSA without SHA1": {rsa, []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}},
		"revoked":          {"@revoked " + ed25519, nil},
		"an authority":     {"@cert-authority " + ed25519, certificates},
		"another marker":   {"@trusted " + ed25519, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, parseKnownHosts(c.lines).algorithms()); diff != "" {
				t.Errorf("algorithms (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseSSH(t *testing.T) {
	for repo, c := range map[string]struct {
		want  sshAddress
		wrong string
	}{
		"ssh://git@example.com/acme/fleet.git":     {want: sshAddress{"git", "example.com", "22", "/acme/fleet.git"}},
		"ssh://example.com:2222/fleet":             {want: sshAddress{"", "example.com", "2222", "/fleet"}},
		"ssh://git@[2001:db8::1]:2222/fleet":       {want: sshAddress{"git", "2001:db8::1", "2222", "/fleet"}},
		"ssh://ada@example.com/~ada/a%20b!'c":      {want: sshAddress{"ada", "example.com", "22", "~ada/a b!'c"}},
		"git@example.com:acme/fleet.git":           {want: sshAddress{"git", "example.com", "22", "acme/fleet.git"}},
		"git@[2001:db8::1]:acme/fleet.git":         {want: sshAddress{"git", "2001:db8::1", "22", "acme/fleet.git"}},
		"ssh://ada:hunter2@example.com/fleet":      {wrong: "a password"},
		"ssh://ada:hunter2@exa mple.com/%zz":       {wrong: "malformed"},
		"ssh://git@/fleet":                         {wrong: "no host"},
		"ssh://git@example.com":                    {wrong: "no repository"},
		"git@example.com:":                         {wrong: "no repository"},
		"git@example.com:--upload-pack=touch /tmp": {wrong: "no repository"},
	} {
		t.Run(repo, func(t *testing.T) {
			if !OverSSH(repo) {
				t.Fatal("it is not taken for one over SSH")
			}
			got, name, err := parseSSH(repo)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(name+err.Error(), "hunter2") {
					t.Fatalf("got %v of %q, want %q and no password", err, name, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(sshAddress{})); diff != "" {
				t.Errorf("address (-want +got):\n%s", diff)
			}
			if name != repo {
				t.Errorf("its name is %q", name)
			}
		})
	}
	for _, repo := range []string{"https://git@example.com/x", "../fleet", "/srv/a@b:c", "fleet", `C:\fleet`, "file:///a@b:c", "./git@example.com:x"} {
		if OverSSH(repo) {
			t.Errorf("%s is taken for one over SSH", repo)
		}
	}
}
