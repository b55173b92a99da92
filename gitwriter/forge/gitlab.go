// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"errors"
	"fmt"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"
)

// gitlabForge speaks GitLab's API.
type gitlabForge struct {
	wire    *wire
	client  *gitlab.Client
	project string
	login   string
	listed  listed
}

func newGitLab(root, project string, auth Auth, w *wire) (*gitlabForge, error) {
	client, err := gitlab.NewClient(auth.Password, gitlab.WithBaseURL(root), gitlab.WithHTTPClient(w.client()), gitlab.WithoutRetries(), gitlab.WithUserAgent("pintle"))
	if err != nil {
		return nil, w.failed("log in", err)
	}
	return &gitlabForge{wire: w, client: client, project: project}, nil
}

// Requests implements Forge.
func (g *gitlabForge) Requests(ctx context.Context, base string) ([]Request, error) {
	with := gitlab.WithContext(ctx)
	if g.login == "" {
		me, _, err := g.client.Users.CurrentUser(with)
		if err != nil {
			return nil, g.wire.failed("find out whose login this is", err)
		}
		g.login = me.Username
	}
	options := &gitlab.ListProjectMergeRequestsOptions{
		ListOptions: gitlab.ListOptions{PerPage: 100}, State: new("all"), Scope: new("all"), AuthorUsername: &g.login, TargetBranch: &base,
	}
	since := g.listed.begin(base, time.Now())
	if !since.IsZero() {
		// One that has another target now would not be told of.
		options.TargetBranch, options.UpdatedAfter = nil, &since
	}
	err := pages(g.wire, func(page int) (int, error) {
		options.Page = int64(page)
		requests, resp, err := g.client.MergeRequests.ListProjectMergeRequests(g.project, options, with)
		if err != nil {
			return 0, g.wire.failed("list the merge requests", err)
		}
		for _, r := range requests {
			if r.UpdatedAt != nil {
				g.listed.saw(gitlabRequest(r), *r.UpdatedAt, r.SourceProjectID == r.TargetProjectID && r.TargetBranch == base)
			}
		}
		return int(resp.NextPage), nil
	})
	if err != nil {
		return nil, err
	}
	return g.listed.end(time.Now()), nil
}

func gitlabRequest(r *gitlab.BasicMergeRequest) Request {
	found := Request{Number: int(r.IID), URL: r.WebURL, Branch: r.SourceBranch, Text: Text{r.Title, r.Description}, Labels: r.Labels}
	switch r.State {
	case "merged":
		found.State = Merged
		if r.MergedAt != nil {
			found.Ended = *r.MergedAt
		}
	case "closed":
		found.State = Closed
		if r.ClosedAt != nil {
			found.Ended = *r.ClosedAt
		}
	}
	return found
}

// Messages implements Forge.
func (g *gitlabForge) Messages(ctx context.Context, number int) ([]string, error) {
	var messages []string
	err := pages(g.wire, func(page int) (int, error) {
		commits, resp, err := g.client.MergeRequests.GetMergeRequestCommits(g.project, int64(number), &gitlab.GetMergeRequestCommitsOptions{
			ListOptions: gitlab.ListOptions{Page: int64(page), PerPage: 100},
		}, gitlab.WithContext(ctx))
		if err != nil {
			return 0, g.wire.failed(fmt.Sprintf("read the commits of merge request !%d", number), err)
		}
		for _, c := range commits {
			messages = append(messages, c.Message)
		}
		return int(resp.NextPage), nil
	})
	return messages, err
}

// Open implements Forge.
func (g *gitlabForge) Open(ctx context.Context, branch, base string, text Text) (Request, error) {
	r, _, err := g.client.MergeRequests.CreateMergeRequest(g.project, &gitlab.CreateMergeRequestOptions{
		Title: &text.Title, Description: &text.Body, SourceBranch: &branch, TargetBranch: &base,
	}, gitlab.WithContext(ctx))
	if err != nil {
		return Request{}, g.wire.failed("open a merge request", err)
	}
	return Request{Number: int(r.IID), URL: r.WebURL, Branch: branch, Text: text}, nil
}

// Edit implements Forge.
func (g *gitlabForge) Edit(ctx context.Context, number int, text Text) error {
	return g.update(ctx, "edit", number, &gitlab.UpdateMergeRequestOptions{Title: &text.Title, Description: &text.Body})
}

// Label implements Forge.
func (g *gitlabForge) Label(ctx context.Context, number int, labels []string) error {
	add := gitlab.LabelOptions(labels)
	return g.update(ctx, "label", number, &gitlab.UpdateMergeRequestOptions{AddLabels: &add})
}

// Ask implements Forge. GitLab knows people by their numbers.
func (g *gitlabForge) Ask(ctx context.Context, number int, reviewers []string) error {
	op := fmt.Sprintf("ask for reviews of merge request !%d", number)
	var ids []int64
	for _, name := range reviewers {
		users, _, err := g.client.Users.ListUsers(&gitlab.ListUsersOptions{Username: &name}, gitlab.WithContext(ctx))
		if err == nil && len(users) != 1 {
			err = &Error{Host: g.wire.host, Kind: Refused, Err: errors.New("there is no user " + oneLine(name))}
		}
		if err != nil {
			return g.wire.failed(op, err)
		}
		ids = append(ids, users[0].ID)
	}
	return g.update(ctx, "ask for reviews of", number, &gitlab.UpdateMergeRequestOptions{ReviewerIDs: &ids})
}

// Close implements Forge.
func (g *gitlabForge) Close(ctx context.Context, number int) error {
	return g.update(ctx, "close", number, &gitlab.UpdateMergeRequestOptions{StateEvent: new("close")})
}

func (g *gitlabForge) update(ctx context.Context, verb string, number int, options *gitlab.UpdateMergeRequestOptions) error {
	_, _, err := g.client.MergeRequests.UpdateMergeRequest(g.project, int64(number), options, gitlab.WithContext(ctx))
	return g.wire.failed(fmt.Sprintf("%s merge request !%d", verb, number), err)
}
