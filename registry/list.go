// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// pageSize is asked for; registries may give less.
	pageSize = 1000
	maxTags  = 100_000
	maxPages = 2_000
	// listTimeouts bounds a whole list, in timeouts of one request.
	listTimeouts = 10
)

// Tags lists all tags of an image's repository, in the registry's order. A
// repository without tags gives none and no error. The slice is shared with
// other callers in the pass: it must not be changed.
func (p *Pass) Tags(ctx context.Context, image string) ([]string, error) {
	a, canonical, err := p.about("list tags of", image)
	if err != nil {
		return nil, err
	}
	tags, err := p.tags.get(ctx, canonical, func() ([]string, error) { return a.tags(ctx) })
	if err != nil {
		return nil, a.failed(err)
	}
	return tags, nil
}

// tags gives the whole list. One that came with an ETag is asked for only if it
// changed; of one in pages, each page would have to be.
func (a *ask) tags(ctx context.Context) ([]string, error) {
	kept := a.host.lists.get(a.repository)
	a.unless = kept.etag
	first, next, err := a.page(ctx, firstQuery)
	a.unless = ""
	switch {
	case errors.Is(err, errUnchanged):
		return kept.tags, nil
	case err != nil:
		return nil, err
	case next == "" && len(first) != pageSize:
		a.host.lists.put(a.repository, keptList{a.etag, first})
		return first, nil
	}
	return a.pages(ctx, first, next)
}

// pages reads page after page. The next one is where the Link header says, by
// the OCI distribution specification. Of a registry that gives a full page and
// no link, the tags behind the last one are asked for until nothing new comes.
func (a *ask) pages(ctx context.Context, first []string, next string) (tags []string, err error) {
	linked := next != ""
	seen := make(map[string]bool, 2*len(first))
	tags, _ = appendUnseen(nil, first, seen) // one page is not too many
	asked := map[string]bool{firstQuery: true}
	for {
		if !linked {
			next = lastQuery + url.QueryEscape(tags[len(tags)-1])
		}
		if asked[next] || len(asked) >= maxPages {
			return nil, faultf(NotRegistry, "its pages of tags do not end")
		}
		asked[next] = true
		var page []string
		if page, next, err = a.page(ctx, next); err != nil {
			return nil, err
		}
		before := len(tags)
		if tags, err = appendUnseen(tags, page, seen); err != nil {
			return nil, err
		}
		if ended := len(tags) == before || len(page) < pageSize; !linked && ended || linked && next == "" {
			return tags, nil
		}
	}
}

// appendUnseen adds the tags of a page that no page before it had.
func appendUnseen(tags, page []string, seen map[string]bool) ([]string, error) {
	for _, tag := range page {
		if !seen[tag] {
			seen[tag] = true
			tags = append(tags, tag)
		}
	}
	if len(tags) > maxTags {
		return nil, faultf(NotRegistry, "it has more than %d tags", maxTags)
	}
	return tags, nil
}

// firstQuery and, with a tag behind it, lastQuery ask for a page.
var (
	firstQuery = "n=" + strconv.Itoa(pageSize)
	lastQuery  = firstQuery + "&last="
)

// errUnchanged says that the list is the one that a.unless is of.
var errUnchanged = errors.New("the list is unchanged")

// page asks for one page; next is the query of the one that it links to, or "".
func (a *ask) page(ctx context.Context, query string) (tags []string, next string, err error) {
	if a.spent > listTimeouts*a.host.timeout {
		return nil, "", context.DeadlineExceeded
	}
	resp, err := a.do(ctx, http.MethodGet, "tags/list?"+query, []string{"application/json"})
	if err != nil {
		return nil, "", err
	}
	if a.unless != "" && resp.status == http.StatusNotModified {
		return nil, "", errUnchanged
	}
	if err := a.fault(resp); err != nil {
		return nil, "", err
	}
	a.etag = resp.header.Get("ETag")
	var list struct {
		Name string  `json:"name"`
		Tags tagList `json:"tags"`
	}
	if err := decode(resp, &list); err != nil {
		return nil, "", err
	}
	if list.Name != a.repository {
		return nil, "", faultf(NotRegistry, "the registry answers with a list of another repository, %s", printable(list.Name))
	}
	if link := resp.header.Get("Link"); link != "" {
		next, err = a.nextQuery(link)
	}
	return list.Tags, next, err
}

// tagList is read only if it can't have more than maxTags, so that 16 MiB of
// empty strings do not become 100 MiB of memory.
type tagList []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *tagList) UnmarshalJSON(text []byte) error {
	if bytes.Count(text, []byte{','}) >= maxTags {
		return faultf(NotRegistry, "it has more than %d tags", maxTags)
	}
	if tags, ok := plainStrings(string(text)); ok {
		*l = tags
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// plainStrings reads a valid JSON array of strings without escapes and commas,
// as all lists of valid tags are, at a fourth of the cost of encoding/json; ok
// is false for what else the text may be.
func plainStrings(text string) (tags []string, ok bool) {
	const space = " \t\r\n"
	if text[0] != '[' || strings.IndexByte(text, '\\') >= 0 {
		return nil, false
	}
	text = strings.Trim(text[1:len(text)-1], space)
	if text == "" {
		return nil, true
	}
	tags = make([]string, 0, strings.Count(text, ",")+1)
	for quoted := range strings.SplitSeq(text, ",") {
		quoted = strings.Trim(quoted, space)
		if len(quoted) < 2 || quoted[0] != '"' || quoted[len(quoted)-1] != '"' {
			return nil, false
		}
		tags = append(tags, quoted[1:len(quoted)-1])
	}
	return tags, true
}

// nextQuery reads `</v2/…/tags/list?n=…&last=…>; rel="next"`. Only the query is
// taken from it: the host must be the registry's, and the path stays.
func (a *ask) nextQuery(link string) (string, error) {
	target, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
	u, err := url.Parse(target)
	if !ok || err != nil || u.RawQuery == "" {
		return "", faultf(NotRegistry, "its link to the next page of tags can't be read")
	}
	if u.Host != "" && u.Host != a.host.wire.host {
		return "", faultf(NotRegistry, "its link to the next page of tags leads to another host, %s", printable(u.Host))
	}
	return u.RawQuery, nil
}

// decode reads a JSON answer.
func decode(resp *response, into any) error {
	err := json.Unmarshal(resp.body, into)
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*fault](err); ok {
		return known
	}
	kind, _, _ := mime.ParseMediaType(resp.header.Get("Content-Type"))
	if kind == "text/html" || strings.HasPrefix(strings.TrimSpace(string(resp.body[:min(len(resp.body), 64)])), "<") {
		return faultf(NotRegistry, "the answer is a web page, not JSON: is there a registry at this address?")
	}
	if len(resp.body) == 0 {
		return faultf(NotRegistry, "the answer is empty")
	}
	return faultf(NotRegistry, "the answer is no JSON of this kind, or cut short")
}
