// SPDX-License-Identifier: Apache-2.0

package manifest

import "strings"

// dockerHub are the names by which Docker Hub goes. It serves its official
// images under library/, which may be left out, as may the registry itself
// (distribution/reference, "familiar names").
const (
	dockerHub       = "docker.io"
	dockerHubIndex  = "index.docker.io"
	dockerHubPrefix = "library/"
)

// canonical writes the name of an image in full, so that two spellings of the
// same image are equal: nginx is docker.io/library/nginx.
func canonical(name string) string {
	host, rest, found := strings.Cut(name, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, rest = dockerHub, name
	}
	if host == dockerHubIndex {
		host = dockerHub
	}
	if host == dockerHub && !strings.Contains(rest, "/") {
		rest = dockerHubPrefix + rest
	}
	return host + "/" + rest
}

// imageName gives the name in a reference, without tag and digest.
func imageName(reference string) string {
	name, _, _ := strings.Cut(reference, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name
}

// SameImage says whether two names, as files or policies write them, stand for
// one image repository: nginx and docker.io/library/nginx do.
func SameImage(a, b string) bool { return a == b || canonical(a) == canonical(b) }

// SplitReference takes NAME[:TAG][@DIGEST] apart. It does not check the parts.
func SplitReference(value string) (name, tag, digest string) {
	name = imageName(value)
	rest, digest, _ := strings.Cut(value[len(name):], "@")
	return name, strings.TrimPrefix(rest, ":"), digest
}
