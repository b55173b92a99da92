// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of all kinds here.
const Group = "pintle.dev"

// Version is the API version of all kinds here.
const Version = "v1alpha1"

// The kinds of this API.
const (
	KindImagePolicy        = "ImagePolicy"
	KindManifestRepository = "ManifestRepository"
)

// GroupVersion returns pintle.dev/v1alpha1.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: Version}
}

// AddToScheme makes the kinds known to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion(),
		&ImagePolicy{}, &ImagePolicyList{},
		&ManifestRepository{}, &ManifestRepositoryList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion())
	return nil
}
