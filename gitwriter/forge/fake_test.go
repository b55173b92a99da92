// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// operation is one that a vendor's published API description has, as far as it is used.
type operation struct {
	id, method  string
	path        string // {…} is one segment
	query, body fields
	status      int
	// answer has the fields that are read, and list tells that it is a list of such.
	answer fields
	list   bool
}

// fake answers by the operations, and refuses all else.
type fake struct {
	t          *testing.T
	server     *httptest.Server
	operations []operation
	// header and login are what each request must have.
	header, login string
	// answer makes the answer of an operation.
	answer func(op operation, path []string, query url.Values) any
	asked  []string
	// fault, if it is not nil, may answer in its place.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func newFake(t *testing.T, f *fake) *fake {
	t.Helper()
	f.t = t
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	if f.fault != nil && f.fault(w, r) {
		return
	}
	refuse := func(status int, format string, args ...any) {
		why := fmt.Sprintf(format, args...)
		f.t.Errorf("%s %s: %s", r.Method, r.URL, why)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"message": %q}`, why)
	}
	if r.Header.Get(f.header) != f.login {
		refuse(http.StatusUnauthorized, "%s is %q", f.header, r.Header.Get(f.header))
		return
	}
	for _, op := range f.operations {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[a-z_]+\\\}`).ReplaceAllString(regexp.QuoteMeta(op.path), "([^/]+)") + "$")
		found := pattern.FindStringSubmatch(r.URL.EscapedPath())
		if op.method != r.Method || found == nil {
			continue
		}
		text, _ := io.ReadAll(r.Body)
		if why := op.refuses(r.URL.Query(), text); why != "" {
			refuse(http.StatusUnprocessableEntity, "%s", why)
			return
		}
		f.asked = append(f.asked, strings.TrimSpace(op.method+" "+op.path+" "+string(text)))
		answer, err := json.Marshal(f.page(w, r, f.answer(op, found[1:], r.URL.Query())))
		if err != nil {
			f.t.Error(err)
		}
		if why := op.misses(answer); why != "" {
			f.t.Errorf("the fake's own answer to %s: %s", op.id, why)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(op.status)
		_, _ = w.Write(answer)
		return
	}
	refuse(http.StatusNotFound, "no such operation")
}

// page is the page of a list that is asked for; the header has the next one, as each of
// the two tells of it.
func (f *fake) page(w http.ResponseWriter, r *http.Request, answer any) any {
	all, isList := answer.([]object)
	size, err := strconv.Atoi(r.URL.Query().Get("per_page"))
	if !isList || err != nil {
		return answer
	}
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil {
		f.t.Errorf("%s has no page", r.URL)
	}
	if end := page * size; end < len(all) {
		w.Header().Set("X-Next-Page", strconv.Itoa(page+1))
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?page=%d>; rel="next"`, f.server.URL, r.URL.Path, page+1))
		all = all[:end]
	}
	return all[min((page-1)*size, len(all)):]
}
