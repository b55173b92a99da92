// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImagePolicy follows one image repository and says which of its tags the manifests
// in Git are pinned to.
//
// It lives in the Git repository, beside the manifests. A manifest binds a field to it
// with a marker, a comment at the end of the line:
//
//	image: ghcr.io/acme/podinfo:6.1.0 # {"$imagepolicy": "prod:podinfo"}
//
// or the policy names its fields itself, in targets. Without metadata.namespace, the
// namespace is "default" where the document is read from a Git repository.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=imgpol,categories=pintle
// +kubebuilder:printcolumn:name="Selected",type=string,JSONPath=`.status.selected.tag`,description="The tag that the policy picks now"
// +kubebuilder:printcolumn:name="Git",type=string,JSONPath=`.status.current[0].tag`,description="The tag that Git holds, in the first repository"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Image",type=string,priority=1,JSONPath=`.spec.image`
// +kubebuilder:printcolumn:name="Digest",type=string,priority=1,JSONPath=`.status.selected.digest`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type ImagePolicy struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	Spec ImagePolicySpec `json:"spec"`

	// Status is a copy for reading; nothing is decided from it but how long candidates
	// have waited. In a document read
	// from a Git repository it is ignored.
	//
	// +optional
	Status ImagePolicyStatus `json:"status,omitempty"`
}

// ImagePolicySpec is what the user wants of one image.
type ImagePolicySpec struct {
	// Image is the image repository that is followed, without tag and digest, as in
	// "ghcr.io/acme/podinfo". Docker Hub's short names work: "nginx".
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*$')`,message="is no image repository: write it as in ghcr.io/acme/podinfo, in lower case, without tag, digest or https://"
	Image string `json:"image"`

	// Select is the rule that picks one tag.
	Select Select `json:"select"`

	// Schedule says when the registry is asked, as robfig/cron reads it: five fields
	// ("*/10 * * * *"), "@every 5m", "@hourly", "@daily" and so on, each with an
	// optional "CRON_TZ=Europe/Paris " in front.
	//
	// +optional
	// +kubebuilder:default="@every 5m"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Schedule string `json:"schedule,omitempty"`

	// Platforms that must all be present in the image, as os/architecture[/variant];
	// a candidate that lacks one is dropped. Example: [linux/amd64, linux/arm64].
	// Empty: platforms are not looked at.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$')`,message="is no platform: write it as in linux/amd64 or linux/arm/v7"
	Platforms []string `json:"platforms,omitempty"`

	// MinimumAge is how long ago Pintle must have seen a digest for the first time;
	// younger candidates are dropped. A duration such as 24h, 90m or 1h30m.
	// Absent: no minimum.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}([.][0-9]{1,3})?(ms|s|m|h)){1,4}$')`,message="is no duration: write it as in 24h, 90m or 1h30m; days and weeks are no units"
	MinimumAge *metav1.Duration `json:"minimumAge,omitempty"`

	// Write says which parts of a field that holds a whole reference are written:
	// TagAndDigest gives "name:tag@digest", Digest "name@digest", Tag "name:tag".
	// It does not concern fields that hold one part alone.
	//
	// +optional
	// +kubebuilder:default=TagAndDigest
	Write Write `json:"write,omitempty"`

	// Registry says how to log in. In a document read from a Git repository without a
	// cluster it is ignored, with a notice: the Docker keychain counts there.
	//
	// +optional
	Registry *RegistryAccess `json:"registry,omitempty"`

	// Targets are the fields that the policy binds without markers.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Targets []Target `json:"targets,omitempty"`

	// Trigger starts builds when the selection changes. Without a cluster it is ignored,
	// with a notice.
	//
	// +optional
	Trigger *Trigger `json:"trigger,omitempty"`

	// Pin holds the fields at one past revision, tag or digest, whatever the rule
	// picks. Absent: the rule is followed.
	//
	// +optional
	Pin *Pin `json:"pin,omitempty"`

	// Suspend stops all writing for this policy while it is true.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// HistoryLimit is how many revisions the status lists. The ledger in Git keeps all.
	//
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	HistoryLimit *int32 `json:"historyLimit,omitempty"`
}

// Write is which parts of a whole reference are written.
//
// +kubebuilder:validation:Enum=TagAndDigest;Digest;Tag
type Write string

// The parts of a whole reference that can be written.
const (
	WriteTagAndDigest Write = "TagAndDigest"
	WriteDigest       Write = "Digest"
	WriteTag          Write = "Tag"
)

// Select is the rule: exactly one of semver, tag, numerical, alphabetical and newest,
// and what narrows the candidates.
//
// +kubebuilder:validation:XValidation:rule="(has(self.semver) ? 1 : 0) + (has(self.tag) ? 1 : 0) + (has(self.numerical) ? 1 : 0) + (has(self.alphabetical) ? 1 : 0) + (has(self.newest) ? 1 : 0) == 1",message="needs exactly one of semver, tag, numerical, alphabetical and newest (the last as newest: {})"
type Select struct {
	// Semver picks the greatest semantic version within a range.
	//
	// +optional
	Semver *Semver `json:"semver,omitempty"`

	// Tag follows one tag, such as "stable", whatever digest it has.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[A-Za-z0-9_][A-Za-z0-9_.-]*$')`,message="is no tag: letters, digits, _, . and -, not beginning with . or -"
	Tag string `json:"tag,omitempty"`

	// Numerical ranks tags as whole numbers of any length.
	//
	// +optional
	Numerical *Ordered `json:"numerical,omitempty"`

	// Alphabetical ranks tags as text, byte by byte.
	//
	// +optional
	Alphabetical *Ordered `json:"alphabetical,omitempty"`

	// Newest ranks tags by the creation time that the image's configuration states.
	// It has no settings: newest: {}.
	//
	// +optional
	Newest *Newest `json:"newest,omitempty"`

	// Filter keeps the tags that fit a pattern, and can rank by a part of them.
	//
	// +optional
	Filter *Filter `json:"filter,omitempty"`

	// Exclude are regular expressions (RE2); a tag in which one is found is dropped.
	// Example: ['-debug$'].
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Exclude []string `json:"exclude,omitempty"`
}

// Semver is the rule by semantic versions.
type Semver struct {
	// Range of versions, as Masterminds/semver reads it: ">=6.0.0 <7", "^1.2", "6.x".
	// Pre-releases are candidates only where the range names one: ">=1.0.0-0".
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Range string `json:"range"`
}

// Ordered is a rule with a direction.
type Ordered struct {
	// Order in which the tags are ranked: Asc picks the greatest, Desc the smallest.
	//
	// +optional
	// +kubebuilder:default=Asc
	Order Order `json:"order,omitempty"`
}

// Order is the direction of a rule.
//
// +kubebuilder:validation:Enum=Asc;Desc
type Order string

// The directions of a rule.
const (
	OrderAsc  Order = "Asc"
	OrderDesc Order = "Desc"
)

// Newest is the rule by creation time. It has no settings.
type Newest struct{}

// Filter narrows the candidates by a pattern.
type Filter struct {
	// Pattern is a regular expression (RE2); tags in which it is not found are dropped.
	// Example: '^v(?P<v>[0-9.]+)-alpine$'.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Pattern string `json:"pattern"`

	// Extract is what the rule ranks instead of the whole tag, made of the pattern's
	// groups: '$v' or '${v}' by name, '$1' by number. Absent: the whole tag.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Extract string `json:"extract,omitempty"`
}

// RegistryAccess says how to log in to the registry. All objects are in the policy's
// own namespace.
type RegistryAccess struct {
	// SecretRef names a Secret of type kubernetes.io/dockerconfigjson.
	//
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// ServiceAccountName names a ServiceAccount whose image pull secrets are used.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')`,message="is no ServiceAccount's name: lower case letters, digits, - and ."
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// CASecretRef names a Secret whose key ca.crt holds the certificate authorities of
	// the registry, in PEM.
	//
	// +optional
	CASecretRef *LocalReference `json:"caSecretRef,omitempty"`
}

// Target binds fields without markers: exactly one of its members. A field is bound
// only where it already holds the policy's image, or stands beside it.
//
// +kubebuilder:validation:XValidation:rule="(has(self.kustomize) ? 1 : 0) + (has(self.workloads) ? 1 : 0) + (has(self.helmValues) ? 1 : 0) == 1",message="needs exactly one of kustomize, workloads and helmValues; another kind is another item of targets"
type Target struct {
	// Kustomize binds the entries of this image in the images: of kustomizations.
	//
	// +optional
	Kustomize *KustomizeTarget `json:"kustomize,omitempty"`

	// Workloads binds containers and init containers that run this image.
	//
	// +optional
	Workloads *WorkloadsTarget `json:"workloads,omitempty"`

	// HelmValues binds keys of a values file.
	//
	// +optional
	HelmValues *HelmValuesTarget `json:"helmValues,omitempty"`
}

// KustomizeTarget binds entries of images: in kustomizations: newTag, and digest where
// the entry has that key.
type KustomizeTarget struct {
	// Path of the folders that hold the kustomizations, from the repository's root. The
	// glob * stands for one folder's name, ** for any number of folders:
	// "apps/*/prod". A kustomization file itself may be named too.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('/') && !self.matches(r'(^|/)[.][.](/|$)')`,message="leaves the repository: write it from the repository's root, without / in front and without .."
	Path string `json:"path"`
}

// WorkloadsTarget binds the image fields of containers in workloads.
type WorkloadsTarget struct {
	// Path of the files, from the repository's root. The glob * stands for one name, **
	// for any number of folders: "apps/**". A folder's name means all beneath it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('/') && !self.matches(r'(^|/)[.][.](/|$)')`,message="leaves the repository: write it from the repository's root, without / in front and without .."
	Path string `json:"path"`
}

// HelmValuesTarget binds keys of a values file. Keys are written as in
// "image.repository"; a key that the file does not have is not added.
//
// +kubebuilder:validation:XValidation:rule="has(self.repository) || has(self.tag) || has(self.digest)",message="names no key: write repository, and tag or digest, such as repository: image.repository and tag: image.tag"
// +kubebuilder:validation:XValidation:rule="has(self.repository) || !(has(self.tag) || has(self.digest))",message="lacks repository, the key that holds the image's name: a tag or digest is written only beside its image"
type HelmValuesTarget struct {
	// Path of the values file, from the repository's root; globs as in workloads.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('/') && !self.matches(r'(^|/)[.][.](/|$)')`,message="leaves the repository: write it from the repository's root, without / in front and without .."
	Path string `json:"path"`

	// Repository is the key that holds the image's name. Without tag and digest it is
	// the key that holds the whole reference.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[^.\s]+([.][^.\s]+)*$')`,message="is no key: write it with dots, as in image.repository"
	Repository string `json:"repository,omitempty"`

	// Tag is the key that holds the tag.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[^.\s]+([.][^.\s]+)*$')`,message="is no key: write it with dots, as in image.tag"
	Tag string `json:"tag,omitempty"`

	// Digest is the key that holds the digest.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[^.\s]+([.][^.\s]+)*$')`,message="is no key: write it with dots, as in image.digest"
	Digest string `json:"digest,omitempty"`
}

// Pin is a declared choice of one past revision, tag or digest: exactly one of them.
//
// +kubebuilder:validation:XValidation:rule="(has(self.revision) ? 1 : 0) + (has(self.tag) ? 1 : 0) + (has(self.digest) ? 1 : 0) == 1",message="needs exactly one of revision, tag and digest; to follow the rule, leave pin out"
type Pin struct {
	// Revision is a number that `pintle history` lists.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	Revision *int64 `json:"revision,omitempty"`

	// Tag of the image; the digest is the one that the registry serves for it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[A-Za-z0-9_][A-Za-z0-9_.-]*$')`,message="is no tag: letters, digits, _, . and -, not beginning with . or -"
	Tag string `json:"tag,omitempty"`

	// Digest of the image, as in "sha256:" and 64 hexadecimal digits.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^sha256:[a-f0-9]{64}$')`,message="is no digest: write sha256: and 64 hexadecimal digits in lower case"
	Digest string `json:"digest,omitempty"`
}

// ImagePolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type ImagePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ImagePolicy `json:"items"`
}
