// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"sync"
)

const (
	// maxOrigins bounds the origins that are kept; one takes some 500 bytes.
	maxOrigins = 10_000
	// maxAnnotation bounds what is kept of one annotation, in bytes.
	maxAnnotation = 512
)

// Origin is what an image says that it was made of, in the words of the image
// specification's annotations. Each may be empty, and whoever made the image may have
// written anything there.
type Origin struct{ Source, Revision, Version string }

type annotations map[string]string

// origin is what annotations or labels say. What is too long is left out.
func (a annotations) origin() Origin {
	get := func(name string) string {
		if text := a["org.opencontainers.image."+name]; len(text) <= maxAnnotation {
			return text
		}
		return ""
	}
	return Origin{get("source"), get("revision"), get("version")}
}

// Origin reads what an image, named by its digest, says of its origin: in the
// annotations of its index or manifest, or else in the labels of its configuration; of
// an index those of the image that Created looks at. A digest is read once: the Cache
// keeps the answer.
func (p *Pass) Origin(ctx context.Context, image, digest string) (Origin, error) {
	a, key, err := p.aboutReference("read the origin of", image, digest)
	if err != nil {
		return Origin{}, err
	}
	if known, ok := p.KnownOrigin(digest); ok {
		return known, nil
	}
	origin, err := p.origins.get(ctx, key, func() (Origin, error) { return a.origin(ctx, digest) })
	if err != nil {
		return Origin{}, a.failed(err)
	}
	p.client.options.Cache.origins.put(digest, origin)
	return origin, nil
}

// KnownOrigin is the origin of a digest that was read before. It asks nobody.
func (p *Pass) KnownOrigin(digest string) (Origin, bool) {
	return p.client.options.Cache.origins.get(digest)
}

// origin goes on from index to manifest to configuration until one says something.
func (a *ask) origin(ctx context.Context, digest string) (Origin, error) {
	for range maxIndexDepth {
		m, _, err := a.manifest(ctx, digest)
		if err != nil {
			return Origin{}, err
		}
		if said := m.Annotations.origin(); said != (Origin{}) {
			return said, nil
		}
		if len(m.Manifests) == 0 {
			var configuration struct {
				Config struct {
					Labels annotations
				} `json:"config"`
			}
			err := a.configuration(ctx, m.Config.Digest, &configuration)
			return configuration.Config.Labels.origin(), err
		}
		digest = preferred(m.Manifests).Digest
		if !validDigest(digest) {
			return Origin{}, faultf(NotRegistry, "its index names an image without a digest")
		}
	}
	return Origin{}, faultf(NotRegistry, "its indexes are nested more than %d deep", maxIndexDepth)
}

// originCache keeps origins, by digest. The zero value is ready.
type originCache struct {
	mu    sync.Mutex
	known map[string]Origin
}

func (c *originCache) get(digest string) (Origin, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	origin, found := c.known[digest]
	return origin, found
}

// put makes room, where there is none, by dropping any other.
func (c *originCache) put(digest string, origin Origin) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[string]Origin)
	}
	for other := range c.known {
		if len(c.known) < maxOrigins {
			break
		}
		delete(c.known, other)
	}
	c.known[digest] = origin
}
