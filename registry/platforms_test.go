// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/registry"
)

func platformsOf(names ...string) images.Image {
	image := images.Image{Seed: strings.Join(names, " ")}
	for _, name := range names {
		image.Platforms = append(image.Platforms, images.Image{Platform: name})
	}
	return image
}

// Of an index its list counts, of a single image its configuration. Attestations are no
// platform, and a variant that is the usual one is as good as none.
func TestPlatforms(t *testing.T) {
	host := parts.Registry(t, parts.RegistryOptions{})
	pass := plainClient(host).Pass()
	for name, c := range map[string]struct {
		image images.Image
		want  []string
	}{
		"index":       {platformsOf("linux/amd64", "linux/arm64/v8", "linux/arm/v7", "linux/arm/v6", "windows/amd64"), []string{"linux/amd64", "linux/arm64", "linux/arm", "linux/arm/v6", "windows/amd64"}},
		"attestation": {platformsOf("linux/amd64", "unknown/unknown", "linux/s390x", "unknown/unknown"), []string{"linux/amd64", "linux/s390x"}},
		"twice":       {platformsOf("windows/amd64", "windows/amd64"), []string{"windows/amd64"}},
		"single":      {images.Image{Seed: "x", Platform: "linux/arm64/v8"}, []string{"linux/arm64"}},
		"odd":         {platformsOf("linux/amd64", "linux/\u001b[31m", "li nux/arm64"), []string{"linux/amd64"}},
	} {
		t.Run(name, func(t *testing.T) {
			digest := images.PushImage(t, host, "app", name, c.image)
			got, err := pass.Platforms(t.Context(), host+"/app", digest)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("platforms (-want +got):\n%s", diff)
			}
		})
	}
	_, err := pass.Platforms(t.Context(), host+"/app", "sha256:"+strings.Repeat("0", 64))
	wantError(t, err, registry.NotFound, "cannot read the platforms of")
}

// A digest is read once: not again in a later pass, nor by a process that has the folder.
func TestPlatformsAreReadOnce(t *testing.T) {
	f := newFake(t)
	index := images.PushImage(t, f.host, "app", "index", platformsOf("linux/amd64", "linux/arm64"))
	single := images.PushImage(t, f.host, "app", "single", images.Image{Seed: "y"})
	f.counts()
	folder := filepath.Join(t.TempDir(), "cache")
	for i, want := range []counts{{Ping: 1, Get: 2, Blob: 1}, {}, {}} {
		cache, err := registry.OpenCache(folder)
		if err != nil {
			t.Fatal(err)
		}
		client := registry.New(registry.Options{PlainHTTP: []string{f.host}, Keychain: anonymous{}, Cache: cache})
		for range 2 {
			pass := client.Pass()
			for digest, names := range map[string][]string{index: {"linux/amd64", "linux/arm64"}, single: {"linux/amd64"}} {
				got, err := pass.Platforms(t.Context(), f.host+"/app", digest)
				if diff := cmp.Diff(names, got); err != nil || diff != "" {
					t.Errorf("process %d: %v (-want +got):\n%s", i+1, err, diff)
				}
			}
		}
		if diff := cmp.Diff(want, f.counts()); diff != "" {
			t.Errorf("process %d: requests (-want +got):\n%s", i+1, diff)
		}
		if err := cache.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What a registry says under a digest is taken only if it has that digest.
func TestPlatformsOfAWrongDigest(t *testing.T) {
	f := newFake(t)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		_, _ = io.WriteString(w, `{"schemaVersion":2,"manifests":[{"platform":{"os":"linux","architecture":"arm64"}}]}`)
		return true
	}
	_, err := plainClient(f.host).Pass().Platforms(t.Context(), f.host+"/app", "sha256:"+strings.Repeat("0", 64))
	wantError(t, err, registry.NotRegistry, "the digest is wrong")
}

// When a digest was first seen outlives the process, by image; what is lost or from the
// future begins anew.
func TestFirstSeen(t *testing.T) {
	folder := t.TempDir()
	digest := "sha256:" + strings.Repeat("1", 64)
	begin := time.Date(2026, 1, 1, 12, 0, 0, 1, time.FixedZone("", 3600))
	seen := func(image string, now, want time.Time) {
		t.Helper()
		cache, err := registry.OpenCache(folder)
		if err != nil {
			t.Fatal(err)
		}
		if got, kept := cache.FirstSeen(image, digest, now); !kept || !got.Equal(want) {
			t.Errorf("%s at %s: first seen %s (kept: %v), want %s", image, now, got, kept, want)
		}
		if err := cache.Close(); err != nil {
			t.Fatal(err)
		}
		if _, kept := cache.FirstSeen(image, digest, now); kept {
			t.Error("a closed cache says that it keeps something")
		}
	}
	later := begin.Add(24 * time.Hour)
	seen("nginx", begin, begin)
	seen("docker.io/library/nginx", later, begin)
	seen("ghcr.io/acme/nginx", later, later)
	earlier := begin.Add(-time.Hour)
	seen("nginx", earlier, earlier)
	seen("nginx", later, earlier)

	taken, err := registry.OpenCache(folder)
	if err != nil {
		t.Fatal(err)
	}
	second, err := registry.OpenCache(folder)
	if err != nil {
		t.Fatal(err)
	}
	for name, cache := range map[string]*registry.Cache{"no cache": nil, "one in memory": {}, "a folder that another process has": second} {
		if _, kept := cache.FirstSeen("nginx", digest, later); kept {
			t.Errorf("%s: it says that it keeps what it saw", name)
		}
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
}

// What is no image for any platform has none: a look is to go on to the next candidate.
func TestPlatformsOfWhatIsNoImage(t *testing.T) {
	f := newFake(t)
	sum := func(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }
	config := []byte("not JSON")
	for name, manifest := range map[string]string{
		"a configuration of another kind": fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":"application/vnd.acme","digest":%q,"size":8}}`, sum(config)),
		"no configuration":                `{"schemaVersion":1,"name":"app"}`,
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(manifest)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				switch r.URL.Path {
				case "/v2/app/manifests/" + sum(body):
					_, _ = w.Write(body)
				case "/v2/app/blobs/" + sum(config):
					_, _ = io.Copy(w, bytes.NewReader(config))
				default:
					return false
				}
				return true
			}
			got, err := plainClient(f.host).Pass().Platforms(t.Context(), f.host+"/app", sum(body))
			if err != nil || len(got) > 0 {
				t.Errorf("got %v, %v; want none", got, err)
			}
		})
	}
}
