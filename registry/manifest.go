// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// maxManifest bounds a manifest; the OCI distribution specification asks
// registries to take up to 4 MiB.
const maxManifest = 4 << 20

// manifestTypes are asked for, so that an index stays an index.
var manifestTypes = []string{strings.Join([]string{
	string(types.OCIImageIndex), string(types.DockerManifestList),
	string(types.OCIManifestSchema1), string(types.DockerManifestSchema2),
}, ", ")}

// Digest resolves a tag to the digest that the registry serves for it, of an
// index as of an image. A digest in place of the tag asks whether the registry
// has it.
func (p *Pass) Digest(ctx context.Context, image, tag string) (string, error) {
	a, key, err := p.aboutReference("resolve", image, tag)
	if err != nil {
		return "", err
	}
	digest, err := p.digests.get(ctx, key, func() (string, error) { return a.resolve(ctx, tag) })
	if err != nil {
		return "", a.failed(err)
	}
	return digest, nil
}

// aboutReference is about for an image and a tag or digest; key is for memos.
func (p *Pass) aboutReference(op, image, reference string) (a *ask, key string, err error) {
	a, canonical, err := p.about(op, image)
	if err != nil {
		return nil, "", err
	}
	separator := ":"
	if validDigest(reference) {
		separator = "@"
	} else if !validTag(reference) {
		return nil, "", &Error{Image: image + ":" + reference, Op: op, Kind: InvalidName,
			Err: faultf(InvalidName, "%s is no tag and no digest", printable(reference))}
	}
	a.image = image + separator + reference
	return a, canonical + separator + reference, nil
}

// resolve asks by HEAD, and by GET where the registry's HEAD is of no use.
func (a *ask) resolve(ctx context.Context, reference string) (string, error) {
	resp, err := a.do(ctx, http.MethodHead, "manifests/"+reference, manifestTypes)
	if err != nil {
		return "", err
	}
	digest := resp.header.Get("Docker-Content-Digest")
	switch {
	case resp.status == http.StatusOK && digest != "":
		return digest, checkDigest(digest, reference)
	case resp.status == http.StatusOK, headIsUnsupported(resp.status):
		_, digest, err := a.manifest(ctx, reference)
		return digest, err
	default:
		return "", a.fault(resp)
	}
}

func headIsUnsupported(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusTooManyRequests:
		return false
	}
	return status >= 400 && status < 500
}

// checkDigest: well-formed, and the one asked for if one was.
func checkDigest(digest, reference string) error {
	if !validDigest(digest) {
		return faultf(NotRegistry, "the registry answers with %s, which is no digest", printable(digest))
	}
	if validDigest(reference) && digest != reference {
		return faultf(NotRegistry, "the registry answers with the digest %s", digest)
	}
	return nil
}

// manifest gets a manifest's bytes and its digest, which is that of the bytes.
func (a *ask) manifest(ctx context.Context, reference string) (*manifest, string, error) {
	resp, err := a.do(ctx, http.MethodGet, "manifests/"+reference, manifestTypes)
	if err != nil {
		return nil, "", err
	}
	if err := a.fault(resp); err != nil {
		return nil, "", err
	}
	if len(resp.body) > maxManifest {
		return nil, "", faultf(NotRegistry, "its manifest has more than %d MiB", maxManifest>>20)
	}
	var m manifest
	if err := decode(resp, &m); err != nil {
		return nil, "", err
	}
	if m.SchemaVersion == 0 {
		return nil, "", faultf(NotRegistry, "the answer is no image manifest")
	}
	digest := resp.header.Get("Docker-Content-Digest")
	if validDigest(reference) {
		digest = reference
	}
	if digest == "" {
		digest = digestLike("sha256:", resp.body)
	}
	if err := checkDigest(digest, reference); err != nil {
		return nil, "", err
	}
	return &m, digest, verify(digest, resp.body)
}

// verify compares a body with the digest that it is served under.
func verify(digest string, body []byte) error {
	if got := digestLike(digest, body); got != digest {
		return faultf(NotRegistry, "the digest is wrong: %s was to be %s", got, digest)
	}
	return nil
}

// digestLike gives the digest of a body by the algorithm of another.
func digestLike(digest string, body []byte) string {
	if strings.HasPrefix(digest, "sha512:") {
		sum := sha512.Sum512(body)
		return "sha512:" + hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}
