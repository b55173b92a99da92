// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"container/list"
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// maxCreated bounds the creation times that are kept in memory; one takes some
	// 250 bytes. A repository with as many tags as are read (maxTags) fits.
	maxCreated = 100_000
	// maxIndexDepth bounds indexes in indexes.
	maxIndexDepth = 3
)

// manifest is what is read of an image manifest or an index, which differ by
// what they have.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	Manifests     []descriptor `json:"manifests"` // of an index
	Config        descriptor   `json:"config"`    // of an image
	Annotations   annotations  `json:"annotations"`
}

type descriptor struct {
	Digest   string `json:"digest"`
	Platform struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	} `json:"platform"`
}

// Created gives the time that the image's configuration says it was made at; of
// an index, that of linux/amd64, or of the first image if it has none. The zero
// time is an image that does not say. By digest the answer never changes: the
// Cache keeps it, and only a tag is resolved again in a later pass.
func (p *Pass) Created(ctx context.Context, image, tagOrDigest string) (time.Time, error) {
	a, key, err := p.aboutReference("read the creation time of", image, tagOrDigest)
	if err != nil {
		return time.Time{}, err
	}
	created, err := p.created.get(ctx, key, func() (time.Time, error) {
		if validDigest(tagOrDigest) {
			return a.createdOnce(ctx, tagOrDigest)
		}
		digest, err := p.digests.get(ctx, key, func() (string, error) { return a.resolve(ctx, tagOrDigest) })
		if err != nil {
			return time.Time{}, err
		}
		return a.createdOnce(ctx, digest)
	})
	if err != nil {
		return time.Time{}, a.failed(err)
	}
	return created, nil
}

// createdOnce asks only for digests that the Client does not know yet.
func (a *ask) createdOnce(ctx context.Context, digest string) (time.Time, error) {
	known := a.pass.client.options.Cache
	if created, found := known.get(digest); found {
		return created, nil
	}
	created, err := a.created(ctx, digest)
	if err == nil {
		known.put(digest, created)
	}
	return created, err
}

// created follows index, manifest and configuration, each verified by its
// digest.
func (a *ask) created(ctx context.Context, digest string) (time.Time, error) {
	for range maxIndexDepth {
		m, _, err := a.manifest(ctx, digest)
		if err != nil {
			return time.Time{}, err
		}
		if len(m.Manifests) == 0 {
			return a.configCreated(ctx, m.Config.Digest)
		}
		digest = preferred(m.Manifests).Digest
		if !validDigest(digest) {
			return time.Time{}, faultf(NotRegistry, "its index names an image without a digest")
		}
	}
	return time.Time{}, faultf(NotRegistry, "its indexes are nested more than %d deep", maxIndexDepth)
}

// preferred is linux/amd64, else the first that is for a platform at all:
// attestations have the platform unknown/unknown.
func preferred(images []descriptor) descriptor {
	for _, image := range images {
		if image.Platform.OS == "linux" && image.Platform.Architecture == "amd64" {
			return image
		}
	}
	for _, image := range images {
		if image.Platform.OS != "unknown" {
			return image
		}
	}
	return images[0]
}

func (a *ask) configCreated(ctx context.Context, digest string) (time.Time, error) {
	var config struct {
		Created time.Time `json:"created"`
	}
	err := a.configuration(ctx, digest, &config)
	return config.Created, err
}

// configuration reads what into wants of an image's.
func (a *ask) configuration(ctx context.Context, digest string, into any) error {
	if !validDigest(digest) {
		return faultf(NotRegistry, "its manifest names no configuration")
	}
	resp, err := a.do(ctx, http.MethodGet, "blobs/"+digest, []string{"*/*"})
	if err != nil {
		return err
	}
	if err := a.fault(resp); err != nil {
		return err
	}
	if err := verify(digest, resp.body); err != nil {
		return err
	}
	return decode(resp, into)
}

// createdCache keeps the times that were asked for last, by digest. The zero
// value is ready.
type createdCache struct {
	mu    sync.Mutex
	byAge list.List // of *createdEntry, the one used last in front
	known map[string]*list.Element
}

type createdEntry struct {
	digest  string
	created time.Time
}

func (c *createdCache) get(digest string) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, found := c.known[digest]
	if !found {
		return time.Time{}, false
	}
	c.byAge.MoveToFront(element)
	entry, ok := element.Value.(*createdEntry)
	return entry.created, ok
}

func (c *createdCache) put(digest string, created time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[string]*list.Element)
	}
	if _, found := c.known[digest]; found {
		return
	}
	c.known[digest] = c.byAge.PushFront(&createdEntry{digest, created})
	if c.byAge.Len() > maxCreated {
		if oldest, ok := c.byAge.Remove(c.byAge.Back()).(*createdEntry); ok {
			delete(c.known, oldest.digest)
		}
	}
}
