// SPDX-License-Identifier: Apache-2.0

package manifest

import "strings"

// SameImage says whether two names, as files or policies write them, stand for
// one image repository: nginx and docker.io/library/nginx do.
func SameImage(a, b string) bool { return a == b || canonical(a) == canonical(b) }

// SplitReference takes NAME[:TAG][@DIGEST] apart. It does not check the parts.
func SplitReference(value string) (name, tag, digest string) {
	name = imageName(value)
	rest, digest, _ := strings.Cut(value[len(name):], "@")
	return name, strings.TrimPrefix(rest, ":"), digest
}
