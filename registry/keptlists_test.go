// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"strconv"
	"testing"
)

func TestKeptListsAreBounded(t *testing.T) {
	var k keptLists
	many := make([]string, maxTags)
	for i := range 3 * maxKeptTags / maxTags {
		k.put("same", keptList{"e", many[:10]})
		k.put(fmt.Sprint(i), keptList{"e", many})
		total := 0
		for _, l := range k.byRepository {
			total += len(l.tags)
		}
		if total != k.tags || total > maxKeptTags {
			t.Fatalf("after %d it keeps %d tags and counts %d", i, total, k.tags)
		}
	}
	if len(k.get("same").tags) != 10 || k.get("0").etag != "" {
		t.Error("it keeps the wrong ones")
	}
}

// Lists without tags take room too.
func TestKeptListsWithoutTagsAreBounded(t *testing.T) {
	var k keptLists
	for i := range 3 * maxKeptLists {
		k.put(strconv.Itoa(i), keptList{etag: "e"})
	}
	if len(k.byRepository) > maxKeptLists {
		t.Errorf("%d lists are kept, want at most %d", len(k.byRepository), maxKeptLists)
	}
}
