// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// matches says whether a target is about a file. The path of Helm values is the
// file or a glob of files; that of the others is a folder or file, or a glob of
// them, and covers all that lies below. A kustomize target is about
// kustomizations only. Paths begin at the root of the repository.
func (t Target) matches(file string) bool {
	if !IsManifest(file) || t.Kind == Kustomize && !isKustomization(file) {
		return false
	}
	pattern := strings.Trim(strings.TrimPrefix(t.Path, "./"), "/")
	if t.Kind == HelmValues {
		return matchesGlob(pattern, file)
	}
	if pattern == "" || pattern == "." {
		return true
	}
	literal, isGlob := cutGlob(pattern)
	if !strings.HasPrefix(file, literal) {
		return false
	}
	if !isGlob {
		return len(file) == len(literal) || file[len(literal)] == '/'
	}
	for at := file; at != "."; at = path.Dir(at) {
		if matchesGlob(pattern, at) {
			return true
		}
	}
	return false
}

// matchesGlob compares cheaply what can be compared so: most patterns are plain
// paths, and there may be a thousand of them.
func matchesGlob(pattern, name string) bool {
	literal, isGlob := cutGlob(pattern)
	if !isGlob {
		return pattern == name
	}
	if !strings.HasPrefix(name, literal) {
		return false
	}
	if pattern[len(literal):] == "**" {
		return len(name) > len(literal)
	}
	return doublestar.MatchUnvalidated(pattern, name)
}

// cutGlob gives what stands in front of the first special character.
func cutGlob(pattern string) (literal string, isGlob bool) {
	if i := strings.IndexAny(pattern, `*?[{\`); i >= 0 {
		return pattern[:i], true
	}
	return pattern, false
}

func isKustomization(file string) bool {
	switch path.Base(file) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}
