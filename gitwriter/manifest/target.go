// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// TargetKind is what a target looks at.
type TargetKind int

// The kinds of targets.
const (
	// Kustomize binds newTag and digest of the images entries of kustomizations
	// that render as the image: their newName, else their name, is it.
	Kustomize TargetKind = iota
	// Workloads binds image of the containers and initContainers with the image
	// in Pod, PodTemplate, Deployment, StatefulSet, DaemonSet, ReplicaSet,
	// ReplicationController, Job and CronJob, also inside a List.
	Workloads
	// HelmValues binds the values at Tag and Digest if the one at Repository is
	// the image.
	HelmValues
)

// Target is a rule of a policy that says where its image stands.
type Target struct {
	Policy string // "<namespace>/<name>"
	Image  string // the policy's image, as written there
	Kind   TargetKind
	Path   string // see the kinds; a doublestar glob, from the root of the repository

	// Dotted paths of HelmValues; a dot in a key is written \. Tag or Digest
	// may be empty.
	Repository, Tag, Digest string
}

// isAbout says whether an image, as a file writes it, is the target's.
func (t Target) isAbout(name string) bool {
	return name != "" && SameImage(name, t.Image)
}

// targets binds what the targets of a file are about.
func (s *scan) targets(targets []Target) {
	var workloads []Target
	for _, target := range targets {
		switch target.Kind {
		case Kustomize:
			s.kustomize(target)
		case Workloads:
			workloads = append(workloads, target)
		case HelmValues:
			s.helmValues(target)
		}
	}
	if len(workloads) > 0 {
		s.workloads(workloads)
	}
}

// kustomize binds the entries of a kustomization that render as the image.
func (s *scan) kustomize(target Target) {
	for _, doc := range s.docs {
		for _, entry := range s.items(s.value(doc+1, "images")) {
			s.kustomizeEntry(target, entry)
		}
	}
}

func (s *scan) kustomizeEntry(target Target, entry int) {
	image := s.entryImage(entry)
	if !target.isAbout(image) {
		if target.isAbout(s.text(entry, "name")) {
			s.problem(s.nodes[entry].at, fmt.Sprintf("this entry of images is for %s but renders as %s, so %s does not move it; let the policy follow %s", target.Image, image, target.Policy, image))
		}
		return
	}
	found := false
	for _, key := range []struct {
		name string
		part Part
	}{{"newTag", Tag}, {"digest", Digest}} {
		if v := s.value(entry, key.name); v >= 0 && s.isScalar(v) {
			found = true
			s.bind(v, Field{Policy: target.Policy, Part: key.part, Image: image, Source: SourceKustomize})
		}
	}
	if !found {
		s.problem(s.nodes[entry].at, fmt.Sprintf("this entry of images has neither newTag nor digest for %s to move; add one", target.Policy))
	}
}

// entryImage gives the name that an images entry of a kustomization renders.
func (s *scan) entryImage(entry int) string {
	if name := s.text(entry, "newName"); name != "" {
		return name
	}
	return s.text(entry, "name")
}

// isEntry says whether a node is an entry of images in a kustomization.
func (s *scan) isEntry(i int) bool {
	list := s.nodes[i].parent
	return list >= 0 && isKustomization(s.file) && s.keyOf(list) == "images"
}

// isScalar says whether a value is a scalar, or an alias of one.
func (s *scan) isScalar(i int) bool {
	kind := s.nodes[i].Kind
	return (kind == yaml.ScalarNode || kind == yaml.AliasNode) && s.scalar(i) != nil
}

// podSpecs says where each kind of workload has its pod's spec.
var podSpecs = map[string][]string{
	"Pod":                   {"spec"},
	"PodTemplate":           {"template", "spec"},
	"Deployment":            {"spec", "template", "spec"},
	"StatefulSet":           {"spec", "template", "spec"},
	"DaemonSet":             {"spec", "template", "spec"},
	"ReplicaSet":            {"spec", "template", "spec"},
	"ReplicationController": {"spec", "template", "spec"},
	"Job":                   {"spec", "template", "spec"},
	"CronJob":               {"spec", "jobTemplate", "spec", "template", "spec"},
}

// workloads binds the containers of the targets' images.
func (s *scan) workloads(targets []Target) {
	byImage := map[string][]Target{}
	for _, target := range targets {
		image := canonical(target.Image)
		byImage[image] = append(byImage[image], target)
	}
	for _, doc := range s.docs {
		s.workload(byImage, doc+1)
	}
}

// workload binds the containers of one object, or of the objects of a List.
func (s *scan) workload(byImage map[string][]Target, object int) {
	kind := s.text(object, "kind")
	if strings.HasSuffix(kind, "List") {
		for _, item := range s.items(s.value(object, "items")) {
			s.workload(byImage, item)
		}
		return
	}
	steps, known := podSpecs[kind]
	if !known {
		return
	}
	spec := object
	for _, step := range steps {
		spec = s.value(spec, step)
	}
	for _, list := range []string{"initContainers", "containers"} {
		for _, container := range s.items(s.value(spec, list)) {
			s.container(byImage, container)
		}
	}
}

func (s *scan) container(byImage map[string][]Target, container int) {
	image := s.value(container, "image")
	if image < 0 || !s.isScalar(image) {
		return
	}
	name := imageName(strings.TrimSpace(s.scalar(image).Value))
	for _, target := range byImage[canonical(name)] {
		s.bind(image, Field{Policy: target.Policy, Part: Whole, Source: SourceWorkloads})
	}
}

// helmValues binds tag and digest in the documents in which the repository is
// the image.
func (s *scan) helmValues(target Target) {
	if target.Repository == "" || target.Tag == "" && target.Digest == "" {
		s.problem(0, fmt.Sprintf("the helmValues target of %s needs a repository, and a tag or a digest", target.Policy))
		return
	}
	missing := true
	for _, doc := range s.docs {
		repository, err := s.find(doc+1, target.Repository)
		if err != nil {
			continue
		}
		missing = false
		if held := s.scalar(repository).Value; target.isAbout(held) {
			s.helmFields(target, doc+1, held)
		} else {
			s.problem(s.nodes[repository].at, fmt.Sprintf("%s is %.200q and not %s, so %s binds nothing here", target.Repository, held, target.Image, target.Policy))
		}
	}
	if missing {
		err := fmt.Errorf("the file is empty")
		at := 0
		if len(s.docs) > 0 {
			at = s.nodes[s.docs[0]+1].at
			_, err = s.find(s.docs[0]+1, target.Repository)
		}
		s.problem(at, fmt.Sprintf("the helmValues target of %s finds no repository: %v", target.Policy, err))
	}
}

// helmFields binds tag and digest of one document. They share a slot, wherever
// they stand.
func (s *scan) helmFields(target Target, root int, repository string) {
	slot := ""
	for _, field := range []struct {
		path string
		part Part
	}{{target.Tag, Tag}, {target.Digest, Digest}} {
		if field.path == "" {
			continue
		}
		value, err := s.find(root, field.path)
		if err != nil {
			s.problem(s.nodes[root].at, fmt.Sprintf("the helmValues target of %s finds no %s: %v", target.Policy, field.part, err))
			continue
		}
		if slot == "" {
			slot = s.slot(value, target.Policy)
		}
		s.bind(value, Field{Policy: target.Policy, Part: field.part, Image: repository, Slot: slot, Source: SourceHelmValues})
	}
}

// find follows a dotted path to a scalar.
func (s *scan) find(root int, dotted string) (int, error) {
	at, walked := root, ""
	for _, key := range splitDotted(dotted) {
		if s.nodes[at].Kind == yaml.AliasNode {
			return 0, fmt.Errorf("%s is an alias; write it out", walked)
		}
		if s.nodes[at].Kind != yaml.MappingNode {
			return 0, fmt.Errorf("%s is no mapping", orRoot(walked))
		}
		next := s.value(at, key)
		walked = strings.TrimPrefix(walked+"."+key, ".")
		if next < 0 {
			return 0, fmt.Errorf("there is no key %s; add it", walked)
		}
		at = next
	}
	if !s.isScalar(at) {
		return 0, fmt.Errorf("%s is no scalar", walked)
	}
	return at, nil
}

func orRoot(walked string) string {
	if walked == "" {
		return "the document"
	}
	return walked
}

// splitDotted splits a path at its dots, except at those behind a backslash.
func splitDotted(dotted string) []string {
	const escaped = "\x00"
	words := strings.Split(strings.ReplaceAll(dotted, `\.`, escaped), ".")
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], escaped, ".")
	}
	return words
}
