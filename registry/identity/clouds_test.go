// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/pintle-dev/pintle/registry"
	"github.com/pintle-dev/pintle/registry/identity"
)

func newKeychain(t *testing.T, clouds ...string) authn.Keychain {
	t.Helper()
	vendors.requests()
	k, err := identity.New(clouds)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// look asks for the tags of an image as two accounts without a login do.
func look(t *testing.T, clients []*registry.Client, image string) {
	t.Helper()
	for _, client := range clients {
		tags, err := client.Pass().Tags(t.Context(), image)
		if err != nil || len(tags) != 1 {
			t.Errorf("got %v, %v", tags, err)
		}
	}
}

func twoClients(k authn.Keychain) []*registry.Client {
	var two []*registry.Client
	for range 2 {
		two = append(two, registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), Ambient: k, InCluster: true}))
	}
	return two
}

// An EC2 machine's role: its metadata service, ECR's API and the registry. The login
// is asked for once, and again before it ends, without a restart.
func TestECRByAnInstancesRole(t *testing.T) {
	for life, want := range map[time.Duration]int{12 * time.Hour: 1, time.Minute: 6} {
		t.Run(life.String(), func(t *testing.T) {
			metadata, api := instance(t), ecrAPI(t, "AKIDINSTANCE", life)
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
			t.Setenv("AWS_ENDPOINT_URL_ECR", api.url)
			clients := twoClients(newKeychain(t, "ecr"))
			for range 3 {
				look(t, clients, ecrRegistry+"/acme/app")
			}
			if got := api.count(""); got != want {
				t.Errorf("the API was asked %d times, want %d", got, want)
			}
			ping, list := ecrRegistry+" GET /v2/", ecrRegistry+" GET /v2/acme/app/tags/list"
			if diff := cmp.Diff([]string{ping, list, ping, list, list, list, list, list}, vendors.requests()); diff != "" {
				t.Errorf("requests to the registry (-want +got):\n%s", diff)
			}
		})
	}
}

// A pod's ServiceAccount on EKS: its token is given to STS for a role.
func TestECRByAWebIdentity(t *testing.T) {
	sts := newService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "pod-token" || r.FormValue("RoleArn") != "arn:aws:iam::1:role/puller" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKIDPOD</AccessKeyId>`+
			`<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	api := ecrAPI(t, "AKIDPOD", 12*time.Hour)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("pod-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_ROLE_ARN": "arn:aws:iam::1:role/puller", "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ENDPOINT_URL_STS": sts.url, "AWS_ENDPOINT_URL_ECR": api.url,
	} {
		t.Setenv(name, value)
	}
	look(t, twoClients(newKeychain(t, "ecr")), ecrRegistry+"/acme/app")
	if sts.count("") != 1 || api.count("") != 1 {
		t.Errorf("STS was asked %d times and the API %d times, want once each", sts.count(""), api.count(""))
	}
}

// A machine or a workload of Google Cloud: its metadata service and the registry.
func TestGoogleByTheMetadataService(t *testing.T) {
	metadata := newService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		if strings.HasSuffix(r.URL.Path, "/service-accounts/default/token") && r.Header.Get("Metadata-Flavor") == "Google" {
			_, _ = io.WriteString(w, `{"access_token":"google-token","expires_in":3599,"token_type":"Bearer"}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(metadata.url, "http://"))
	vendors.open(garRegistry, "oauth2accesstoken:google-token")
	clients := twoClients(newKeychain(t, "gar"))
	for range 2 {
		look(t, clients, garRegistry+"/project/acme/app")
	}
	if got := metadata.count("/computeMetadata/v1/instance/service-accounts/default/token"); got != 1 {
		t.Errorf("the metadata service was asked for %d tokens, want 1", got)
	}
	ping, token, list := garRegistry+" GET /v2/", garRegistry+" GET /v2/token", garRegistry+" GET /v2/project/acme/app/tags/list"
	if diff := cmp.Diff([]string{ping, token, list, ping, token, list, list, list}, vendors.requests()); diff != "" {
		t.Errorf("requests to the registry (-want +got):\n%s", diff)
	}
}

// A managed identity of Azure: its endpoint, the registry's exchange of tokens, and
// the registry.
func TestACRByAManagedIdentity(t *testing.T) {
	endpoint := newService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Identity-Header") != "header" || r.URL.Query().Get("resource") != "https://containerregistry.azure.net" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"entra-token","expires_on":"%d","resource":"https://containerregistry.azure.net","token_type":"Bearer"}`, time.Now().Add(time.Hour).Unix())
	})
	t.Setenv("IDENTITY_ENDPOINT", endpoint.url)
	t.Setenv("IDENTITY_HEADER", "header")
	clients := twoClients(newKeychain(t, "acr"))
	for range 2 {
		look(t, clients, acrRegistry+"/acme/app")
	}
	if got := endpoint.count(""); got != 1 {
		t.Errorf("the identity's endpoint was asked %d times, want once", got)
	}
	ping, exchange, token, list := acrRegistry+" GET /v2/", acrRegistry+" POST /oauth2/exchange", acrRegistry+" POST /oauth2/token", acrRegistry+" GET /v2/acme/app/tags/list"
	if diff := cmp.Diff([]string{ping, exchange, token, list, ping, token, list, list, list}, vendors.requests()); diff != "" {
		t.Errorf("requests to the registry (-want +got):\n%s", diff)
	}
}

// nobody is an address where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Outside of the clouds there is an answer soon, and it says what is missing.
func TestWhereThereIsNoIdentity(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+nobody(t))
	t.Setenv("GCE_METADATA_HOST", nobody(t))
	t.Setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://"+nobody(t))
	t.Setenv("AZURE_CLIENT_ID", "of-this-test") // its library remembers identities for the process
	for registryHost, says := range map[string]string{
		ecrRegistry: "Amazon ECR gives no login for " + ecrRegistry + " to this machine's identity, which `--cloud-identity ecr` asks for: ",
		garRegistry: "Google Artifact Registry gives no login for " + garRegistry + " to this machine's identity, which `--cloud-identity gar` asks for: ",
		acrRegistry: "Azure Container Registry gives no login for " + acrRegistry + " to this machine's identity, which `--cloud-identity acr` asks for: ",
	} {
		t.Run(registryHost, func(t *testing.T) {
			clients := twoClients(newKeychain(t, "ecr", "gar", "acr"))
			begun := time.Now()
			for _, client := range clients {
				_, err := client.Pass().Tags(t.Context(), registryHost+"/project/acme/app")
				failed, ok := errors.AsType[*registry.Error](err)
				if !ok || failed.Kind != registry.Unauthorized || !strings.Contains(err.Error(), says) {
					t.Errorf("got %v, want %q", err, says)
				}
			}
			t.Logf("it took %v", time.Since(begun))
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// The identity is there and may not: the cloud's own word is told, without its text.
func TestAnIdentityThatMayNot(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", instance(t).url)
	t.Setenv("AWS_ENDPOINT_URL_ECR", ecrAPI(t, "another", time.Hour).url)
	_, err := twoClients(newKeychain(t, "ecr"))[0].Pass().Tags(t.Context(), ecrRegistry+"/acme/app")
	if err == nil || !strings.HasSuffix(err.Error(), `AWS answers "AccessDeniedException"`) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

// Without the operator's word, no cloud is asked.
func TestOffUnlessTurnedOn(t *testing.T) {
	metadata, api := instance(t), ecrAPI(t, "AKIDINSTANCE", time.Hour)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.url)
	t.Setenv("AWS_ENDPOINT_URL_ECR", api.url)
	for _, ambient := range []authn.Keychain{nil, newKeychain(t, "gar", "acr")} {
		client := registry.New(registry.Options{Keychain: authn.NewMultiKeychain(), Ambient: ambient})
		_, err := client.Pass().Tags(t.Context(), ecrRegistry+"/acme/app")
		if failed, ok := errors.AsType[*registry.Error](err); !ok || failed.Kind != registry.Unauthorized {
			t.Errorf("got %v", err)
		}
	}
	if metadata.count("")+api.count("") != 0 {
		t.Error("a cloud was asked")
	}
}
