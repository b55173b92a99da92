// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// Whoever may name a Git repository names no service of the machine's own cloud with
// it, whichever way it is spelled.
func TestAddressesThatAreNeverAsked(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0"} {
		m, err := mirror.Open("http://"+host+"/latest/meta-data.git", "", mirror.Auth{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Tip(t.Context())
		wantKind(t, err, mirror.Unreachable, "which is never asked")
	}
}

// A name, or another server, leads nowhere that an address by itself would not.
func TestARedirectToAnAddressThatIsNeverAsked(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/fleet.git/info/refs?service=git-upload-pack", http.StatusFound))
	t.Cleanup(server.Close)
	m, err := mirror.Open(server.URL+"/fleet.git", "", mirror.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Tip(t.Context())
	wantKind(t, err, mirror.Unreachable, "which is never asked")
}

// With a proxy, nothing is dialled but the proxy: it is not asked for such an address.
func TestAProxyIsNotAskedForIt(t *testing.T) {
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(proxy.Close)
	m, err := mirror.Open("http://169.254.169.254/fleet.git", "", mirror.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	mirror.UseProxy(m, proxy.URL)
	_, err = m.Tip(t.Context())
	wantKind(t, err, mirror.Unreachable, "which is never asked")
	select {
	case url := <-asked:
		t.Errorf("the proxy was asked for %s", url)
	default:
	}
}

// A Git server at a private address is an ordinary one.
func TestPrivateAddressesAreAsked(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	host, _, _ := strings.Cut(strings.TrimPrefix(repo.URL, "http://"), "/")
	if address, _, err := net.SplitHostPort(host); err != nil || !net.ParseIP(address).IsLoopback() {
		t.Fatalf("the server is at %s, want a loopback address", host)
	}
	fetch(t, open(t, repo.URL))
}
