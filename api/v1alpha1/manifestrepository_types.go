// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ManifestRepository is a Git repository, branch and paths that Pintle may write.
//
// It counts in a cluster alone: a ManifestRepository that is found in a Git repository
// does not configure where Pintle writes; it is ignored there, with a notice.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mrepo,categories=pintle
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="Branch",type=string,JSONPath=`.spec.branch`
// +kubebuilder:printcolumn:name="Policies",type=integer,JSONPath=`.status.counts.policies`
// +kubebuilder:printcolumn:name="Problems",type=integer,JSONPath=`.status.counts.problems`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Head",type=string,priority=1,JSONPath=`.status.head`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type ManifestRepository struct {
	metav1.TypeMeta `json:",inline"`

	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	Spec ManifestRepositorySpec `json:"spec"`

	// Status is a copy for reading; nothing is decided from it.
	//
	// +optional
	Status ManifestRepositoryStatus `json:"status,omitempty"`
}

// ManifestRepositorySpec says where Pintle may write, and how.
//
// +kubebuilder:validation:XValidation:rule=`!self.url.matches(r'^https?://[^/]*@') && !self.url.matches(r'^ssh://[^/@]*:[^/@]*@')`,message="url holds credentials: remove them from it, change them, and put them into the Secret that credentials.secretRef names"
// +kubebuilder:validation:XValidation:rule="!has(self.pullRequest) || self.mode == 'PullRequest'",message="has pullRequest settings without mode: PullRequest: set the mode or remove them"
type ManifestRepositorySpec struct {
	// URL of the repository: https://, http:// (only where the operator allows it) or
	// ssh://, or git@host:path. It holds no credentials.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(https?://|ssh://|[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:)[^\s]+$')`,message="is no URL of a repository: write it as in https://git.example.com/acme/fleet.git or ssh://git@git.example.com/acme/fleet.git"
	URL string `json:"url"`

	// Branch that is read and written. Absent: the remote's default branch.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=244
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[^-/.\s~^:?*\[\\][^\s~^:?*\[\\]*$') && !self.matches(r'[.][.]|//|@[{]|/[.]|[./]$|[.]lock$|[.]lock/')`,message="is no branch's name"
	Branch string `json:"branch,omitempty"`

	// Paths are the folders and files that may be read and written, from the
	// repository's root. Example: ["apps"]. Empty: the whole repository.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +kubebuilder:validation:items:XValidation:rule=`!self.startsWith('/') && !self.matches(r'(^|/)[.][.](/|$)')`,message="leaves the repository: write it from the repository's root, without / in front and without .."
	Paths []string `json:"paths,omitempty"`

	// Credentials for the Git server. Absent: the repository is read and written
	// without logging in.
	//
	// +optional
	Credentials *GitCredentials `json:"credentials,omitempty"`

	// Policies says which policies may bind fields in this repository.
	//
	// +optional
	// +kubebuilder:default={}
	Policies PolicyGrant `json:"policies,omitempty"`

	// Commit says how commits look.
	//
	// +optional
	// +kubebuilder:default={}
	Commit Commit `json:"commit,omitempty"`

	// Mode is Push, straight to the branch, or PullRequest, where the branch is
	// protected.
	//
	// +optional
	// +kubebuilder:default=Push
	Mode Mode `json:"mode,omitempty"`

	// PullRequest has the settings of mode PullRequest.
	//
	// +optional
	PullRequest *PullRequest `json:"pullRequest,omitempty"`

	// Windows are the times in which updates are written; what comes outside waits for
	// the next one. Rollbacks do not wait. Empty: always.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Windows []Window `json:"windows,omitempty"`

	// MaxPerPush is how many policies one push moves at most; the others wait for the
	// next. 0: all that is due.
	//
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MaxPerPush int32 `json:"maxPerPush,omitempty"`

	// Suspend stops all writing to this repository while it is true.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// GitCredentials names what logs in to the Git server.
type GitCredentials struct {
	// SecretRef names a Secret in the repository's namespace: username and password, or
	// a token as password; optionally ca.crt with the server's certificate authorities
	// in PEM; for SSH identity and known_hosts.
	SecretRef LocalReference `json:"secretRef"`
}

// PolicyGrant says which policies may bind fields in a repository.
type PolicyGrant struct {
	// Namespaces whose policies may.
	//
	// +optional
	// +kubebuilder:default={from: Same}
	Namespaces NamespaceGrant `json:"namespaces,omitempty"`
}

// NamespaceGrant says which namespaces may, in the way of the Gateway API.
//
// +kubebuilder:validation:XValidation:rule="self.from == 'Selector' ? has(self.selector) : !has(self.selector)",message="needs a selector with from: Selector, and none otherwise"
type NamespaceGrant struct {
	// From is Same (the repository's own namespace), All, or Selector.
	//
	// +optional
	// +kubebuilder:default=Same
	From From `json:"from,omitempty"`

	// Selector picks namespaces by their labels, with from: Selector.
	//
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// From is a way to name namespaces.
//
// +kubebuilder:validation:Enum=Same;All;Selector
type From string

// The ways to name namespaces.
const (
	FromSame     From = "Same"
	FromAll      From = "All"
	FromSelector From = "Selector"
)

// Commit says how commits look.
type Commit struct {
	// Author of the commits. Absent: Pintle's own name.
	//
	// +optional
	Author *Author `json:"author,omitempty"`

	// Grouping says what goes into one commit: the fields of one Image, so that
	// reverting a commit rolls back one image; of one Policy; or All of a push.
	//
	// +optional
	// +kubebuilder:default=Image
	Grouping Grouping `json:"grouping,omitempty"`

	// MessageTemplate is a Go text/template of the message; the entries of the ledger
	// are added after it. It may neither define nor call templates. Absent: a
	// subject that names image and versions, and a table of the files.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	MessageTemplate string `json:"messageTemplate,omitempty"`

	// Signing makes signed commits; then only signed entries count, and those that the
	// first signed one stands on.
	//
	// +optional
	Signing *Signing `json:"signing,omitempty"`
}

// Author is who a commit is by.
//
// +kubebuilder:validation:XValidation:rule=`!self.name.matches(r'[<>[:cntrl:]]') && self.name.matches(r'[^[:space:]]')`,message="name must have letters and be one line without < and >"
type Author struct {
	// Name of the author.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`

	// Email of the author.
	//
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[^\s<>@]+@[^\s<>@]+$')`,message="is no e-mail address: write it as in pintle@example.com"
	Email string `json:"email"`
}

// Grouping is what goes into one commit or one pull request.
//
// +kubebuilder:validation:Enum=Image;Policy;All
type Grouping string

// The groupings of commits and pull requests.
const (
	GroupingImage  Grouping = "Image"
	GroupingPolicy Grouping = "Policy"
	GroupingAll    Grouping = "All"
)

// Signing names the key that signs commits.
type Signing struct {
	// SecretRef names a Secret in the repository's namespace whose key signingKey holds
	// a private key, OpenPGP or OpenSSH, and passphrase, where it has one, opens it.
	// trustedKeys has the public keys of others whose entries count, such as one that
	// was replaced.
	SecretRef LocalReference `json:"secretRef"`
}

// Mode is the way in which updates reach the branch.
//
// +kubebuilder:validation:Enum=Push;PullRequest
type Mode string

// The ways in which updates reach the branch.
const (
	ModePush        Mode = "Push"
	ModePullRequest Mode = "PullRequest"
)

// PullRequest has the settings of mode PullRequest.
type PullRequest struct {
	// Forge is whose API the Git server speaks: GitHub, GitLab, or Gitea (Forgejo too).
	// Absent: known by the host of github.com, gitlab.com, gitea.com and codeberg.org.
	//
	// +optional
	Forge Forge `json:"forge,omitempty"`

	// Grouping says what goes into one pull request: All that is due, what concerns
	// one Image, or one Policy.
	//
	// +optional
	// +kubebuilder:default=All
	Grouping Grouping `json:"grouping,omitempty"`

	// Labels that the pull request gets.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Labels []string `json:"labels,omitempty"`

	// Reviewers who are asked, by their names at the forge.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Reviewers []string `json:"reviewers,omitempty"`
}

// Forge is whose API a Git server speaks.
//
// +kubebuilder:validation:Enum=GitHub;GitLab;Gitea
type Forge string

// Window is a time in which updates are written.
type Window struct {
	// Schedule says when the window opens, in cron's five fields: "0 9 * * 1-5". The
	// time zone is told by timeZone.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'^(CRON_)?TZ=')`,message="has a time zone in the schedule: write it in timeZone"
	// +kubebuilder:validation:XValidation:rule=`!self.startsWith('@every')`,message="has no fixed time: write cron's five fields, as in 0 9 * * 1-5"
	Schedule string `json:"schedule"`

	// Duration is how long the window stays open: a duration such as 8h or 90m.
	//
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([0-9]{1,5}([.][0-9]{1,3})?(ms|s|m|h)){1,4}$') && duration(self) > duration('0s')`,message="is no duration: write it as in 8h, 90m or 1h30m; days and weeks are no units"
	Duration metav1.Duration `json:"duration"`

	// TimeZone of the schedule, by its IANA name: Europe/Paris.
	//
	// +optional
	// +kubebuilder:default=UTC
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TimeZone string `json:"timeZone,omitempty"`
}

// ManifestRepositoryStatus is what Pintle last saw and did, for reading.
type ManifestRepositoryStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Head is the commit that the branch held when it was last looked at.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Head string `json:"head,omitempty"`

	// LastPush is Pintle's newest push.
	//
	// +optional
	LastPush *Push `json:"lastPush,omitempty"`

	// Counts are the numbers of what the repository holds.
	//
	// +optional
	Counts *Counts `json:"counts,omitempty"`

	// Problems are what somebody should mend, sorted by file and line; the first 50.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=50
	Problems []Problem `json:"problems,omitempty"`

	// Conditions are Ready and Written.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Push is a push that Pintle made.
type Push struct {
	// Commit is the newest commit that was pushed.
	//
	// +kubebuilder:validation:MaxLength=64
	Commit string `json:"commit"`

	// Time of the push.
	Time metav1.Time `json:"time"`

	// Commits is how many were pushed.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Commits int32 `json:"commits,omitempty"`
}

// Counts are the numbers of what a repository holds.
type Counts struct {
	// Policies that have fields in the repository.
	//
	// +kubebuilder:validation:Minimum=0
	Policies int32 `json:"policies"`

	// Fields that are bound to a policy.
	//
	// +kubebuilder:validation:Minimum=0
	Fields int32 `json:"fields"`

	// Held are policies that wait because of vetoes or a pin.
	//
	// +kubebuilder:validation:Minimum=0
	Held int32 `json:"held"`

	// Problems found, also those that problems has no room for.
	//
	// +kubebuilder:validation:Minimum=0
	Problems int32 `json:"problems"`
}

// ManifestRepositoryList is a list of manifest repositories.
//
// +kubebuilder:object:root=true
type ManifestRepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ManifestRepository `json:"items"`
}
