// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// TestFormsOfFields reverts the update of every kind of field, also where its
// trailers were lost.
func TestFormsOfFields(t *testing.T) {
	const values = "charts/values.yaml"
	kinds := map[string]struct {
		targets string
		// file is given the name, a tag and a digest.
		file func(image, tag, digest string) string
	}{
		"tag by marker": {"", func(image, tag, _ string) string {
			return "name: " + image + "\ntag: " + tag + ` # {"$imagepolicy": "prod:app:tag"}` + "\n"
		}},
		"digest by marker": {"", func(image, _, digest string) string {
			return "name: " + image + "\ndigest: " + digest + ` # {"$imagepolicy": "prod:app:digest"}` + "\n"
		}},
		"parts by markers": {"", func(image, tag, digest string) string {
			return "name: " + image + ` # {"$imagepolicy": "prod:app:name"}` + "\ntag: " + tag + ` # {"$imagepolicy": "prod:app:tag"}` +
				"\ndigest: " + digest + ` # {"$imagepolicy": "prod:app:digest"}` + "\n"
		}},
		"Helm values": {"helmValues: {path: " + values + ", repository: image.name, tag: image.tag, digest: image.digest}", func(image, tag, digest string) string {
			return "image:\n  name: " + image + "\n  tag: " + tag + "\n  digest: " + digest + "\n"
		}},
		"kustomization": {"kustomize: {path: charts}", func(image, tag, _ string) string {
			return "images:\n- name: " + image + "\n  newTag: " + tag + "\n"
		}},
	}
	for name, kind := range kinds {
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/trailers lost: %v", name, lost), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, gitserver.Options{})
				s := &scene{w, w.engine()}
				digest := images.Push(t, w.registry, "app", "1.0.0", "app:1.0.0")
				w.push("app", "1.1.0")
				policy, file := w.policy("app", "app"), values
				if kind.targets != "" {
					policy += "  targets:\n  - " + kind.targets + "\n"
				}
				if name == "kustomization" {
					file = "charts/kustomization.yaml"
				}
				before := kind.file(w.image("app"), "1.0.0", digest)
				w.repo.Seed(t, map[string]string{policyFile: policy, file: before}, "First")
				s.expect(reconcile.Updated, nil)
				u := w.user()
				if lost {
					u.git("reset", "--quiet", "--soft", "HEAD~1")
					u.commit("Squashed")
				}
				u.revert("HEAD")
				u.push()
				s.holds(reconcile.RolledBack, nil)
				if got := w.repo.Read(t, "main", file); got != before {
					t.Errorf("the file is %q, want %q", got, before)
				}
				s.goesOn("1.2.0")
				if got := w.repo.Read(t, "main", file); got == before {
					t.Error("the newer version is not in the file")
				}
			})
		}
	}
}

// TestFormsOfOneAmongSeveral undoes one of what moved together.
func TestFormsOfOneAmongSeveral(t *testing.T) {
	const second = "apps/second.yaml"
	both := func(t *testing.T, policy, image string) *scene {
		t.Helper()
		s := newScene(t, gitserver.Options{})
		s.push(image, "1.0.0", "1.1.0")
		s.repo.Seed(t, map[string]string{"policies/" + policy + ".yaml": s.policy(policy, image), second: s.deployment("second", image+":1.0.0", policy)}, "Second")
		return s
	}
	t.Run("one field of a file", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, gitserver.Options{})
		one := s.deployment("app", "app:1.0.0", "app")
		_, container, _ := strings.Cut(one, "containers:\n")
		two := one + strings.ReplaceAll(container, "name: main", "name: sidecar")
		s.repo.Seed(t, map[string]string{app: two}, "A second container")
		s.expect(reconcile.Updated, at("1.1.0"))
		updated := s.repo.Read(t, "main", app)
		mixed := updated[:strings.LastIndex(updated, "image:   ")] + two[strings.LastIndex(two, "image:   "):]
		s.repo.Seed(t, map[string]string{app: mixed}, "The sidecar back")
		s.holds(reconcile.RolledBack, at("1.1.0"))
		s.goesOn("1.2.0", app)
		if got := s.repo.Read(t, "main", app); strings.Count(got, ":1.2.0@sha256:") != 2 {
			t.Errorf("not all fields moved: %q", got)
		}
	})
	t.Run("one of several files", func(t *testing.T) {
		t.Parallel()
		s := both(t, "app", "app")
		s.expect(reconcile.Updated, map[string]string{app: "1.1.0", second: "1.1.0"})
		u := s.user()
		u.git("checkout", "--quiet", "HEAD~1", "--", second)
		u.commit("The second back")
		u.push()
		s.holds(reconcile.RolledBack, map[string]string{app: "1.1.0", second: "1.0.0"})
		s.goesOn("1.2.0", app, second)
	})
	t.Run("one of several files, then removed", func(t *testing.T) {
		t.Parallel()
		s := both(t, "app", "app")
		s.expect(reconcile.Updated, map[string]string{app: "1.1.0", second: "1.1.0"})
		u := s.user()
		u.git("rm", "--quiet", second)
		u.commit("No second any more")
		u.push()
		s.holds(reconcile.UpToDate, at("1.1.0"))
		s.goesOn("1.2.0", app)
	})
	t.Run("one commit of a push with two images", func(t *testing.T) {
		t.Parallel()
		s := both(t, "web", "web")
		report := s.reads("prod/app Updated", "prod/web Updated")
		if len(report.Commits) != 2 {
			t.Fatalf("the push has %d commits, want 2", len(report.Commits))
		}
		u := s.user()
		u.revert(report.Commits[0].SHA)
		u.push()
		s.reads("prod/app RolledBack", "prod/web UpToDate")
		s.push("web", "1.2.0")
		s.reads("prod/app RolledBack", "prod/web Updated")
		s.push("app", "1.2.0")
		s.reads("prod/app Updated", "prod/web UpToDate")
	})
	t.Run("one of two policies on an image", func(t *testing.T) {
		t.Parallel()
		s := both(t, "web", "app")
		if report := s.reads("prod/app Updated", "prod/web Updated"); len(report.Commits) != 1 {
			t.Fatalf("the push has %d commits, want one for the image", len(report.Commits))
		}
		u := s.user()
		u.git("checkout", "--quiet", "HEAD~1", "--", second)
		u.commit("The second back")
		u.push()
		s.reads("prod/app UpToDate", "prod/web RolledBack")
		u.git("checkout", "--quiet", "HEAD~2", "--", app)
		u.commit("The first too")
		u.git("checkout", "--quiet", "HEAD~2", "--", second)
		u.commit("And the second forth")
		u.push()
		s.reads("prod/app RolledBack", "prod/web UpToDate")
		s.push("app", "1.2.0")
		s.reads("prod/app Updated", "prod/web Updated")
		s.reads("prod/app UpToDate", "prod/web UpToDate")
	})
}

// TestFormInAListWithoutNames: an item of such a list is known by its index, which
// changes when another is put above it.
func TestFormInAListWithoutNames(t *testing.T) {
	const list = "apps/list.yaml"
	for name, above := range map[string]string{"no policy's": "", "another policy's": ` # {"$imagepolicy": "prod:web"}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, gitserver.Options{})
			s := &scene{w, w.engine()}
			w.push("app", "1.0.0", "1.1.0")
			w.push("web", "1.0.0")
			item := "- " + w.image("app:1.0.0") + ` # {"$imagepolicy": "prod:app"}` + "\n"
			w.repo.Seed(t, map[string]string{policyFile: w.policy("app", "app"), "policies/web.yaml": w.policy("web", "web") + "  suspend: true\n", list: item}, "First")
			s.reads("prod/app Updated", "prod/web Suspended")
			u := w.user()
			u.revert("HEAD")
			u.push()
			s.reads("prod/app RolledBack", "prod/web Suspended")
			undone := "- " + w.image("web:1.0.0") + above + "\n" + item
			w.repo.Seed(t, map[string]string{list: undone}, "Put another above")
			s.expect(reconcile.RolledBack, nil)
			if got := w.repo.Read(t, "main", list); got != undone {
				t.Errorf("the file is %q, want %q", got, undone)
			}
		})
	}
}

// TestFormOfTwoUndos walks back two versions, by one revert each: neither comes
// back, whichever of them the registry lists.
func TestFormOfTwoUndos(t *testing.T) {
	for transport, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, options)
			s.expect(reconcile.Updated, at("1.1.0"))
			s.goesOn("1.2.0", app)
			u := s.user()
			first := u.git("rev-parse", "HEAD~1")
			u.revert("HEAD")
			u.push()
			s.holds(reconcile.RolledBack, at("1.1.0"))
			u.revert(first)
			u.push()
			s.holds(reconcile.RolledBack, at("1.0.0"))
			s.push("app", "1.1.5") // Above one of them alone.
			s.holds(reconcile.RolledBack, at("1.0.0"))
			u.edit(policyFile, ">=1.0.0", ">=1.0.0 <1.1.5")
			u.commit("Keep below 1.1.5")
			u.push()
			s.holds(reconcile.RolledBack, at("1.0.0"))
			u.revert("HEAD")
			u.push()
			s.holds(reconcile.RolledBack, at("1.0.0"))
			s.goesOn("1.3.0", app)
		})
	}
}

// TestFormOfDroppedCommit: of a commit that was forced away Git knows nothing,
// and so nobody does.
func TestFormOfDroppedCommit(t *testing.T) {
	for transport, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
		for name, drop := range map[string]func(u user){
			"and nothing else": func(u user) { u.git("reset", "--quiet", "--hard", "HEAD~1") },
			"and replaced": func(u user) {
				u.git("reset", "--quiet", "--hard", "HEAD~1")
				u.note("instead.yaml")
			},
			"with all there was": func(u user) {
				u.git("reset", "--quiet", "--hard", "HEAD~1")
				u.git("commit", "--quiet", "--amend", "--message", "The first commit, otherwise")
			},
		} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, options)
				s.expect(reconcile.Updated, at("1.1.0"))
				s.expect(reconcile.UpToDate, at("1.1.0"))
				u := s.user()
				drop(u)
				u.push()
				s.expect(reconcile.Updated, at("1.1.0"))
				s.expect(reconcile.UpToDate, at("1.1.0"))
				s.expectHistory("1 1.1.0 schedule current by Pintle", "0 1.0.0 by hand earlier by Ada Person")
				s.goesOn("1.2.0", app)
			})
		}
	}
}

// branch is a branch of a world's repository that Pintle runs on.
type branch struct {
	*world

	name string
}

// expect syncs by a fresh process and checks the policy's reason and the tag
// that the app's field holds.
func (b branch) expect(reason reconcile.Reason, tag string) *reconcile.Report {
	b.t.Helper()
	e, err := reconcile.OpenBeside(b.engine(), reconcile.Config{Repo: b.address, Branch: b.name, Registry: registry.Options{PlainHTTP: []string{b.registry}}})
	if err != nil {
		b.t.Fatal(err)
	}
	report, err := e.Sync(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	b.repo.Fsck(b.t)
	if got := report.Policies[0]; got.Reason != reason {
		b.t.Fatalf("on %s the reason is %s (%s), want %s", b.name, got.Reason, got.Message, reason)
	}
	_, value, _ := strings.Cut(b.repo.Read(b.t, b.name, app), "image:   ")
	if want := b.image("app:" + tag); !strings.HasPrefix(value, want+"@") && !strings.HasPrefix(value, want+" ") {
		b.t.Fatalf("on %s the field holds %s, want %s", b.name, strings.Fields(value)[0], tag)
	}
	return report
}

// on makes changes to a branch, in a clone that is up to date, and pushes it.
func (b branch) on(do func(u user)) {
	b.t.Helper()
	u := b.user()
	u.git("switch", "--quiet", b.name)
	do(u)
	u.git("push", "--quiet", "origin", b.name)
}

// branches makes a release branch beside main.
func branches(t *testing.T) (w *world, main, release branch) {
	t.Helper()
	w = newWorld(t, gitserver.Options{})
	w.seed()
	gitserver.Git(t, w.repo.Dir, "branch", "release", "main")
	main, release = branch{w, "main"}, branch{w, "release"}
	// So that no two commits of Pintle's are the same by chance.
	release.on(func(u user) { u.note("release.yaml") })
	return w, main, release
}

// TestFormsOfPullRequests has Pintle's commit come to the main branch by a merge
// of another one, which is undone then.
func TestFormsOfPullRequests(t *testing.T) {
	for name, c := range map[string]struct{ take, undo func(u user) }{
		"merge, and revert of the merge": {
			func(u user) { u.merge("origin/release") },
			func(u user) { u.revert("--mainline", "1", "HEAD") },
		},
		"merge, and revert of the update": {
			func(u user) { u.merge("origin/release") },
			func(u user) { u.revert("HEAD^2") },
		},
		"merge with the trailers in its text, and revert": {
			func(u user) {
				u.merge("origin/release")
				u.git("commit", "--quiet", "--amend", "--message", "Merge\n\n"+u.git("log", "-1", "--format=%(trailers:only)", "HEAD^2"))
			},
			func(u user) { u.revert("--mainline", "1", "HEAD") },
		},
		"squash, and revert": {
			func(u user) {
				u.git("merge", "--quiet", "--squash", "origin/release")
				u.git("commit", "--quiet", "--no-edit")
			},
			func(u user) { u.revert("HEAD") },
		},
		"squash with the trailers, and revert": {
			func(u user) {
				u.git("merge", "--quiet", "--squash", "origin/release")
				u.git("commit", "--quiet", "--reuse-message", "origin/release")
			},
			func(u user) { u.revert("HEAD") },
		},
		"rebase, and revert": {
			func(u user) { u.note("first.yaml"); u.git("cherry-pick", "origin/release") },
			func(u user) { u.revert("HEAD") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, main, release := branches(t)
			release.expect(reconcile.Updated, "1.1.0")
			main.on(c.take)
			main.expect(reconcile.UpToDate, "1.1.0")
			main.on(c.undo)
			before := w.repo.Head(t, "main")
			for range 2 {
				main.expect(reconcile.RolledBack, "1.0.0")
			}
			if w.repo.Head(t, "main") != before {
				t.Fatal("something was written during the hold")
			}
			w.push("app", "1.2.0")
			main.expect(reconcile.Updated, "1.2.0")
			main.expect(reconcile.UpToDate, "1.2.0")
		})
	}
}

// TestFormsOfBranches has Pintle run on two branches, of which one is merged into
// the other again and again.
func TestFormsOfBranches(t *testing.T) {
	// rounds writes versions to both branches, and merges after each.
	rounds := func(w *world, main, release branch, versions ...string) {
		for _, version := range versions {
			w.push("app", version)
			main.expect(reconcile.Updated, version)
			release.expect(reconcile.Updated, version)
			main.on(func(u user) { u.note("note-" + version + ".yaml") })
			release.on(func(u user) { u.merge("origin/main") })
			main.expect(reconcile.UpToDate, version)
			release.expect(reconcile.UpToDate, version)
		}
	}
	back := func(tag string) func(u user) {
		return func(u user) { u.setTo(tag); u.commit("Back to " + tag) }
	}
	t.Run("merges without an undo", func(t *testing.T) {
		t.Parallel()
		w, main, release := branches(t)
		rounds(w, main, release, "1.1.0", "1.2.0", "1.3.0")
		// Main is ahead, and the merge brings what Pintle wrote there.
		w.push("app", "1.4.0")
		main.expect(reconcile.Updated, "1.4.0")
		release.on(func(u user) { u.merge("origin/main") })
		release.expect(reconcile.UpToDate, "1.4.0")
		// The release is ahead, and the merge leaves it there.
		w.push("app", "1.5.0")
		release.expect(reconcile.Updated, "1.5.0")
		main.on(func(u user) { u.note("late.yaml") })
		release.on(func(u user) { u.merge("origin/main") })
		release.expect(reconcile.UpToDate, "1.5.0")
		main.expect(reconcile.Updated, "1.5.0")
		rounds(w, main, release, "1.6.0")
	})
	t.Run("an undo on the release alone", func(t *testing.T) {
		t.Parallel()
		w, main, release := branches(t)
		rounds(w, main, release, "1.1.0", "1.2.0")
		release.on(back("1.1.0"))
		release.expect(reconcile.RolledBack, "1.1.0")
		main.expect(reconcile.UpToDate, "1.2.0")
		main.on(func(u user) { u.note("on.yaml") })
		release.on(func(u user) { u.merge("origin/main") })
		release.expect(reconcile.RolledBack, "1.1.0")
		main.expect(reconcile.UpToDate, "1.2.0")
		rounds(w, main, release, "1.3.0")
	})
	t.Run("an undo on main that is merged", func(t *testing.T) {
		t.Parallel()
		w, main, release := branches(t)
		rounds(w, main, release, "1.1.0", "1.2.0")
		main.on(back("1.1.0"))
		main.expect(reconcile.RolledBack, "1.1.0")
		release.expect(reconcile.UpToDate, "1.2.0")
		release.on(func(u user) { u.merge("origin/main") })
		release.expect(reconcile.RolledBack, "1.1.0")
		rounds(w, main, release, "1.3.0")
	})
	t.Run("an undo on the release, and a newer version on main", func(t *testing.T) {
		t.Parallel()
		for resolved, c := range map[string]struct {
			to     func(u user) string
			reason reconcile.Reason
			tag    string
		}{
			"to main's":      {func(u user) string { return u.held("origin/main") }, reconcile.UpToDate, "1.3.0"},
			"to the release": {func(u user) string { return u.held("HEAD") }, reconcile.RolledBack, "1.0.0"},
		} {
			t.Run("resolved "+resolved, func(t *testing.T) {
				t.Parallel()
				w, main, release := branches(t)
				rounds(w, main, release, "1.1.0", "1.2.0")
				release.on(back("1.0.0"))
				release.expect(reconcile.RolledBack, "1.0.0")
				w.push("app", "1.3.0")
				main.expect(reconcile.Updated, "1.3.0")
				release.on(func(u user) { u.resolve("origin/main", c.to(u)) })
				release.expect(c.reason, c.tag)
				release.expect(c.reason, c.tag)
				rounds(w, main, release, "1.4.0")
			})
		}
	})
	t.Run("an undo of what a merge brought outlives newer writes", func(t *testing.T) {
		t.Parallel()
		w, main, release := branches(t)
		rounds(w, main, release, "1.1.0")
		w.push("app", "1.2.0")
		main.expect(reconcile.Updated, "1.2.0")
		release.on(func(u user) { u.merge("origin/main") })
		release.expect(reconcile.UpToDate, "1.2.0")
		release.on(func(u user) {
			u.git("checkout", "--quiet", "HEAD~1", "--", app)
			u.commit("Back to what the release had")
		})
		release.expect(reconcile.RolledBack, "1.1.0")
		w.push("app", "1.3.0")
		release.expect(reconcile.Updated, "1.3.0")
		release.on(func(u user) {
			u.edit(policyFile, ">=1.0.0", ">=1.0.0 <1.3.0")
			u.commit("Keep below 1.3")
		})
		release.expect(reconcile.RolledBack, "1.3.0")
	})
	// Both branches have an entry that left 1.1.0, and one of them was moved on
	// and back to it.
	for name, c := range map[string]func(main, release branch) (undone, other branch){
		"an undo on main, then a merge of the release": func(main, release branch) (undone, other branch) { return main, release },
		"an undo on the release, then a merge of main": func(main, release branch) (undone, other branch) { return release, main },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, main, release := branches(t)
			main.expect(reconcile.Updated, "1.1.0")
			release.expect(reconcile.Updated, "1.1.0")
			undone, other := c(main, release)
			w.push("app", "1.2.0")
			undone.expect(reconcile.Updated, "1.2.0")
			undone.on(func(u user) { u.revert("HEAD") })
			undone.expect(reconcile.RolledBack, "1.1.0")
			undone.on(func(u user) { u.merge("origin/" + other.name) })
			undone.expect(reconcile.RolledBack, "1.1.0")
		})
	}
	t.Run("a merge resolved to what the release had", func(t *testing.T) {
		t.Parallel()
		w, main, release := branches(t)
		w.push("app", "1.1.0")
		main.expect(reconcile.Updated, "1.1.0")
		release.expect(reconcile.Updated, "1.1.0")
		w.push("app", "1.2.0")
		main.expect(reconcile.Updated, "1.2.0")
		release.on(func(u user) { u.merge("--strategy", "ours", "origin/main") })
		// Each branch wrote for itself: that the merge took the one says nothing
		// against the other.
		release.expect(reconcile.Updated, "1.2.0")
	})
}

// TestFormOfTwoRepositories: what is undone in one repository goes on in another
// that has the same policy.
func TestFormOfTwoRepositories(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	other := *w
	other.repo = w.server.Create("other")
	other.address = other.repo.URL
	other.seed()
	for _, each := range []*world{w, &other} {
		each.expect(reconcile.Updated, at("1.1.0"))
	}
	u := w.user()
	u.revert("HEAD")
	u.push()
	w.expect(reconcile.RolledBack, at("1.0.0"))
	other.expect(reconcile.UpToDate, at("1.1.0"))
	w.push("app", "1.2.0")
	for _, each := range []*world{w, &other} {
		each.expect(reconcile.Updated, at("1.2.0"))
		each.expectHistory(map[*world][]string{
			w:      {"2 1.2.0 schedule current by Pintle", "0 1.0.0 by hand earlier by Ada Person", "1 1.1.0 schedule vetoed by Pintle", "0 1.0.0 by hand earlier by Ada Person"},
			&other: {"2 1.2.0 schedule current by Pintle", "1 1.1.0 schedule earlier by Pintle", "0 1.0.0 by hand earlier by Ada Person"},
		}[each]...)
	}
}
