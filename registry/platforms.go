// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	// maxPlatforms bounds those of one image; the official ones with the most have a
	// dozen.
	maxPlatforms = 64
	// maxKnownPlatforms bounds the images whose platforms are kept in memory.
	maxKnownPlatforms = 50_000
)

// platformPart is what OCI images have for a system, an architecture or a variant.
var platformPart = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}$`)

// Platforms gives the platforms that an image is for, as os/architecture[/variant] in
// the form of NormalPlatform, each once: of an index, those that it lists, and of a
// single image that of its configuration. Attestations, which have the platform
// unknown/unknown, and entries of an index that name none are left out; what is no image
// for any system, such as a signature, has none. The answer for a
// digest never changes, and is kept in the Cache.
func (p *Pass) Platforms(ctx context.Context, image, digest string) ([]string, error) {
	a, key, err := p.aboutReference("read the platforms of", image, digest)
	if err != nil {
		return nil, err
	}
	platforms, err := p.platforms.get(ctx, key, func() ([]string, error) {
		if known, found := p.client.options.Cache.platformsOf(digest); found {
			return known, nil
		}
		found, err := a.platforms(ctx, digest)
		if err == nil {
			p.client.options.Cache.keepPlatforms(digest, found)
		}
		return found, err
	})
	if err != nil {
		return nil, a.failed(err)
	}
	return platforms, nil
}

func (a *ask) platforms(ctx context.Context, digest string) ([]string, error) {
	m, _, err := a.manifest(ctx, digest)
	if err != nil {
		return nil, err
	}
	found := []string{}
	if len(m.Manifests) == 0 {
		if !validDigest(m.Config.Digest) {
			return found, nil
		}
		resp, err := a.blob(ctx, m.Config.Digest)
		if err != nil {
			return nil, err
		}
		var single platform
		if json.Unmarshal(resp.body, &single) != nil {
			return found, nil //nolint:nilerr // it is verified, and of no image
		}
		return appendPlatform(found, single), nil
	}
	for _, d := range m.Manifests {
		found = appendPlatform(found, platform(d.Platform))
	}
	return found, nil
}

// platform is as a descriptor and an image's configuration have it.
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// appendPlatform adds one that is a platform at all, and not there yet.
func appendPlatform(all []string, p platform) []string {
	parts := []string{p.OS, p.Architecture}
	if p.Variant != "" {
		parts = append(parts, p.Variant)
	}
	odd := func(part string) bool { return part == "unknown" || !platformPart.MatchString(part) }
	name := NormalPlatform(strings.Join(parts, "/"))
	if slices.ContainsFunc(parts, odd) || slices.Contains(all, name) || len(all) == maxPlatforms {
		return all
	}
	return append(all, name)
}

// NormalPlatform leaves out a variant that is the architecture's usual one, and so means
// the same as none: v8 of arm64, v7 of arm and v1 of amd64, as containerd reads them.
func NormalPlatform(name string) string {
	for _, usual := range []string{"/arm64/v8", "/arm/v7", "/amd64/v1"} {
		if strings.HasSuffix(name, usual) {
			return name[:strings.LastIndex(name, "/")]
		}
	}
	return name
}

// platformsCache keeps platforms by digest in memory. The zero value is ready.
type platformsCache struct {
	mu    sync.Mutex
	known map[string][]string
}

func (c *Cache) platformsOf(digest string) ([]string, bool) {
	c.platforms.mu.Lock()
	known, found := c.platforms.known[digest]
	c.platforms.mu.Unlock()
	if found || c.disk == nil {
		return known, found
	}
	text, found := c.disk.platforms.get(digest)
	if !found {
		return nil, false
	}
	known = strings.Fields(string(text))
	c.platforms.keep(digest, known)
	return known, true
}

func (c *Cache) keepPlatforms(digest string, platforms []string) {
	c.platforms.keep(digest, platforms)
	if c.disk != nil {
		c.disk.platforms.put(digest, []byte(strings.Join(platforms, " ")))
	}
}

func (c *platformsCache) keep(digest string, platforms []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxKnownPlatforms {
		c.known = map[string][]string{} // What is still wanted is asked for again.
	}
	c.known[digest] = platforms
}
