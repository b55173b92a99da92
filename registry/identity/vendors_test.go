// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	ecrRegistry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	garRegistry = "europe-docker.pkg.dev"
	acrRegistry = "contoso.azurecr.io"
)

// vendors stands for all of the internet: a proxy leads each connection to it. The
// registries are there under their own names, and each takes the newest login alone.
var vendors = &internet{}

type internet struct {
	mu    sync.Mutex
	asked []string          // "HOST METHOD PATH" of registries
	basic map[string]string // by registry: the user:password that opens it
}

func (i *internet) open(host, basic string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.basic == nil {
		i.basic = map[string]string{}
	}
	i.basic[host] = basic
}

// requests gives those since the last call.
func (i *internet) requests() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	asked := i.asked
	i.asked = nil
	return asked
}

func (i *internet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, r.Host+" "+r.Method+" "+r.URL.Path)
	user, password, _ := r.BasicAuth()
	opened := user+":"+password == i.basic[r.Host] && i.basic[r.Host] != ""
	switch {
	case r.URL.Path == "/v2/token" && opened: // of Google
		_, _ = fmt.Fprintf(w, `{"token":"registry-token","expires_in":300}`)
	case r.URL.Path == "/oauth2/exchange" && r.FormValue("access_token") == "entra-token" && r.FormValue("service") == r.Host:
		_, _ = fmt.Fprint(w, `{"refresh_token":"acr-refresh-token"}`)
	case r.URL.Path == "/oauth2/token" && r.FormValue("refresh_token") == "acr-refresh-token" && r.FormValue("grant_type") == "refresh_token":
		_, _ = fmt.Fprint(w, `{"access_token":"registry-token"}`)
	case r.URL.Path != "/v2/" && (opened && strings.Contains(r.Host, "amazonaws") || r.Header.Get("Authorization") == "Bearer registry-token"):
		repository := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list")
		_, _ = fmt.Fprintf(w, `{"name":%q,"tags":["1.0"]}`, repository)
	default:
		w.Header().Set("WWW-Authenticate", map[string]string{
			ecrRegistry: `Basic realm="https://` + ecrRegistry + `/",service="ecr.amazonaws.com"`,
			garRegistry: `Bearer realm="https://` + garRegistry + `/v2/token",service="` + garRegistry + `"`,
			acrRegistry: `Bearer realm="https://` + acrRegistry + `/oauth2/token",service="` + acrRegistry + `"`,
		}[r.Host])
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// TestMain leads all HTTPS of the process to vendors, and gives it an empty environment
// as far as clouds go.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "pintle-identity-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	server, authority, err := serve(vendors)
	if err != nil {
		log.Print(err)
		return 1
	}
	defer server.Close()
	proxy := httptest.NewServer(leadTo(server.Listener.Addr().String()))
	defer proxy.Close()
	file := filepath.Join(folder, "ca.pem")
	err = os.WriteFile(file, authority, 0o600)
	for name, value := range map[string]string{
		"SSL_CERT_FILE": file, "HTTPS_PROXY": proxy.URL, "NO_PROXY": "", "HTTP_PROXY": "", "http_proxy": "", "https_proxy": "", "no_proxy": "",
		"HOME": folder, "PATH": folder, "KUBERNETES_SERVICE_HOST": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "",
		"GOOGLE_APPLICATION_CREDENTIALS": "",
	} {
		err = errors.Join(err, os.Setenv(name, value))
	}
	if err != nil {
		log.Print(err)
		return 1
	}
	return m.Run()
}

// serve serves HTTPS under the names of the vendors' registries.
func serve(handler http.Handler) (*httptest.Server, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{ecrRegistry, garRegistry, acrRegistry},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	server.StartTLS()
	return server, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), nil
}

// leadTo is a proxy that connects to one address, whatever it is asked for.
func leadTo(address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		there, err := net.Dial("tcp", address)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			_ = there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connected\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		go func() { _, _ = io.Copy(here, there); _ = here.Close() }()
	})
}

// service is a vendor's service over plain HTTP on this machine, as the environment
// variables of its library name it.
type service struct {
	url string

	mu    sync.Mutex
	asked []string
}

func newService(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *service {
	t.Helper()
	s := &service{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// count says how many requests there were with this path, or all for "".
func (s *service) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.asked), func(asked string) bool { return path != "" && !strings.HasSuffix(asked, " "+path) }))
}

// instance is an EC2 machine's metadata service, of version 2.
func instance(t *testing.T) *service {
	t.Helper()
	return newService(t, func(w http.ResponseWriter, r *http.Request) {
		const roles = "/latest/meta-data/iam/security-credentials/"
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = io.WriteString(w, "imds-token")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "imds-token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == roles:
			_, _ = io.WriteString(w, "puller")
		case r.URL.Path == roles+"puller":
			_, _ = fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"AKIDINSTANCE","SecretAccessKey":"s","Token":"t","Expiration":%q}`,
				time.Now().Add(6*time.Hour).UTC().Format(time.RFC3339))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

// ecrAPI gives a new login for each request that is signed with the access key.
func ecrAPI(t *testing.T, accessKey string, life time.Duration) *service {
	t.Helper()
	n := 0
	return newService(t, func(w http.ResponseWriter, r *http.Request) {
		signed := strings.Contains(r.Header.Get("Authorization"), "Credential="+accessKey+"/") && strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/ecr/")
		if !signed || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetAuthorizationToken") {
			w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"s3cret"}`)
			return
		}
		n++
		login := fmt.Sprintf("AWS:ecr-login-%d", n)
		vendors.open(ecrRegistry, login)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = fmt.Fprintf(w, `{"authorizationData":[{"authorizationToken":%q,"expiresAt":%d,"proxyEndpoint":"https://%s"}]}`,
			base64.StdEncoding.EncodeToString([]byte(login)), time.Now().Add(life).Unix(), ecrRegistry)
	})
}
