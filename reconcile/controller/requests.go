// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
)

// kindOf is whose API the repository's server speaks, as the spec says or the host.
func kindOf(spec v1alpha1.ManifestRepositorySpec) forge.Kind {
	named := v1alpha1.Forge("")
	if spec.PullRequest != nil {
		named = spec.PullRequest.Forge
	}
	return cmp.Or(forge.Kind(named), forge.KindOf(spec.URL))
}

// requestsRefusal says why no pull requests can be opened, or nothing.
func requestsRefusal(spec v1alpha1.ManifestRepositorySpec) string {
	u, err := url.Parse(spec.URL)
	switch {
	case spec.Mode != v1alpha1.ModePullRequest:
		return ""
	case err != nil || u.Scheme != "https" && u.Scheme != "http":
		return "spec.url: mode PullRequest needs an https URL, by which the forge's API is found"
	case kindOf(spec) == "":
		return fmt.Sprintf("spec.pullRequest.forge: it is not known whose API %s speaks: set it to GitHub, GitLab or Gitea", u.Host)
	case spec.Credentials == nil:
		return "spec.credentials: pull requests can't be opened without a login: name a Secret with a token"
	}
	return ""
}

// errAppRequests: a GitHub App has no user, by which its own requests are known.
var errAppRequests = errors.New("cannot open pull requests as a GitHub App: put a token of a user of its own into the Secret of spec.credentials")

// propose lets the engine propose or push, as the spec says. The forge is kept, with
// what was read there, while the login is the same.
func (o *opened) propose(owner types.NamespacedName, spec v1alpha1.ManifestRepositorySpec, auth mirror.Auth) error {
	if spec.Mode != v1alpha1.ModePullRequest {
		o.forge = nil
		o.engine.Propose(nil)
		return nil
	}
	if auth.App.ID != "" {
		return errAppRequests
	}
	if o.forge == nil || o.auth != auth || kindOf(o.spec) != kindOf(spec) {
		var err error
		o.forge, err = forge.New(spec.URL, kindOf(spec), forge.Auth{Username: auth.Username, Password: auth.Password, RootCAs: auth.RootCAs})
		if err != nil {
			return err
		}
		o.auth, o.spec.PullRequest = auth, spec.PullRequest
	}
	how := &reconcile.PullRequests{Forge: o.forge, Owner: owner.String()}
	if r := spec.PullRequest; r != nil {
		how.Grouping, how.Labels, how.Reviewers = r.Grouping, r.Labels, r.Reviewers
	}
	o.engine.Propose(how)
	return nil
}

// failing takes note of a failure, and says how long it is to the next try: longer with
// each, and never shorter than a forge asks to be left alone.
func (o *opened) failing(err error, generation int64, now time.Time) time.Duration {
	o.asked = 0
	if at, ok := errors.AsType[*forge.Error](err); ok {
		o.asked = at.Wait
	}
	retry := max(min(firstRetry<<min(o.failures, 10), lastRetry), o.asked)
	o.failures++
	o.tried, o.failed, o.retry = now, generation, now.Add(retry)
	return retry
}
