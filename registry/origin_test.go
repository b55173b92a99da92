// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/registry"
)

// said are annotations or labels about an origin.
func said(source, revision string) map[string]string {
	return map[string]string{"org.opencontainers.image.source": source, "org.opencontainers.image.revision": revision, "org.opencontainers.image.version": "1.2.3", "other": "x"}
}

// TestOrigin: where it is found, and what that costs. A second pass asks nothing.
func TestOrigin(t *testing.T) {
	const source = "https://github.com/acme/app"
	cases := map[string]struct {
		image images.Image
		want  registry.Origin
		cost  counts
	}{
		"the manifest's annotations": {images.Image{Annotations: said(source, "a"), Labels: said("no", "no")}, registry.Origin{source, "a", "1.2.3"}, counts{Ping: 1, Get: 1}},
		"the configuration's labels": {images.Image{Labels: said(source, "b")}, registry.Origin{source, "b", "1.2.3"}, counts{Ping: 1, Get: 1, Blob: 1}},
		"the index's annotations": {images.Image{Annotations: said(source, "c"), Platforms: []images.Image{{Platform: "linux/amd64", Annotations: said("no", "no")}}},
			registry.Origin{source, "c", "1.2.3"}, counts{Ping: 1, Get: 1}},
		"the annotations of linux/amd64": {images.Image{Platforms: []images.Image{{Platform: "linux/arm64", Annotations: said("no", "no")}, {Platform: "linux/amd64", Annotations: said(source, "d")}}},
			registry.Origin{source, "d", "1.2.3"}, counts{Ping: 1, Get: 2}},
		"the labels below an index": {images.Image{Platforms: []images.Image{{Platform: "linux/amd64", Labels: said(source, "e")}}}, registry.Origin{source, "e", "1.2.3"}, counts{Ping: 1, Get: 2, Blob: 1}},
		"nothing":                   {images.Image{}, registry.Origin{}, counts{Ping: 1, Get: 1, Blob: 1}},
		"too long":                  {images.Image{Labels: said(source+strings.Repeat("a", 1000), "f")}, registry.Origin{Revision: "f", Version: "1.2.3"}, counts{Ping: 1, Get: 1, Blob: 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			c.image.Seed = name
			digest := images.PushImage(t, f.host, "app", "1", c.image)
			client := plainClient(f.host)
			if _, known := client.Pass().KnownOrigin(digest); known {
				t.Error("it is known before somebody asked")
			}
			f.counts()
			for range 2 {
				got, err := client.Pass().Origin(t.Context(), f.host+"/app", digest)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("origin (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(c.cost, f.counts()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if known, ok := client.Pass().KnownOrigin(digest); !ok || known != c.want {
				t.Errorf("it is known to be %v, %v", known, ok)
			}
		})
	}
}

func TestOriginOfWhatIsNotThere(t *testing.T) {
	f := newFake(t)
	images.Push(t, f.host, "app", "1", "1")
	_, err := plainClient(f.host).Pass().Origin(t.Context(), f.host+"/app", "sha256:"+strings.Repeat("0", 64))
	wantError(t, err, registry.NotFound, "cannot read the origin of "+f.host+"/app@sha256:0000")
}
