// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/reconcile"
)

// Commits is how commits look by a spec, besides their signatures. The error is about
// the spec.
func Commits(spec v1alpha1.Commit) (reconcile.Commits, error) {
	commits := reconcile.Commits{Grouping: reconcile.Grouping(spec.Grouping)}
	if a := spec.Author; a != nil {
		commits.Author = reconcile.Signature{Name: a.Name, Email: a.Email}
	}
	if spec.MessageTemplate != "" {
		template, err := gitwriter.NewTemplate(spec.MessageTemplate)
		if err != nil {
			return commits, fmt.Errorf("spec.commit.messageTemplate: the template %w", err)
		}
		commits.Template = template
	}
	return commits, nil
}
