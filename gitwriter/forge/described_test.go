// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fields have a type by name: string, integer, boolean, time, object, a list of one of
// these ([]string), or the values that there are (asc|desc). After it, ? is for one that
// may be null, and ! for one that must be there.
type fields map[string]string

// refuses says what the description does not allow in a request.
func (op operation) refuses(query url.Values, body []byte) string {
	given := map[string]any{}
	for name, values := range query {
		given[name] = fromQuery(op.query[name], values)
	}
	if why := op.query.refuse(given); why != "" {
		return "query: " + why
	}
	sent := map[string]any{}
	if len(body) > 0 {
		if op.body == nil {
			return "body: there is none"
		}
		if err := json.Unmarshal(body, &sent); err != nil {
			return "body: " + err.Error()
		}
	}
	if why := op.body.refuse(sent); why != "" {
		return "body: " + why
	}
	return ""
}

// fromQuery is the value of a parameter as JSON would have it.
func fromQuery(kind string, values []string) any {
	if len(values) != 1 {
		return values
	}
	if kind == "integer" {
		if n, err := strconv.Atoi(values[0]); err == nil {
			return float64(n)
		}
	}
	return values[0]
}

// misses says what an answer lacks of the description.
func (op operation) misses(answer []byte) string {
	var all []map[string]any
	if !op.list {
		all = make([]map[string]any, 1)
		if err := json.Unmarshal(answer, &all[0]); err != nil {
			return err.Error()
		}
	} else if err := json.Unmarshal(answer, &all); err != nil {
		return err.Error()
	}
	for _, one := range all {
		if why := op.answer.refuse(one); why != "" {
			return why
		}
	}
	return ""
}

func (f fields) refuse(given map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		kind, known := f[name]
		if !known {
			return fmt.Sprintf("no field %q", name)
		}
		if !fits(strings.TrimSuffix(kind, "!"), given[name]) {
			return fmt.Sprintf("%q is %v, want %s", name, given[name], kind)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if _, there := given[name]; !there && strings.HasSuffix(f[name], "!") {
			return fmt.Sprintf("%q is missing", name)
		}
	}
	return ""
}

func fits(kind string, value any) bool {
	kind, nullable := strings.CutSuffix(kind, "?")
	if value == nil {
		return nullable
	}
	if one, isList := strings.CutPrefix(kind, "[]"); isList {
		list, ok := value.([]any)
		return ok && !slices.ContainsFunc(list, func(v any) bool { return !fits(one, v) })
	}
	switch v := value.(type) {
	case string:
		_, err := time.Parse(time.RFC3339, v)
		return kind == "string" || kind == "time" && err == nil || strings.Contains(kind, "|") && slices.Contains(strings.Split(kind, "|"), v)
	case float64:
		return kind == "integer" && v == float64(int64(v))
	case bool:
		return kind == "boolean"
	case map[string]any:
		return kind == "object"
	}
	return false
}

// A fake that took everything would show nothing.
func TestTheFakesRefuse(t *testing.T) {
	by := map[string]operation{}
	for _, op := range slices.Concat(githubOperations, gitlabOperations) {
		by[op.id] = op
	}
	for _, c := range []struct{ id, query, body, why string }{
		{"issues/list-for-repo", "state=all&since=2026-01-02T03:04:05Z&page=1", "", ""},
		{"issues/list-for-repo", "author=ada", "", `query: no field "author"`},
		{"issues/list-for-repo", "state=merged", "", `query: "state" is merged, want open|closed|all`},
		{"issues/list-for-repo", "since=yesterday", "", `query: "since" is yesterday, want time`},
		{"issues/list-for-repo", "page=first", "", `query: "page" is first, want integer`},
		{"issues/list-for-repo", "", `{}`, `body: there is none`},
		{"issues/add-labels", "", `["images"]`, `body: json: cannot unmarshal array into Go value of type map[string]interface {}`},
		{"issues/add-labels", "", `{"labels":[1]}`, `body: "labels" is [1], want []string`},
		{"pulls/create", "", `{"head":"a"}`, `body: "base" is missing`},
		{"pulls/create", "", `{"head":"a","base":null}`, `body: "base" is <nil>, want string!`},
		{"putApiV4ProjectsIdMergeRequestsMergeRequestIid", "", `{"state_event":"closed"}`, `body: "state_event" is closed, want close|reopen`},
		{"putApiV4ProjectsIdMergeRequestsMergeRequestIid", "", `{"reviewer_ids":["ada"]}`, `body: "reviewer_ids" is [ada], want []integer`},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if why := by[c.id].refuses(query, []byte(c.body)); why != c.why {
			t.Errorf("%s?%s %s: %q, want %q", c.id, c.query, c.body, why, c.why)
		}
	}
	if why := by["getApiV4User"].misses([]byte(`{"id":"3","username":"ada"}`)); why != `"id" is 3, want integer!` {
		t.Errorf("a wrong answer: %q", why)
	}
}
