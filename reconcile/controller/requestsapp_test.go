// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/githubapp"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// A forge is not asked without the login that the Secret seems to hold.
func TestNoRequestsAsAnApp(t *testing.T) {
	o := &opened{}
	spec := v1alpha1.ManifestRepositorySpec{URL: "https://github.com/acme/fleet", Mode: v1alpha1.ModePullRequest}
	if err := o.propose(types.NamespacedName{}, spec, mirror.Auth{App: githubapp.App{ID: "1", InstallationID: "2", PrivateKey: "k"}}); !errors.Is(err, errAppRequests) {
		t.Errorf("the error is %v, want %v", err, errAppRequests)
	}
	if o.forge != nil {
		t.Error("there is a forge")
	}
}
