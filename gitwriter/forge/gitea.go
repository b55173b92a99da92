// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"code.gitea.io/sdk/gitea"
)

const (
	// learnWithin is how long a Gitea may take to learn of a push.
	learnWithin = 10 * time.Second
	learnEvery  = 100 * time.Millisecond
	// labelColor is for labels that are made.
	labelColor = "#8a8a8a"
)

// giteaForge speaks Gitea's API.
type giteaForge struct {
	wire        *wire
	client      *gitea.Client
	owner, name string
	login       string
	listed      listed
	// seen remembers what a list does not tell.
	seen map[int64]giteaSeen
}

// giteaSeen is a request as it was when it was changed last.
type giteaSeen struct {
	updated time.Time
	pull    *gitea.PullRequest
}

func newGitea(root, owner, name string, auth Auth, w *wire) (*giteaForge, error) {
	options := []gitea.ClientOption{gitea.SetGiteaVersion(""), gitea.SetHTTPClient(w.client()), gitea.SetUserAgent("pintle")}
	if auth.Username != "" {
		options = append(options, gitea.SetBasicAuth(auth.Username, auth.Password))
	} else {
		options = append(options, gitea.SetToken(auth.Password))
	}
	client, err := gitea.NewClient(root, options...)
	if err != nil {
		return nil, w.failed("log in", err)
	}
	return &giteaForge{wire: w, client: client, owner: owner, name: name, seen: map[int64]giteaSeen{}}, nil
}

// Requests implements Forge.
func (g *giteaForge) Requests(ctx context.Context, base string) ([]Request, error) {
	g.client.SetContext(ctx)
	if g.login == "" {
		me, _, err := g.client.GetMyUserInfo()
		if err != nil {
			return nil, g.wire.failed("find out whose login this is", err)
		}
		g.login = me.UserName
	}
	since := g.listed.begin(base, time.Now())
	err := pages(g.wire, func(page int) (int, error) {
		issues, resp, err := g.client.ListRepoIssues(g.owner, g.name, gitea.ListIssueOption{
			ListOptions: gitea.ListOptions{Page: page, PageSize: 50}, State: gitea.StateAll, Type: gitea.IssueTypePull, CreatedBy: g.login, Since: since,
		})
		if err != nil {
			return 0, g.wire.failed("list the pull requests", err)
		}
		for _, issue := range issues {
			if issue.PullRequest != nil && issue.PullRequest.HasMerged {
				g.listed.saw(giteaRequest(issue, ""), issue.Updated, true)
				continue
			}
			pull, err := g.pull(issue)
			if err != nil {
				return 0, err
			}
			if pull.Base == nil || pull.Head == nil {
				continue
			}
			counts := pull.Base.Name == base && pull.Head.RepoID == pull.Base.RepoID
			g.listed.saw(giteaRequest(issue, pull.Head.Name), issue.Updated, counts)
		}
		return resp.NextPage, nil
	})
	if err != nil {
		return nil, err
	}
	return g.listed.end(time.Now()), nil
}

// pull asks for the branches of a request, once for each change of it.
func (g *giteaForge) pull(issue *gitea.Issue) (*gitea.PullRequest, error) {
	if known, ok := g.seen[issue.Index]; ok && known.updated.Equal(issue.Updated) {
		return known.pull, nil
	}
	pull, _, err := g.client.GetPullRequest(g.owner, g.name, issue.Index)
	if err != nil {
		return nil, g.wire.failed(fmt.Sprintf("read pull request #%d", issue.Index), err)
	}
	g.seen[issue.Index] = giteaSeen{issue.Updated, pull}
	return pull, nil
}

func giteaRequest(issue *gitea.Issue, branch string) Request {
	r := Request{Number: int(issue.Index), URL: issue.HTMLURL, Branch: branch, Text: Text{issue.Title, issue.Body}}
	for _, l := range issue.Labels {
		r.Labels = append(r.Labels, l.Name)
	}
	switch {
	case issue.PullRequest != nil && issue.PullRequest.HasMerged:
		r.State = Merged
	case issue.State == gitea.StateClosed:
		r.State = Closed
	}
	if issue.Closed != nil {
		r.Ended = *issue.Closed
	}
	return r
}

// Messages implements Forge.
func (g *giteaForge) Messages(ctx context.Context, number int) ([]string, error) {
	g.client.SetContext(ctx)
	var messages []string
	err := pages(g.wire, func(page int) (int, error) {
		commits, resp, err := g.client.ListPullRequestCommits(g.owner, g.name, int64(number), gitea.ListPullRequestCommitsOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: 50}})
		if err != nil {
			return 0, g.wire.failed(fmt.Sprintf("read the commits of pull request #%d", number), err)
		}
		for _, c := range commits {
			if c.RepoCommit != nil {
				messages = append(messages, c.RepoCommit.Message)
			}
		}
		return resp.NextPage, nil
	})
	return messages, err
}

// Open implements Forge. Gitea learns of a push a moment after it.
func (g *giteaForge) Open(ctx context.Context, branch, base string, text Text) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, learnWithin)
	defer cancel()
	g.client.SetContext(ctx)
	for {
		pull, _, err := g.client.CreatePullRequest(g.owner, g.name, gitea.CreatePullRequestOption{Head: branch, Base: base, Title: text.Title, Body: text.Body})
		if err == nil {
			return Request{Number: int(pull.Index), URL: pull.HTMLURL, Branch: branch, Text: text}, nil
		}
		failed := g.wire.failed("open a pull request", err)
		if known, ok := errors.AsType[*Error](err); !ok || known.Kind != NotFound {
			return Request{}, failed
		}
		select {
		case <-ctx.Done():
			return Request{}, failed
		case <-time.After(learnEvery):
		}
	}
}

// Edit implements Forge.
func (g *giteaForge) Edit(ctx context.Context, number int, text Text) error {
	g.client.SetContext(ctx)
	_, _, err := g.client.EditPullRequest(g.owner, g.name, int64(number), gitea.EditPullRequestOption{Title: text.Title, Body: &text.Body})
	return g.wire.failed(fmt.Sprintf("edit pull request #%d", number), err)
}

// Label implements Forge. Gitea knows labels by their numbers.
func (g *giteaForge) Label(ctx context.Context, number int, labels []string) error {
	g.client.SetContext(ctx)
	known := map[string]int64{}
	err := pages(g.wire, func(page int) (int, error) {
		some, resp, err := g.client.ListRepoLabels(g.owner, g.name, gitea.ListLabelsOptions{ListOptions: gitea.ListOptions{Page: page, PageSize: 50}})
		if err != nil {
			return 0, g.wire.failed("list the labels", err)
		}
		for _, l := range some {
			known[l.Name] = l.ID
		}
		return resp.NextPage, nil
	})
	if err != nil {
		return err
	}
	var ids []int64
	for _, name := range labels {
		if known[name] == 0 {
			made, _, err := g.client.CreateLabel(g.owner, g.name, gitea.CreateLabelOption{Name: name, Color: labelColor})
			if err != nil {
				return g.wire.failed("make the label "+name, err)
			}
			known[name] = made.ID
		}
		ids = append(ids, known[name])
	}
	_, _, err = g.client.AddIssueLabels(g.owner, g.name, int64(number), gitea.IssueLabelsOption{Labels: ids})
	return g.wire.failed(fmt.Sprintf("label pull request #%d", number), err)
}

// Ask implements Forge.
func (g *giteaForge) Ask(ctx context.Context, number int, reviewers []string) error {
	g.client.SetContext(ctx)
	_, err := g.client.CreateReviewRequests(g.owner, g.name, int64(number), gitea.PullReviewRequestOptions{Reviewers: reviewers})
	return g.wire.failed(fmt.Sprintf("ask for reviews of pull request #%d", number), err)
}

// Close implements Forge.
func (g *giteaForge) Close(ctx context.Context, number int) error {
	g.client.SetContext(ctx)
	closed := gitea.StateClosed
	_, _, err := g.client.EditPullRequest(g.owner, g.name, int64(number), gitea.EditPullRequestOption{State: &closed})
	return g.wire.failed(fmt.Sprintf("close pull request #%d", number), err)
}
