// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/registry"
)

var ann = login{"ann", secret}

// newPrivateFake serves HTTPS, as 127.0.0.1 and as localhost, with a certificate
// that only the pool trusts.
func newPrivateFake(t *testing.T, certificate tls.Certificate) *fake {
	t.Helper()
	f := &fake{}
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	f.host = server.Listener.Addr().String()
	return f
}

func newCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, pool
}

// A registry, its token service and what it redirects to, all signed for by an
// authority of their own.
func TestAnAuthorityOfItsOwn(t *testing.T) {
	certificate, pool := newCertificate(t)
	_, others := newCertificate(t)
	f, service, mirror := newPrivateFake(t, certificate), newPrivateFake(t, certificate), newPrivateFake(t, certificate)
	_, port, _ := net.SplitHostPort(service.host)
	b := &bearer{realm: "https://localhost:" + port + "/token"}
	ask := b.before(f)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/v2/moved/") {
			return redirect("https://"+mirror.host)(w, r)
		}
		return ask(w, r)
	}
	service.before, mirror.before = b.before(service), tagList("moved", `["1.0"]`)

	for _, wrong := range []*x509.CertPool{nil, others} {
		client := registry.New(registry.Options{Keychain: ann, RootCAs: wrong})
		_, err := client.Pass().Tags(t.Context(), f.host+"/x")
		wantError(t, err, registry.Unavailable, "the certificate of "+f.host+" is not trusted: no authority")
		if got := f.counts(); got != (counts{}) {
			t.Errorf("requests were sent: %+v", got)
		}
	}
	client := registry.New(registry.Options{Keychain: ann, RootCAs: pool})
	for _, image := range []string{"/x", "/moved"} {
		if tags, err := client.Pass().Tags(t.Context(), f.host+image); err != nil || len(tags) != 1 {
			t.Errorf("%s: got %v, %v", image, tags, err)
		}
	}
	if got := service.counts().Token; got != 2 {
		t.Errorf("the token service was asked %d times, want 2", got)
	}
}

// answers keeps what Observe is told.
type answers struct {
	mu   sync.Mutex
	said map[string][]int
}

func (a *answers) observe(host string, code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said == nil {
		a.said = map[string][]int{}
	}
	a.said[host] = append(a.said[host], code)
}

func TestEachAnswerIsObserved(t *testing.T) {
	certificate, pool := newCertificate(t)
	f, service := newPrivateFake(t, certificate), newPrivateFake(t, certificate)
	_, port, _ := net.SplitHostPort(service.host)
	b := &bearer{realm: "https://localhost:" + port + "/token"}
	ask := b.before(f)
	broken := true
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v2/dropped/"):
			panic(http.ErrAbortHandler)
		case strings.HasPrefix(r.URL.Path, "/v2/x/") && broken:
			broken = false
			http.Error(w, "", http.StatusServiceUnavailable)
			return true
		}
		return ask(w, r)
	}
	service.before = b.before(service)

	var got answers
	client := registry.New(registry.Options{Keychain: ann, RootCAs: pool, Observe: got.observe})
	pass := client.Pass()
	if _, err := pass.Tags(t.Context(), f.host+"/x"); err != nil {
		t.Error(err)
	}
	_, err := pass.Tags(t.Context(), f.host+"/dropped")
	wantError(t, err, registry.Unavailable)
	_, err = pass.Tags(t.Context(), "169.254.169.254/x") // nothing is sent
	wantError(t, err, registry.Unavailable)

	want := map[string][]int{f.host: {401, 200, 503, 200, 200, 0, 0}}
	if diff := cmp.Diff(want, got.said); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}
