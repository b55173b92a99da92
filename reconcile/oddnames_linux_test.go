// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
)

// oddFiles are manifests that a repository can hold, by path.
func oddFiles(w *world) map[string]string {
	files := map[string]string{}
	plain := w.deployment("app", "app:1.0.0", "app")
	for name, path := range map[string]string{
		"deep":       strings.Repeat("folder/", 60) + "deep.yaml",
		"quotes":     `apps/it's "quoted" \ here.yaml`,
		"newline":    "apps/new\nPintle-Update: prod\tline.yaml",
		"table":      "apps/a | b `c` [d](e).yaml",
		"not UTF-8":  "apps/\xff\xfe.yaml",
		"accents":    "apps/é—ü.yaml",
		"composed":   "apps/e\u0301.yaml",
		"space":      " apps/ x .yaml",
		"small":      "apps/case.yaml",
		"capital":    "apps/Case.yaml",
		"capitals":   "Apps/case.yaml",
		"like git's": ".gitx/.git.yaml",
		"a dash":     "-/--.yaml",
		"executable": "apps/run.yaml",
		"a glob":     "apps/*/[x]?.yaml",
		"before":     "apps.yaml",
		"after":      "apps0.yaml",
	} {
		files[path] = strings.Replace(plain, "name: app\n", "name: "+strings.ReplaceAll(name, " ", "-")+"\n", 1)
	}
	files["apps/crlf.yaml"] = strings.ReplaceAll(plain, "\n", "\r\n")
	files["apps/bom.yaml"] = "\ufeff" + plain
	files["apps/no-end.yaml"] = strings.TrimSuffix(plain, "\n")
	return files
}

// largeBytes is the size of what is beside the manifests, and can't be compressed.
const largeBytes = 8 << 20

// seedOdd adds what is beside them and of no concern: binaries, links and a submodule.
func seedOdd(w *world, files map[string]string) {
	w.t.Helper()
	all := maps.Clone(files)
	all["policies/app.yaml"] = w.policy("app", "app")
	noise := make([]byte, largeBytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	all["apps/logo.png"] = string(noise)
	all["apps/large.yaml"] = "# {\"$imagepolicy\": \"prod:app\"}\n" + strings.Repeat("a: b\n", mirror.MaxBlobBytes/5+1)
	all["other/linked.yaml"] = "a: 1\n"
	w.repo.Seed(w.t, all, "First")
	dir := w.repo.Clone(w.t)
	if err := os.Chmod(filepath.Join(dir, "apps/run.yaml"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	for name, to := range map[string]string{"apps/link.yaml": "run.yaml", "apps/folder.yaml": "../other", "apps/nowhere.yaml": "/etc/none\nx"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			w.t.Fatal(err)
		}
	}
	gitserver.Git(w.t, dir, "add", "--all")
	gitserver.Git(w.t, dir, "update-index", "--add", "--cacheinfo", "160000,"+w.repo.Head(w.t, "main")+",apps/module.yaml")
	gitserver.Git(w.t, dir, "commit", "--quiet", "--message", "Second")
	gitserver.Git(w.t, dir, "push", "--quiet", "origin", "HEAD")
}

// TestOddRepositories: an update changes the bytes of its fields, in files of whatever
// name, and no entry beside them.
func TestOddRepositories(t *testing.T) {
	for name, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options)
			w.push("app", "1.0.0", "1.1.0")
			files := oddFiles(w)
			seedOdd(w, files)
			wire := faults.NewWire(t, strings.TrimPrefix(w.server.URL, "http://"))
			w.address = "http://" + wire.Host + "/fleet.git"
			before := w.repo.Head(t, "main")
			fsck := w.repo.Faults(t)
			report, err := w.engine().Sync(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if sent := wire.Sent(faults.FromServer); (sent > largeBytes) != options.NoFilter || (sent > largeBytes/8) != options.NoFilter {
				t.Errorf("%d bytes came from the server", sent)
			}
			if len(report.Commits) != 1 || len(report.Commits[0].Changes) != len(files) {
				t.Fatalf("%d commits, of which the first changes %d fields, want 1 and %d", len(report.Commits), len(report.Commits[0].Changes), len(files))
			}
			if len(report.Problems) != 1 || report.Problems[0].File != "apps/large.yaml" || !strings.Contains(report.Problems[0].Message, "larger than 4 MiB") {
				t.Errorf("the problems are %+v, want the large file alone", report.Problems)
			}
			w.expectChanged(before, files, "1.1.0@"+report.Policies[0].Selected.Digest)
			w.expectMessage()
			if got := w.repo.Faults(t); got != fsck {
				t.Errorf("fsck says %q, and before %q", got, fsck)
			}
			again, err := w.engine().Sync(t.Context())
			if err != nil || len(again.Commits) != 0 || again.Policies[0].Reason != reconcile.UpToDate {
				t.Errorf("a new process makes %d commits more: %s, %v", len(again.Commits), again.Policies[0].Message, err)
			}
		})
	}
}

// expectChanged checks that the files changed by their field alone, and nothing else.
func (w *world) expectChanged(before string, files map[string]string, value string) {
	w.t.Helper()
	var got, want []string
	raw := strings.Split(strings.TrimSuffix(gitserver.Git(w.t, w.repo.Dir, "diff-tree", "-r", "-z", "--raw", before, "main"), "\x00"), "\x00")
	for i := 0; i+1 < len(raw); i += 2 {
		fields := strings.Fields(raw[i])
		got = append(got, fmt.Sprintf("%q %s %s %s", raw[i+1], strings.TrimPrefix(fields[0], ":"), fields[1], fields[4]))
	}
	for path, content := range files {
		mode := "100644"
		if path == "apps/run.yaml" {
			mode = "100755"
		}
		want = append(want, fmt.Sprintf("%q %s %s M", path, mode, mode))
		now := strings.Replace(content, "image:   "+w.image("app:1.0.0"), "image:   "+w.image("app:"+value), 1)
		if diff := cmp.Diff(now, w.repo.Read(w.t, "main", path)); diff != "" {
			w.t.Errorf("%q (-want +got):\n%s", path, diff)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("entries that changed (-want +got):\n%s", diff)
	}
}

// expectMessage checks that no name of a file broke out of its place.
func (w *world) expectMessage() {
	w.t.Helper()
	if got := gitserver.Git(w.t, w.repo.Dir, "log", "-1", "--format=%(trailers:key=Pintle-Update,valueonly)", "main"); strings.Count(strings.TrimSpace(got), "\n") != 0 || !strings.HasPrefix(got, "prod/app 1 ") {
		w.t.Errorf("the trailers are %q", got)
	}
	message := gitserver.Git(w.t, w.repo.Dir, "log", "-1", "--format=%B", "main")
	if !utf8.ValidString(message) {
		w.t.Error("the message is not in UTF-8")
	}
	for line := range strings.SplitSeq(message, "\n") {
		if strings.Contains(line, "line.yaml") && !strings.HasPrefix(line, "|") {
			w.t.Errorf("a name has a line of its own: %q", line)
		}
	}
}

// A repository that is nested deeper than is read is told with the place.
func TestFoldersThatAreTooDeep(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.repo.Seed(t, map[string]string{"vendor/" + strings.Repeat("x/", 70) + "a.yaml": "a: 1\n"}, "Deep")
	_, err := w.engine().Sync(t.Context())
	if known, ok := errors.AsType[*mirror.Error](err); !ok || known.Kind != mirror.Limit || !strings.Contains(err.Error(), "nested deeper than 64: vendor/x/x/") {
		t.Errorf("the pass says %v", err)
	}
}
