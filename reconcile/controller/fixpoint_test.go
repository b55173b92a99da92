// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	cmpdiff "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

const lookEvery = 200 * time.Millisecond

// calm are policies of each kind that there is, and what their registry is asked at each
// tick, by image.
type calm struct {
	*world

	git, images *front
	api         *tally
	policies    map[string]*v1alpha1.ImagePolicy
	reasons     map[string]string
	asked       map[string]map[string]int
}

func newCalm(t *testing.T) *calm {
	t.Helper()
	c := &calm{world: newOwnWorld(t), policies: map[string]*v1alpha1.ImagePolicy{}}
	c.git, c.images = c.fronts()
	c.cluster, c.api = counted(c.cluster)
	c.reasons = map[string]string{
		"app": "UpToDate", "twin": "UpToDate", "far": "UpToDate", "stable": "UpToDate", "newest": "UpToDate", "pinned": "Pinned",
		"held": "RolledBack", "kept": "RolledBack", "suspended": "Suspended", "no-match": "NoMatch", "missing": "Failed",
		"young": "TooYoung", "slim": "UpToDate",
	}
	for name := range c.reasons {
		c.policies[name] = c.policy(name, cmp.Or(map[string]string{"twin": "app", "far": "app", "kept": "held"}[name], name))
	}
	pushed := map[string]string{} // digests of 1.0.0
	for _, name := range []string{"app", "pinned", "held", "suspended", "no-match", "young", "slim"} {
		pushed[name] = images.Push(t, c.store, name, "1.0.0", name+":1.0.0")
		c.push(name, "1.1.0")
	}
	c.push("stable", "stable")
	for i, tag := range []string{"a", "b"} {
		images.PushImage(t, c.store, "newest", tag, images.Image{Seed: tag, Created: time.Date(2025, 1, 1+i, 0, 0, 0, 0, time.UTC)})
	}
	images.PushImage(t, c.store, "slim", "1.0.0", images.Image{Seed: "slim", Platforms: []images.Image{{Platform: "linux/amd64"}, {Platform: "linux/arm64"}}})
	c.policies["slim"].Spec.Platforms = []string{"linux/amd64", "linux/arm64"}
	c.policies["young"].Spec.MinimumAge = &metav1.Duration{Duration: 24 * time.Hour}
	c.policies["stable"].Spec.Select = v1alpha1.Select{Tag: "stable"}
	c.policies["newest"].Spec.Select = v1alpha1.Select{Newest: &v1alpha1.Newest{}}
	c.policies["pinned"].Spec.Pin = &v1alpha1.Pin{Tag: "1.0.0"}
	c.policies["suspended"].Spec.Suspend = true
	c.policies["no-match"].Spec.Select.Semver.Range = ">=9"
	c.policies["far"].Namespace = c.space(nil)
	c.asked = map[string]map[string]int{
		// Three policies in two namespaces.
		"app": {"list": 1, "HEAD 1.1.0": 1},
		// A followed tag needs no list.
		"stable": {"HEAD stable": 1},
		// This rule ranks tags by what they stand for now, which has to be asked; when
		// that was made is asked once for all time.
		"newest": {"list": 1, "HEAD a": 1, "HEAD b": 1},
		// What Git holds and the rule does not select may leave the registry; two
		// policies hold the one.
		"pinned":    {"list": 1, "HEAD 1.1.0": 1, "HEAD " + pushed["pinned"]: 1},
		"held":      {"list": 1, "HEAD 1.1.0": 1, "HEAD " + pushed["held"]: 1},
		"suspended": {"list": 1, "HEAD 1.1.0": 1},
		"no-match":  {"list": 1},
		// A gate costs one more for each candidate that it keeps back; which platforms an
		// image is for is asked once for all time.
		"young":   {"list": 1, "HEAD 1.1.0": 1, "HEAD 1.0.0": 1},
		"slim":    {"list": 1, "HEAD 1.1.0": 1, "HEAD 1.0.0": 1},
		"missing": {"list": 1},
	}
	c.seed(pushed["held"])
	return c
}

func (c *calm) seed(held string) {
	c.t.Helper()
	files := map[string]string{
		"broken.yaml": c.deployment("broken", "app:1.0.0", "nobody"), // a problem that stays
		"far.yaml":    strings.Replace(c.deployment("far", "app:1.0.0", "far"), c.namespace+":far", c.policies["far"].Namespace+":far", 1),
		"held.yaml":   c.deployment("held", "held:1.0.0@"+held, "held"),
		"kept.yaml":   c.deployment("kept", "held:1.0.0@"+held, "kept"),
		"twin.yaml":   c.deployment("twin", "app:1.0.0", "twin"),
		"stable.yaml": c.deployment("stable", "stable:stable", "stable"),
		"newest.yaml": c.deployment("newest", "newest:a", "newest"),
	}
	for _, name := range []string{"app", "pinned", "suspended", "no-match", "missing", "young", "slim"} {
		files[name+".yaml"] = c.deployment(name, name+":1.0.0", name)
	}
	c.repo.Seed(c.t, files, "First")
}

// settle brings all to where nothing is left to do.
func (c *calm) settle() {
	c.t.Helper()
	repository := c.repository("fleet")
	repository.Spec.Policies.Namespaces.From = v1alpha1.FromAll
	c.create(c.policies["held"], c.policies["kept"], repository)
	c.controller(controller.Options{LookEvery: lookEvery})
	c.untilTag("held.yaml", "1.1.0")
	c.revert()
	for name, p := range c.policies {
		if c.reasons[name] != "RolledBack" {
			c.create(p)
		}
	}
	for name, reason := range c.reasons {
		c.untilReady(c.policies[name], reason)
	}
	c.untilReady(repository, "Problems")
	c.until("the API server is left alone", func() (string, bool) {
		before := c.api.count()
		time.Sleep(time.Second)
		return fmt.Sprintf("%d requests", c.api.count()-before), c.api.count() == before
	})
}

// versions are the resource versions of all our objects.
func (c *calm) versions() map[string]string {
	c.t.Helper()
	found := map[string]string{}
	for _, namespace := range []string{c.namespace, c.policies["far"].Namespace} {
		var policies v1alpha1.ImagePolicyList
		var repositories v1alpha1.ManifestRepositoryList
		for _, list := range []client.ObjectList{&policies, &repositories} {
			if err := c.client.List(c.t.Context(), list, client.InNamespace(namespace)); err != nil {
				c.t.Fatal(err)
			}
		}
		for _, p := range policies.Items {
			found["ImagePolicy "+p.Name] = p.ResourceVersion
		}
		for _, r := range repositories.Items {
			found["ManifestRepository "+r.Name] = r.ResourceVersion
		}
	}
	return found
}

// perTick are the requests about an image since some time, of its whole ticks: from one
// beginning to another one.
func (c *calm) perTick(image string, from int) (ticks int, asked map[string]int) {
	begins := "/v2/" + image + "/tags/list?"
	if c.asked[image]["list"] == 0 {
		begins = "/v2/" + image + "/manifests/"
	}
	asked = map[string]int{}
	next := map[string]int{} // since the newest beginning
	begun := false
	for _, request := range c.images.with("/v2/" + image + "/")[from:] {
		if strings.Contains(request, begins) {
			if begun {
				ticks++
			}
			begun = true
			for what, n := range next {
				asked[what] += n
			}
			clear(next)
		}
		if begun {
			next[kindOf(request)]++
		}
	}
	return ticks, asked
}

// kindOf is a request without the image.
func kindOf(request string) string {
	method, path, _ := strings.Cut(request, " ")
	if strings.Contains(path, "/tags/list?") {
		return "list"
	}
	return method + " " + path[strings.LastIndex(path, "/")+1:]
}

// With nothing changed for ten ticks of each schedule nothing is written: to Git, to the
// API server, in events. Git is asked for the tip alone, and the registry once for what
// each image's policies want to know together.
func TestFixpoint(t *testing.T) {
	c := newCalm(t)
	c.settle()
	versions, head, api := c.versions(), c.repo.Head(t, "main"), c.api.count()
	begun := time.Now()
	c.server.Reset()
	from := map[string]int{}
	for image := range c.asked {
		from[image] = c.images.count("/v2/" + image + "/")
	}
	const ticks = 10
	c.until("ten ticks of all schedules", func() (string, bool) {
		for image := range c.asked {
			if n, _ := c.perTick(image, from[image]); n < ticks {
				return fmt.Sprintf("%d ticks of %s", n, image), false
			}
		}
		return "", true
	})
	asked := c.api.with()[api:]
	counts := c.server.Counts()
	took := time.Since(begun)

	if diff := cmpdiff.Diff(versions, c.versions()); diff != "" {
		t.Errorf("resource versions (-before +after):\n%s", diff)
	}
	if len(asked) > 0 {
		t.Errorf("the API server was asked %d times: %v", len(asked), asked)
	}
	if got := c.repo.Head(t, "main"); got != head {
		t.Errorf("commits were made: %s", gitserver.Git(t, c.repo.Dir, "log", "--oneline", head+"..main"))
	}
	if most := int(took/lookEvery) + 1; counts.UploadPacks != 0 || counts.ReceivePacks != 0 || counts.Lookups < ticks || counts.Lookups > most {
		t.Errorf("Git was asked %+v, want look-ups of the tip alone, at most %d", counts, most)
	}
	for image, each := range c.asked {
		n, got := c.perTick(image, from[image])
		want := map[string]int{}
		for what, count := range each {
			want[what] = count * n
		}
		if diff := cmpdiff.Diff(want, got); diff != "" {
			t.Errorf("the registry was asked about %s in %d ticks (-want +got):\n%s", image, n, diff)
		}
		if most := int(took/time.Second) + 1; n > most {
			t.Errorf("%s: %d ticks in %v, although the schedule says one a second", image, n, took)
		}
	}
}
