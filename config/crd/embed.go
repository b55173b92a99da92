// SPDX-License-Identifier: Apache-2.0

// Package crd carries the CustomResourceDefinitions of Pintle, generated from the types
// in api/v1alpha1. It gives their bytes and reads nothing out of them.
package crd

import _ "embed" // for the two files below

//go:embed pintle.dev_imagepolicies.yaml
var imagePolicies string

//go:embed pintle.dev_manifestrepositories.yaml
var manifestRepositories string

// ImagePolicies returns the definition of ImagePolicy as YAML.
func ImagePolicies() []byte { return []byte(imagePolicies) }

// ManifestRepositories returns the definition of ManifestRepository as YAML.
func ManifestRepositories() []byte { return []byte(manifestRepositories) }
