// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// operation is one that a vendor's published API description has, as far as it is used.
type operation struct {
	method string
	path   string // {…} is one segment
	// query and body are the parameters that may be given, of those some must.
	query, body, must []string
	status            int
	// list: the body may be an array.
	list bool
}

// fake answers by the operations, and refuses all else.
type fake struct {
	t          *testing.T
	server     *httptest.Server
	operations []operation
	// header and login are what each request must have.
	header, login string
	// answer makes the answer of an operation.
	answer func(op string, path []string, body map[string]any) any
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
		for name := range r.URL.Query() {
			if !slices.Contains(op.query, name) {
				refuse(http.StatusBadRequest, "no parameter %q", name)
				return
			}
		}
		body := map[string]any{}
		text, _ := io.ReadAll(r.Body)
		list := op.list && strings.HasPrefix(string(text), "[")
		if len(text) > 0 && !list && json.Unmarshal(text, &body) != nil {
			refuse(http.StatusBadRequest, "no JSON: %s", text)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(body)) {
			if !slices.Contains(op.body, name) {
				refuse(http.StatusUnprocessableEntity, "no field %q", name)
				return
			}
		}
		for _, name := range op.must {
			if body[name] == nil && !r.URL.Query().Has(name) {
				refuse(http.StatusUnprocessableEntity, "%q is missing", name)
				return
			}
		}
		f.asked = append(f.asked, strings.TrimSpace(op.method+" "+op.path+" "+string(text)))
		answer, err := json.Marshal(f.answer(op.method+" "+op.path, found[1:], body))
		if err != nil {
			f.t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(op.status)
		_, _ = w.Write(answer)
		return
	}
	refuse(http.StatusNotFound, "no such operation")
}
