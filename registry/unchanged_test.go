// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Where a registry sends an ETag with a list, the list is sent again only if it changed.
// Of a list in pages none is kept: another page may have changed.
func TestListsThatDidNotChange(t *testing.T) {
	f := newFake(t)
	var tags []string
	etag, link, asked := "", "", []string(nil) // the If-None-Match of each request
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		unless := r.Header.Get("If-None-Match")
		asked = append(asked, unless)
		if link != "" && !r.URL.Query().Has("last") {
			w.Header().Set("Link", link)
		}
		if etag != "" {
			w.Header().Set("ETag", etag)
			if unless == etag {
				w.WriteHeader(http.StatusNotModified)
				return true
			}
		}
		_, _ = fmt.Fprintf(w, `{"name":"x","tags":["%s"]}`, strings.Join(tags, `","`))
		return true
	}
	client := plainClient(f.host)
	look := func(what string, want ...string) {
		t.Helper()
		got, err := client.Pass().Tags(t.Context(), f.host+"/x")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(tags, got); diff != "" {
			t.Errorf("%s: tags (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("%s: it is asked unless (-want +got):\n%s", what, diff)
		}
		asked = nil
	}
	tags = []string{"1.0"}
	look("without an ETag", "")
	look("without an ETag, again", "")
	etag = `W/"one"`
	look("with an ETag", "")
	look("unchanged", etag)
	tags, etag = []string{"1.0", "1.1"}, `"two"`
	look("changed", `W/"one"`)
	look("unchanged again", etag)
	tags, etag = []string{"1.2"}, ""
	look("no ETag any more", `"two"`)
	look("forgotten", "")
	etag, link = `"three"`, `</v2/x/tags/list?n=1000&last=1.2>; rel="next"`
	look("in pages", "", "")
	look("in pages again", "", "")
	etag, link = `"`+strings.Repeat("x", 300)+`"`, ""
	look("a long ETag", "")
	look("a long ETag again", "")
}

// An answer that says so without having been asked is a fault.
func TestUnchangedOutOfTheBlue(t *testing.T) {
	f := newFake(t)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
		_, _ = io.WriteString(w, "{}")
		return true
	}
	if got, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/x"); err == nil {
		t.Errorf("the tags are %v", got)
	} else if !strings.Contains(err.Error(), "304") {
		t.Errorf("the error is %v", err)
	}
}
