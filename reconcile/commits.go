// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/signing"
)

// Commits says how Pintle's commits look, and who makes them.
type Commits struct {
	// Author is Pintle <noreply@pintle.dev> where it is empty. It is the committer too.
	Author Signature
	// Grouping is ByImage where it is empty.
	Grouping Grouping
	// Template makes the messages; nil for the default ones.
	Template *gitwriter.Template
	// Keys sign the commits, and then only signed ones count as entries; nil where they
	// are not signed.
	Keys *signing.Keys
}

// Signature is who makes Pintle's commits.
type Signature struct{ Name, Email string }

// defaultAuthor applies where none is configured.
var defaultAuthor = Signature{Name: "Pintle", Email: "noreply@pintle.dev"}

func (c Commits) withDefaults() Commits {
	if c.Author == (Signature{}) {
		c.Author = defaultAuthor
	}
	return c
}

// Grouping is what goes into one commit.
type Grouping string

// The groupings.
const (
	ByImage  Grouping = "Image"
	ByPolicy Grouping = "Policy"
	AllInOne Grouping = "All"
)

// of is the group that a policy is in, of those of a push.
func (g Grouping) of(o *outcome) string {
	switch g {
	case ByPolicy:
		return o.name
	case AllInOne:
		return ""
	default:
		return canonical(o.spec.Image)
	}
}

const (
	// maxOrigins bounds the images that one push asks for their origins, and
	// originPatience what it waits for them: a push does not wait for what is only
	// good to know.
	maxOrigins     = 20
	originPatience = 2 * time.Second
)

// compose gives the commits their messages.
func (d *decision) compose(ctx context.Context, t task, plan []gitwriter.Planned, template *gitwriter.Template) {
	var origins map[string]gitwriter.Origin
	if t.write {
		origins = d.origins(ctx, plan)
	}
	for i := range plan {
		if err := plan[i].Compose(template, origins); err != nil {
			d.problems = append(d.problems, Problem{Message: fmt.Sprintf("the template of commit messages does not work for %q, which has the default message: %v", plan[i].Subject(), err)})
		}
	}
}

// origins are what images say that they were made of, by digest: those that are
// written are asked for, and those that they replace are looked up in what is known.
func (d *decision) origins(ctx context.Context, plan []gitwriter.Planned) map[string]gitwriter.Origin {
	by := make(map[string]*outcome, len(d.policies))
	for _, o := range d.policies {
		by[o.name] = o
	}
	var asked []gitwriter.Update
	seen := map[string]bool{}
	origins := map[string]gitwriter.Origin{}
	for _, p := range plan {
		for _, u := range p.Updates {
			old, digest := u.Slot.Value.Digest(), u.Wrote.Digest()
			if o, known := by[u.Slot.Policy].pass.KnownOrigin(old); known {
				origins[old] = gitwriter.Origin(o)
			}
			// Where a version only gets its digest, nothing new is said.
			repinned := u.Slot.Value.Tag() == u.Wrote.Tag() && old == ""
			if digest != "" && !repinned && !seen[digest] && len(asked) < maxOrigins {
				seen[digest] = true
				asked = append(asked, u)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, originPatience)
	defer cancel()
	var mu sync.Mutex
	_ = each(ctx, len(asked), func(ctx context.Context, i int) {
		u := asked[i]
		found, err := by[u.Slot.Policy].pass.Origin(ctx, u.Image, u.Wrote.Digest())
		if err != nil {
			return // A message without it is as good as one of an image that says nothing.
		}
		mu.Lock()
		defer mu.Unlock()
		origins[u.Wrote.Digest()] = gitwriter.Origin(found)
	})
	return origins
}
