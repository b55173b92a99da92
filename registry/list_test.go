// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"
)

// The quick way must read what encoding/json reads.
func FuzzTagList(f *testing.F) {
	for _, seed := range []string{
		`[]`, ` [ ] `, `null`, `["1.0"]`, `["1.0", "v2",` + "\n" + ` "x"]`, `["a,b"]`, `["a\"b","c"]`, `["a\u0062"]`, `[1]`, `[null]`, `["a",null]`,
		`[["a"],["b"]]`, `{"a":"b"}`, `"a"`, `[""]`, `["",""]`, `["[","]"]`, `[" a "]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return // encoding/json replaces what is no UTF-8; such a tag is invalid both ways
		}
		var got tagList
		var want []string
		gotErr, wantErr := json.Unmarshal(text, &got), json.Unmarshal(text, &want)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s: got %v, want %v", text, gotErr, wantErr)
		}
		if wantErr == nil && !slices.Equal(got, want) {
			t.Fatalf("%s: got %q, want %q", text, got, want)
		}
	})
}
