// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"net/url"
	"regexp"
	"strings"
)

// Origin is what an image says that it was made of. Whoever made the image wrote
// it, so that nothing of it is used before it is checked.
type Origin struct{ Source, Revision, Version string }

// maxSource bounds the URL of a source.
const maxSource = 512

var (
	sourceHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	sourcePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	word       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)
	commitID   = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)

// forge is where the pages of a commit and of a comparison are, below a
// repository's.
type forge struct{ commit, compare string }

// forges are the hosts whose URLs are known. Of a host that is not here, nothing
// but the source itself is linked.
var forges = map[string]forge{
	"github.com":    {"/commit/", "/compare/"},
	"gitlab.com":    {"/-/commit/", "/-/compare/"},
	"codeberg.org":  {"/commit/", "/compare/"},
	"gitea.com":     {"/commit/", "/compare/"},
	"bitbucket.org": {commit: "/commits/"},
}

// checked keeps of an origin what is fit for a message.
func (o Origin) checked() Origin {
	kept := Origin{Source: sourceOf(o.Source)}
	if word.MatchString(o.Revision) {
		kept.Revision = o.Revision
	}
	if word.MatchString(o.Version) {
		kept.Version = o.Version
	}
	return kept
}

// sourceOf is the URL of a source, or empty where it is no plain https one.
func sourceOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxSource || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || !sourceHost.MatchString(u.Host) {
		return ""
	}
	host, path := strings.ToLower(u.Host), strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git")
	if !sourcePath.MatchString(path) {
		return ""
	}
	if _, known := forges[host]; known {
		// What comes after a repository may be an issue, and a link to one would be
		// told of there.
		path, _, _ = strings.Cut(path, "/-/")
		if parts := strings.Split(path, "/"); host != "gitlab.com" && len(parts) > 3 {
			path = strings.Join(parts[:3], "/")
		}
		if strings.Count(path, "/") < 2 {
			return ""
		}
	}
	return "https://" + host + path
}

// commitPage is the page of the revision, or empty.
func (o Origin) commitPage() string {
	f, ok := o.forge()
	if !ok || !commitID.MatchString(o.Revision) {
		return ""
	}
	return o.Source + f.commit + o.Revision
}

// comparePage is the page with what came since another revision, or empty.
func (o Origin) comparePage(before Origin) string {
	f, ok := o.forge()
	if !ok || f.compare == "" || before.Source != o.Source || before.Revision == o.Revision ||
		!commitID.MatchString(before.Revision) || !commitID.MatchString(o.Revision) {
		return ""
	}
	return o.Source + f.compare + before.Revision + "..." + o.Revision
}

func (o Origin) forge() (forge, bool) {
	host, _, _ := strings.Cut(strings.TrimPrefix(o.Source, "https://"), "/")
	f, ok := forges[host]
	return f, ok && o.Source != ""
}

// tell adds what the image says of itself, and what came since the one before it,
// where that is known of a single one.
func (i *imageData) tell(origins map[string]Origin) {
	o := origins[i.Digest].checked()
	i.Source, i.Revision, i.Version, i.RevisionURL = o.Source, o.Revision, o.Version, o.commitPage()
	for _, digest := range i.before {
		page := o.comparePage(origins[digest].checked())
		if page == "" || i.CompareURL != "" && page != i.CompareURL {
			i.CompareURL = ""
			return
		}
		i.CompareURL = page
	}
}

// lines are what the default message tells of an image.
func (i *imageData) lines() string {
	var b strings.Builder
	revision := i.Revision
	if i.RevisionURL != "" {
		revision = i.RevisionURL
	}
	for _, line := range []struct{ name, text string }{
		{"Source", i.Source}, {"Version", i.Version}, {"Revision", revision}, {"Changes", i.CompareURL},
	} {
		if line.text != "" && (line.name != "Version" || line.text != i.Tag) {
			b.WriteString(line.name + ": " + line.text + "\n")
		}
	}
	return b.String()
}
