// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Forge is one repository at a forge, as one login sees it. It is not safe for
// concurrent use.
type Forge interface {
	// Requests lists the requests that this login opened to merge a branch of the
	// repository itself into base, whatever became of them, the newest first.
	Requests(ctx context.Context, base string) ([]Request, error)
	// Messages are those of the commits that a request proposes, or proposed when it
	// was closed.
	Messages(ctx context.Context, number int) ([]string, error)
	// Open asks to merge one branch into another.
	Open(ctx context.Context, branch, base string, text Text) (Request, error)
	// Edit changes what a request says.
	Edit(ctx context.Context, number int, text Text) error
	// Label adds labels, which are made where there are none of these names.
	Label(ctx context.Context, number int, labels []string) error
	// Ask asks people for a review, by their names.
	Ask(ctx context.Context, number int, reviewers []string) error
	// Close closes a request without merging it.
	Close(ctx context.Context, number int) error
}

// Text is what people read of a request. Body is Markdown.
type Text struct{ Title, Body string }

// State is what became of a request.
type State int

// The states.
const (
	Open State = iota
	Merged
	// Closed without merging.
	Closed
)

// Request is a pull request; GitLab calls it a merge request.
type Request struct {
	Number int
	URL    string
	// Branch is to be merged. Of a merged one it may be empty, and the text's body is cut.
	Branch string
	Text   Text
	Labels []string
	State  State
	// Ended is when it was closed or merged.
	Ended time.Time
}

// Kind is whose API a forge speaks.
type Kind string

// The kinds. Forgejo speaks Gitea's.
const (
	Gitea  Kind = "Gitea"
	GitHub Kind = "GitHub"
	GitLab Kind = "GitLab"
)

// Auth is how to log in, and whom to trust.
type Auth struct {
	// Username and Password; the password may be a token, and is one at GitHub and
	// at GitLab.
	Username, Password string
	// RootCAs are certificate authorities in PEM, besides the system's.
	RootCAs string
}

// known are the forges whose kind need not be told, by host.
func known(host string) Kind {
	switch host {
	case "github.com":
		return GitHub
	case "gitlab.com":
		return GitLab
	case "gitea.com", "codeberg.org":
		return Gitea
	}
	return ""
}

// KindOf is whose API the host of a repository's URL speaks; empty where that has to
// be told.
func KindOf(repository string) Kind {
	u, err := url.Parse(repository)
	if err != nil {
		return ""
	}
	return known(strings.ToLower(u.Hostname()))
}

// New prepares to use the forge of a repository, which is named by its https or http
// URL. An empty kind is found out by the host. It asks nothing yet.
func New(repository string, kind Kind, auth Auth) (Forge, error) {
	u, err := url.Parse(repository)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("cannot open pull requests: the repository's URL is not one of https")
	}
	if kind == "" {
		kind = KindOf(repository)
	}
	folder, name, ok := cutLast(strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git"))
	if !ok {
		return nil, fmt.Errorf("cannot open pull requests at %s: the URL names no owner and repository", u.Host)
	}
	w, err := newWire(u.Host, auth)
	if err != nil {
		return nil, err
	}
	switch root := u.Scheme + "://" + u.Host; kind {
	case Gitea:
		prefix, owner, nested := cutLast(folder)
		if nested {
			root += "/" + prefix
		}
		return newGitea(root, owner, name, auth, w)
	case GitHub:
		return newGitHub(root, folder, name, auth, w)
	case GitLab:
		return newGitLab(root, folder+"/"+name, auth, w)
	}
	return nil, fmt.Errorf("cannot open pull requests at %s: it is not known whose API it speaks", u.Host)
}

// cutLast is strings.Cut at the last slash. Without one, all is after it.
func cutLast(path string) (before, after string, found bool) {
	at := strings.LastIndexByte(path, '/')
	if at < 0 {
		return "", path, false
	}
	return path[:at], path[at+1:], true
}

// maxPages bounds how many pages of a list are read: by the first list of a process, all
// requests that there ever were.
const maxPages = 200

// pages reads one page after the other until there is no next one.
func pages(w *wire, read func(page int) (next int, err error)) error {
	page := 1
	for range maxPages {
		next, err := read(page)
		if err != nil || next == 0 {
			return err
		}
		page = next
	}
	return &Error{Host: w.host, Op: "read the pull requests", Kind: Limit, Err: fmt.Errorf("they are more than %d pages", maxPages)}
}
