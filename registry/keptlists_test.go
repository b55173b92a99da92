// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
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
