// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-github/v88/github"
)

// githubForge speaks GitHub's API.
type githubForge struct {
	wire        *wire
	client      *github.Client
	owner, name string
	login       string
	listed      listed
	// seen remembers what a list does not tell.
	seen map[int]githubSeen
}

// githubSeen is a request as it was when it was changed last.
type githubSeen struct {
	updated time.Time
	pull    *github.PullRequest
}

func newGitHub(root, owner, name string, auth Auth, w *wire) (*githubForge, error) {
	options := []github.ClientOptionsFunc{github.WithHTTPClient(w.client()), github.WithDisableRateLimitCheck(), github.WithUserAgent("pintle")}
	if auth.Password != "" {
		options = append(options, github.WithAuthToken(auth.Password))
	}
	if root != "https://github.com" {
		options = append(options, github.WithEnterpriseURLs(root, root))
	}
	client, err := github.NewClient(options...)
	if err != nil {
		return nil, w.failed("log in", err)
	}
	return &githubForge{wire: w, client: client, owner: owner, name: name, seen: map[int]githubSeen{}}, nil
}

// Requests implements Forge.
func (g *githubForge) Requests(ctx context.Context, base string) ([]Request, error) {
	if g.login == "" {
		me, _, err := g.client.Users.Get(ctx, "")
		if err != nil {
			return nil, g.wire.failed("find out whose login this is", err)
		}
		g.login = me.GetLogin()
	}
	since := g.listed.begin(base, time.Now())
	err := pages(g.wire, func(page int) (int, error) {
		issues, resp, err := g.client.Issues.ListByRepo(ctx, g.owner, g.name, &github.IssueListByRepoOptions{
			State: "all", Creator: g.login, Since: since, ListOptions: github.ListOptions{Page: page, PerPage: 100},
		})
		if err != nil {
			return 0, g.wire.failed("list the pull requests", err)
		}
		for _, issue := range issues {
			if issue.PullRequestLinks == nil {
				continue
			}
			if issue.PullRequestLinks.MergedAt != nil {
				g.listed.saw(githubRequest(issue, nil), issue.GetUpdatedAt().Time, true)
				continue
			}
			pull, err := g.pull(ctx, issue)
			if err != nil {
				return 0, err
			}
			counts := pull.GetBase().GetRef() == base && pull.GetHead().GetRepo().GetID() == pull.GetBase().GetRepo().GetID()
			g.listed.saw(githubRequest(issue, pull), issue.GetUpdatedAt().Time, counts)
		}
		return resp.NextPage, nil
	})
	if err != nil {
		return nil, err
	}
	return g.listed.end(time.Now()), nil
}

// pull asks for the branches of a request, once for each change of it.
func (g *githubForge) pull(ctx context.Context, issue *github.Issue) (*github.PullRequest, error) {
	if known, ok := g.seen[issue.GetNumber()]; ok && known.updated.Equal(issue.GetUpdatedAt().Time) {
		return known.pull, nil
	}
	pull, _, err := g.client.PullRequests.Get(ctx, g.owner, g.name, issue.GetNumber())
	if err != nil {
		return nil, g.wire.failed(fmt.Sprintf("read pull request #%d", issue.GetNumber()), err)
	}
	g.seen[issue.GetNumber()] = githubSeen{issue.GetUpdatedAt().Time, pull}
	return pull, nil
}

// githubRequest needs no pull where it was merged.
func githubRequest(issue *github.Issue, pull *github.PullRequest) Request {
	r := Request{
		Number: issue.GetNumber(), URL: issue.GetHTMLURL(), Branch: pull.GetHead().GetRef(),
		Text: Text{issue.GetTitle(), issue.GetBody()}, Ended: issue.GetClosedAt().Time,
	}
	for _, l := range issue.Labels {
		r.Labels = append(r.Labels, l.GetName())
	}
	switch {
	case issue.PullRequestLinks.MergedAt != nil || pull.GetMerged():
		r.State = Merged
	case issue.GetState() == "closed":
		r.State = Closed
	}
	return r
}

// Messages implements Forge.
func (g *githubForge) Messages(ctx context.Context, number int) ([]string, error) {
	var messages []string
	err := pages(g.wire, func(page int) (int, error) {
		commits, resp, err := g.client.PullRequests.ListCommits(ctx, g.owner, g.name, number, &github.ListOptions{Page: page, PerPage: 100})
		if err != nil {
			return 0, g.wire.failed(fmt.Sprintf("read the commits of pull request #%d", number), err)
		}
		for _, c := range commits {
			messages = append(messages, c.GetCommit().GetMessage())
		}
		return resp.NextPage, nil
	})
	return messages, err
}

// Open implements Forge.
func (g *githubForge) Open(ctx context.Context, branch, base string, text Text) (Request, error) {
	pull, _, err := g.client.PullRequests.Create(ctx, g.owner, g.name, &github.NewPullRequest{Title: &text.Title, Head: &branch, Base: &base, Body: &text.Body})
	if err != nil {
		return Request{}, g.wire.failed("open a pull request", err)
	}
	return Request{Number: pull.GetNumber(), URL: pull.GetHTMLURL(), Branch: branch, Text: text}, nil
}

// Edit implements Forge.
func (g *githubForge) Edit(ctx context.Context, number int, text Text) error {
	_, _, err := g.client.PullRequests.Edit(ctx, g.owner, g.name, number, &github.PullRequest{Title: &text.Title, Body: &text.Body})
	return g.wire.failed(fmt.Sprintf("edit pull request #%d", number), err)
}

// Label implements Forge. The client would send a bare list, which the API's published
// description does not have.
func (g *githubForge) Label(ctx context.Context, number int, labels []string) error {
	req, err := g.client.NewRequest(ctx, http.MethodPost, fmt.Sprintf("repos/%s/%s/issues/%d/labels", g.owner, g.name, number), map[string][]string{"labels": labels})
	if err == nil {
		_, err = g.client.Do(req, nil)
	}
	return g.wire.failed(fmt.Sprintf("label pull request #%d", number), err)
}

// Ask implements Forge.
func (g *githubForge) Ask(ctx context.Context, number int, reviewers []string) error {
	_, _, err := g.client.PullRequests.RequestReviewers(ctx, g.owner, g.name, number, github.ReviewersRequest{Reviewers: reviewers})
	return g.wire.failed(fmt.Sprintf("ask for reviews of pull request #%d", number), err)
}

// Close implements Forge.
func (g *githubForge) Close(ctx context.Context, number int) error {
	closed := "closed"
	_, _, err := g.client.PullRequests.Edit(ctx, g.owner, g.name, number, &github.PullRequest{State: &closed})
	return g.wire.failed(fmt.Sprintf("close pull request #%d", number), err)
}
