// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

// maxIndexDepth bounds indexes in indexes.
const maxIndexDepth = 3

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
		Variant      string `json:"variant"`
	} `json:"platform"`
}

// Created gives the time that the image's configuration says it was made at; of
// an index, that of linux/amd64, or of the first image if it has none. The zero
// time is an image that does not say. By digest the answer never changes, and the
// Cache keeps it. Of a tag, it keeps that the tag was read: the next pass asks by
// HEAD whether its digest moved. A tag never read costs no HEAD.
func (p *Pass) Created(ctx context.Context, image, tagOrDigest string) (time.Time, error) {
	a, key, err := p.aboutReference("read the creation time of", image, tagOrDigest)
	if err != nil {
		return time.Time{}, err
	}
	var created time.Time
	if validDigest(tagOrDigest) {
		created, err = a.createdOnce(ctx, tagOrDigest, nil)
	} else {
		created, err = a.createdOfTag(ctx, key, tagOrDigest)
	}
	if err != nil {
		return time.Time{}, a.failed(err)
	}
	return created, nil
}

func (a *ask) createdOfTag(ctx context.Context, key, tag string) (time.Time, error) {
	known, mark := a.pass.client.options.Cache, tagMark(key)
	_, read := known.get(mark)
	digest, err := a.pass.digests.get(ctx, key, func() (string, error) {
		if read {
			return a.resolve(ctx, tag)
		}
		return a.firstSight(ctx, tag)
	})
	if err != nil {
		return time.Time{}, err
	}
	created, err := a.createdOnce(ctx, digest, nil)
	if err == nil && !read {
		known.put(mark, time.Time{})
	}
	return created, err
}

// tagMark is what the Cache has of a tag that was read. It is no longer than a digest,
// however long the name is.
func tagMark(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "tag " + hex.EncodeToString(sum[:])
}

// firstSight gets the manifest of a tag by GET alone: its bytes have the digest that
// a HEAD would tell. What is wrong further on is told by who asks for the digest.
func (a *ask) firstSight(ctx context.Context, tag string) (string, error) {
	m, digest, err := a.manifest(ctx, tag)
	if err == nil {
		_, _ = a.createdOnce(ctx, digest, m)
	}
	return digest, err
}

// createdOnce asks only for digests that the Cache does not know yet. m is the
// manifest, if somebody has it.
func (a *ask) createdOnce(ctx context.Context, digest string, m *manifest) (time.Time, error) {
	known := a.pass.client.options.Cache
	if created, found := known.get(digest); found {
		return created, nil
	}
	key := a.host.wire.host + "/" + a.repository + "@" + digest
	created, err := a.pass.created.get(ctx, key, func() (time.Time, error) {
		created, err := a.created(ctx, digest, m)
		if err == nil {
			known.put(digest, created)
		}
		return created, err
	})
	if err == nil { // The Cache has it now, in fewer bytes.
		a.pass.created.forget(key, func(time.Time) bool { return true })
	}
	return created, err
}

// created follows index, manifest and configuration, each verified by its digest.
// What is no image by these does not say when it was made, and never will.
func (a *ask) created(ctx context.Context, digest string, m *manifest) (created time.Time, err error) {
	for range maxIndexDepth {
		if m == nil {
			if m, _, err = a.manifest(ctx, digest); err != nil {
				return time.Time{}, err
			}
		}
		if len(m.Manifests) == 0 {
			return a.configCreated(ctx, m.Config.Digest)
		}
		if digest, m = preferred(m.Manifests).Digest, nil; !validDigest(digest) {
			return time.Time{}, nil
		}
	}
	return time.Time{}, nil
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
	if !validDigest(digest) {
		return time.Time{}, nil
	}
	resp, err := a.blob(ctx, digest)
	if err != nil {
		return time.Time{}, err
	}
	var config struct {
		Created time.Time `json:"created"`
	}
	if json.Unmarshal(resp.body, &config) != nil {
		return time.Time{}, nil //nolint:nilerr // it is verified, and says nothing
	}
	return config.Created, nil
}

// configuration reads what into wants of an image's.
func (a *ask) configuration(ctx context.Context, digest string, into any) error {
	if !validDigest(digest) {
		return faultf(NotRegistry, "its manifest names no configuration")
	}
	resp, err := a.blob(ctx, digest)
	if err != nil {
		return err
	}
	return decode(resp, into)
}

func (a *ask) blob(ctx context.Context, digest string) (*response, error) {
	resp, err := a.do(ctx, http.MethodGet, "blobs/"+digest, []string{"*/*"})
	if err != nil {
		return nil, err
	}
	if err := a.fault(resp); err != nil {
		return nil, err
	}
	return resp, verify(digest, resp.body)
}
