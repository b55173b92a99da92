// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/reconcile/decide"
)

// Reason is the word for a verdict; see package decide.
type Reason = decide.Reason

// The reasons that a report can hold.
const (
	UpToDate         = decide.UpToDate
	Updated          = decide.Updated
	Due              = decide.Due
	Proposed         = decide.Proposed
	RolledBack       = decide.RolledBack
	ManuallySet      = decide.ManuallySet
	Pinned           = decide.Pinned
	Suspended        = decide.Suspended
	TooYoung         = decide.TooYoung
	WindowClosed     = decide.WindowClosed
	NoMatch          = decide.NoMatch
	DowngradeRefused = decide.DowngradeRefused
	NoField          = decide.NoField
	Failed           = decide.Failed
)

// Report is what a plan or a sync found and did. Its JSON is stable.
type Report struct {
	// Head is the commit that the branch holds after the pass.
	Head string `json:"head"`
	// Branch is the branch's short name.
	Branch string `json:"branch"`
	// Commits were made by a sync or, without a sha, would be by a plan.
	Commits []Commit `json:"commits"`
	// Policies are all policies found, sorted by namespace and name.
	Policies []Policy `json:"policies"`
	// Problems are what else is wrong, sorted by file and line.
	Problems []Problem `json:"problems"`
	// Diffs holds the files that the commits change, for people.
	Diffs []FileDiff `json:"-"`
	// Notices are things that a person may want to know and need not mend.
	Notices []string `json:"-"`
	// Checkout is true where the repository is a checkout whose branch, index
	// and files were moved without a push.
	Checkout bool `json:"-"`
	// Races is how often somebody else pushed first.
	Races int `json:"-"`
	// Settled are the policies as the next pass finds them, if nothing changes until
	// then: what is updated here holds its selection there.
	Settled []Policy `json:"-"`
}

// Commit is one commit of a pass.
type Commit struct {
	// SHA is empty in a plan.
	SHA     string   `json:"sha"`
	Subject string   `json:"subject"`
	Changes []Change `json:"changes"`
}

// Change is one scalar that a commit moves. Old and New are the scalar's values.
type Change struct {
	Policy string `json:"policy"`
	Image  string `json:"image"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Old    string `json:"old"`
	New    string `json:"new"`
	// Repinned is true where the version stays and only a digest is added,
	// which restarts workloads all the same; people see these counted apart.
	Repinned bool `json:"-"`
}

// TagDigest is a tag and the digest that it stands for.
type TagDigest struct {
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
}

// Policy is the outcome for one policy.
type Policy struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Image     string `json:"image"`
	// Selected is null where nothing could be selected.
	Selected *TagDigest `json:"selected"`
	// Stale is true where Selected is from an earlier pass, since the registry does
	// not answer now. Nothing is written then.
	Stale bool `json:"stale,omitempty"`
	// Current is null where the fields differ, or where there is none.
	Current *TagDigest `json:"current"`
	Reason  Reason     `json:"reason"`
	Message string     `json:"message"`
	Fields  []Field    `json:"fields"`
	// Request is the pull request that proposes the selection, where Reason is
	// Proposed.
	Request *Request `json:"request,omitempty"`
	// Digests are those that the fields hold of the image, each once.
	Digests []string `json:"-"`
	// UID and Generation are those of the object in a cluster, as it was read.
	UID        types.UID `json:"-"`
	Generation int64     `json:"-"`
}

// Request is a pull request.
type Request struct {
	Number int    `json:"number"`
	URL    string `json:"url"`
}

// Field is the verdict of one bound scalar.
type Field struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Value  string `json:"value"`
	Reason Reason `json:"reason"`
	// Message says why, in one sentence.
	Message string `json:"message"`
}

// Problem is something wrong that a person should mend. File and Line are
// empty where it has no place in the repository.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// FileDiff is a file before and after the pass.
type FileDiff struct {
	Path     string
	Old, New []byte
}

// Explanation is every candidate of a policy and the verdict of every field.
type Explanation struct {
	Policy     Policy      `json:"policy"`
	Rule       string      `json:"rule"`
	Candidates []Candidate `json:"candidates"`
	Vetoes     []Veto      `json:"vetoes"`
	Problems   []Problem   `json:"problems"`
}

// Candidate is a tag with its rank from 1, or with the reason it was dropped.
type Candidate struct {
	Tag     string `json:"tag"`
	Rank    int    `json:"rank,omitempty"`
	Dropped string `json:"dropped,omitempty"`
}

// Veto is a value that was undone and will not be written again.
type Veto struct {
	TagDigest

	// By is the commit that undid it, where Git tells; Author and When (RFC
	// 3339) are that commit's.
	By     string `json:"by,omitempty"`
	Author string `json:"author,omitempty"`
	When   string `json:"when,omitempty"`
}
