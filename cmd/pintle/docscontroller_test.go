// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// docs/controller.md lists the flags that there are, each with its default.
func TestPageListsControllerFlags(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "controller.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)[^`]*` \\| .* \\| (.*) \\|$").FindAllStringSubmatch(string(text), -1) {
		page[row[1]] = row[2]
	}
	var flags []string
	newController(&program{stdout: io.Discard, stderr: io.Discard}).Flags().VisitAll(func(f *pflag.Flag) {
		flags = append(flags, f.Name)
		value := f.DefValue
		if value == "false" {
			value = "off"
		}
		if value != "" && value != "[]" && value != strings.Trim(page[f.Name], "`") {
			t.Errorf("the page says that --%s is %s, and it is %s", f.Name, page[f.Name], value)
		}
	})
	var listed []string
	for name := range page {
		listed = append(listed, name)
	}
	slices.Sort(listed)
	if diff := cmp.Diff(flags, listed); diff != "" {
		t.Errorf("flags (-command +page):\n%s", diff)
	}
}
