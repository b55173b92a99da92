// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 holds the Go types of ImagePolicy and ManifestRepository, API
// version pintle.dev/v1alpha1. The comments on the fields are the reference: the
// schemas in config/crd are generated from them and from their markers.
//
// It decides nothing, does no I/O, and imports nothing but Kubernetes' apimachinery.
// What a schema can't say (a schedule that cron understands, a pattern that compiles)
// is checked by package document, and the rules themselves by package policy.
//
// +kubebuilder:object:generate=true
// +groupName=pintle.dev
package v1alpha1
