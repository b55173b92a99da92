// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// However the flags are ordered and spaced, a share has one Lease; and no two shares have the same.
func TestLeaseOfShare(t *testing.T) {
	shares := map[string][]shareFlags{
		"all":          {{}, {selector: " "}},
		"blue":         {{selector: "pintle.dev/shard=blue"}, {selector: " pintle.dev/shard = blue "}},
		"not blue":     {{selector: "pintle.dev/shard!=blue"}},
		"none":         {{selector: "!pintle.dev/shard"}},
		"two keys":     {{selector: "a=1,b in (2,3)"}, {selector: "b in (3, 2), a=1"}},
		"a, b":         {{namespaces: []string{"a", "b"}}, {namespaces: []string{"b", "a", "b"}}},
		"a":            {{namespaces: []string{"a"}}},
		"blue in a":    {{namespaces: []string{"a"}, selector: "pintle.dev/shard=blue"}},
		"label a":      {{selector: "a"}},
		"label a in b": {{selector: "a", namespaces: []string{"b"}}},
	}
	owners := map[string]string{}
	for title, same := range shares {
		for _, flags := range same {
			own, err := flags.share()
			if err != nil {
				t.Fatal(err)
			}
			if other, taken := owners[own.lease]; taken && other != title {
				t.Errorf("%s and %s have the Lease %s", other, title, own.lease)
			}
			owners[own.lease] = title
		}
	}
	if len(owners) != len(shares) || owners[wholeLease] != "all" {
		t.Errorf("the Leases are %v, want one for each share, and %s for all", owners, wholeLease)
	}
}

// What a group sees is what its flags say.
func TestCacheOfShare(t *testing.T) {
	own, err := (&shareFlags{namespaces: []string{"b", "a"}, selector: "pintle.dev/shard=blue"}).share()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for object, by := range own.cache.ByObject {
		kinds = append(kinds, fmt.Sprintf("%T %s", object, by.Label))
	}
	slices.Sort(kinds)
	got := []any{slices.Sorted(maps.Keys(own.cache.DefaultNamespaces)), kinds}
	want := []any{[]string{"a", "b"}, []string{"*v1alpha1.ImagePolicy pintle.dev/shard=blue", "*v1alpha1.ManifestRepository pintle.dev/shard=blue"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the cache (-want +got):\n%s", diff)
	}
}

func TestWrongShare(t *testing.T) {
	for flag, says := range map[string]string{
		"--selector=a=b=c":     `--selector "a=b=c" is no label selector`,
		"--namespaces=Prod":    `--namespaces: "Prod" is no name of a namespace`,
		"--namespaces=a,,b":    `--namespaces: "" is no name of a namespace`,
		"--namespaces=a, b":    `--namespaces: " b" is no name of a namespace`,
		"--selector=in in (x,": "is no label selector",
	} {
		var stderr strings.Builder
		if status := run(t.Context(), []string{"controller", flag}, io.Discard, &stderr); status != 2 || !strings.Contains(stderr.String(), says) {
			t.Errorf("%s: status %d, want 2 and %q:\n%s", flag, status, says, stderr.String())
		}
	}
}
