// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/pintle-dev/pintle/registry"
)

const (
	sha256Zero = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	sha256One  = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
)

var sha512Zero = "sha512:" + strings.Repeat("0", 128)

func TestSplitReference(t *testing.T) {
	for value, want := range map[string]registry.Reference{
		"podinfo":                                 {Name: "podinfo"},
		"podinfo:6.1.0":                           {Name: "podinfo", Tag: "6.1.0"},
		"library/nginx":                           {Name: "library/nginx"},
		"ghcr.io/acme/podinfo":                    {Name: "ghcr.io/acme/podinfo"},
		"ghcr.io/acme/podinfo:6.1.0":              {Name: "ghcr.io/acme/podinfo", Tag: "6.1.0"},
		"ghcr.io/acme/podinfo@" + sha256Zero:      {Name: "ghcr.io/acme/podinfo", Digest: sha256Zero},
		"ghcr.io/acme/podinfo:v1@" + sha256Zero:   {Name: "ghcr.io/acme/podinfo", Tag: "v1", Digest: sha256Zero},
		"podinfo:V_1.a-b@" + sha512Zero:           {Name: "podinfo", Tag: "V_1.a-b", Digest: sha512Zero},
		"localhost:5000/x":                        {Name: "localhost:5000/x"},
		"localhost:5000/x:1":                      {Name: "localhost:5000/x", Tag: "1"},
		"localhost:5000":                          {Name: "localhost", Tag: "5000"},
		"[::1]:5000/x:1":                          {Name: "[::1]:5000/x", Tag: "1"},
		"[fe80::1]/x":                             {Name: "[fe80::1]/x"},
		"10.0.0.1/a/b/c/d:1":                      {Name: "10.0.0.1/a/b/c/d", Tag: "1"},
		"GHCR.io/acme/x":                          {Name: "GHCR.io/acme/x"},
		"a.b/c__d/e---f/g.h/i_j:1":                {Name: "a.b/c__d/e---f/g.h/i_j", Tag: "1"},
		"x:" + strings.Repeat("a", 128):           {Name: "x", Tag: strings.Repeat("a", 128)},
		strings.Repeat("a", 255) + ":1":           {Name: strings.Repeat("a", 255), Tag: "1"},
		"registry.example.com:443/team/app:1.2.3": {Name: "registry.example.com:443/team/app", Tag: "1.2.3"},
	} {
		got, err := registry.SplitReference(value)
		if err != nil {
			t.Errorf("%s: %v", value, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", value, diff)
		}
		if got.String() != value {
			t.Errorf("%s is put together again as %s", value, got)
		}
	}
}

func TestSplitReferenceRefuses(t *testing.T) {
	for _, value := range []string{
		"", ":", "@", ":1", "@" + sha256Zero, "x:", "x@", "x@sha256:12", "x@" + sha256Zero + "0", "x@md5:00",
		"x@sha256:" + strings.Repeat("A", 64), "x:1@" + sha256Zero + "@" + sha256Zero,
		"X", "acme/Podinfo", "x/", "/x", "a//b", "a/../b", "..", ".", "-x", "x-", "_x", "a___b", "a..b", "a.-b", "a_.b",
		"x:.1", "x:-1", "x:a b", "x:a\nb", "x\n", " x", "x ", "x:1/y:2:3", "x:" + strings.Repeat("a", 129),
		"https://ghcr.io/acme/x", "user@ghcr.io/acme/x", "ghcr.io:0/x", "ghcr.io:99999/x", "ghcr.io:x/x", "ghcr.io:/x", "ghcr.io:+1/x",
		"-ghcr.io/x", "ghcr-.io/x", "ghcr..io/x", ".ghcr.io/x", "gh_cr.io/x", "[::1/x", "[]/x", "[zz]:1/x", "[::1]x/x", "${IMAGE}", "{{ .Values.image }}",
		"x:{{ tag }}", "ä", "x:ä", strings.Repeat("a", 256), "a:b:c", "x?y", "x#y", "x%41", "ghcr.io\\x",
	} {
		got, err := registry.SplitReference(value)
		var typed *registry.Error
		if !errors.As(err, &typed) || typed.Kind != registry.InvalidName {
			t.Errorf("%q: got %+v and %v, want an *Error of kind InvalidName", value, got, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "\n\r\t") {
			t.Errorf("%q: the message has more than a line: %q", value, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	for image, want := range map[string]string{
		"nginx":                         "index.docker.io/library/nginx",
		"library/nginx":                 "index.docker.io/library/nginx",
		"docker.io/nginx":               "index.docker.io/library/nginx",
		"docker.io/library/nginx":       "index.docker.io/library/nginx",
		"index.docker.io/nginx":         "index.docker.io/library/nginx",
		"index.docker.io/library/nginx": "index.docker.io/library/nginx",
		"acme/podinfo":                  "index.docker.io/acme/podinfo",
		"localhost/x":                   "localhost/x",
		"localhost:5000/x":              "localhost:5000/x",
		"ghcr.io/acme/podinfo":          "ghcr.io/acme/podinfo",
		"GHCR.io/acme/podinfo":          "ghcr.io/acme/podinfo",
		"[::1]:5000/x":                  "[::1]:5000/x",
	} {
		got, err := registry.Canonical(image)
		if err != nil || got != want {
			t.Errorf("Canonical(%q) = %q, %v, want %q", image, got, err, want)
		}
		theirs, err := name.NewRepository(strings.ToLower(image))
		if err != nil || theirs.Name() != got {
			t.Errorf("go-containerregistry calls %s %s (%v), not %s", image, theirs, err, got)
		}
	}
	for _, image := range []string{"nginx:1", "nginx@" + sha256Zero, "", "https://x.io/y"} {
		if got, err := registry.Canonical(image); err == nil {
			t.Errorf("Canonical(%q) = %q, want an error", image, got)
		}
	}
}

func TestMessagesOfReferencesHoldNoCredential(t *testing.T) {
	for _, value := range []string{
		"https://ann:s3cret@ghcr.io/acme/x", "ann:s3cret@ghcr.io/acme/x", "ann:s3cret@x@" + sha256Zero, "ann:s3cret@X",
	} {
		_, err := registry.SplitReference(value)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the message is %v", value, err)
		}
		if _, err := registry.Canonical(value); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the message is %v", value, err)
		}
	}
}

func FuzzSplitReference(f *testing.F) {
	for _, seed := range []string{"nginx", "a.b:1/c:d@" + sha256Zero, "[::1]:5/x", "ann:s3cret@x", "x:\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		ref, err := registry.SplitReference(value)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Fatalf("the message has control characters: %q", err)
			}
			return
		}
		if ref.String() != value {
			t.Fatalf("%q is put together again as %q", value, ref)
		}
		canonical, err := registry.Canonical(ref.Name)
		if err != nil {
			t.Fatalf("the name of %q: %v", value, err)
		}
		if again, err := registry.Canonical(canonical); err != nil || again != canonical {
			t.Fatalf("Canonical(%q) = %q, %v", canonical, again, err)
		}
		if _, err := name.NewRepository(canonical); err != nil {
			t.Fatalf("go-containerregistry refuses %q: %v", canonical, err)
		}
	})
}

func BenchmarkSplitReference(b *testing.B) {
	b.ReportAllocs()
	value := "ghcr.io/acme/podinfo:6.1.0@" + sha256Zero
	for b.Loop() {
		if _, err := registry.SplitReference(value); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := registry.Canonical("ghcr.io/acme/podinfo"); err != nil {
			b.Fatal(err)
		}
	}
}
