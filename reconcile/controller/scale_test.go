// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// The size of the fleet: policy n follows image n/policiesPerImage and has one field, in
// the file n×(files/policies).
const (
	fleetPolicies    = 1000
	policiesPerImage = 5
	fleetImages      = fleetPolicies / policiesPerImage
	fleetTags        = 5
	fleetFiles       = 10_000
	// farSchedule does not come while a test runs.
	farSchedule = "0 0 29 2 *"
)

// fleet is a world with many policies, and a registry that is quick to fill.
type fleet struct {
	*world

	images   http.Handler
	registry *front
	api      *tally
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	config, api := counted(shared.Config)
	f := &fleet{world: newWorld(t, shared.Config), api: api, images: ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)))}
	f.cluster = config
	f.registry = newFront(t, f.images)
	f.world.registry = f.registry.address
	for image := range fleetImages {
		for patch := range fleetTags {
			f.pushTag(image, patch)
		}
	}
	return f
}

func imageName(image int) string { return fmt.Sprintf("team-%02d/app-%03d", image%20, image) }

// pushTag puts a manifest without layers into the registry, past its front.
func (f *fleet) pushTag(image, patch int) {
	f.t.Helper()
	const kind = "application/vnd.oci.image.manifest.v1+json"
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"annotations":{"name":"%d:%d"}}`, kind, image, patch)
	request := httptest.NewRequestWithContext(f.t.Context(), http.MethodPut, fmt.Sprintf("/v2/%s/manifests/1.0.%d", imageName(image), patch), strings.NewReader(body))
	request.Header.Set("Content-Type", kind)
	answer := httptest.NewRecorder()
	if f.images.ServeHTTP(answer, request); answer.Code != http.StatusCreated {
		f.t.Fatalf("cannot push: %s", answer.Body)
	}
}

func policyName(policy int) string { return fmt.Sprintf("app-%04d", policy) }

func fleetFile(policy int) string {
	return manifestFile(policy * (fleetFiles / fleetPolicies))
}

func manifestFile(number int) string {
	return fmt.Sprintf("apps/folder-%03d/deployment-%05d.yaml", number/100, number)
}

// seedFiles makes a repository whose manifests hold tags that are two versions old.
func (f *fleet) seedFiles() {
	f.t.Helper()
	files := make(map[string]string, fleetFiles)
	for n := range fleetFiles {
		files[manifestFile(n)] = fmt.Sprintf("# Part %d of the shop.\n", n) + f.deployment("sidecar", "platform/sidecar:2.4.1", "nobody")
	}
	for p := range fleetPolicies {
		files[fleetFile(p)] = f.deployment(policyName(p), fmt.Sprintf("%s:1.0.%d", imageName(p/policiesPerImage), fleetTags-3), policyName(p))
	}
	for name, text := range files {
		files[name] = strings.Replace(text, fmt.Sprintf(` # {"$imagepolicy": "%s:nobody"}`, f.namespace), "", 1)
	}
	f.repo.Seed(f.t, files, "First")
}

// createPolicies makes all policies, some side by side.
func (f *fleet) createPolicies() {
	f.t.Helper()
	f.eachPolicy(fleetPolicies, func(ctx context.Context, n int) error {
		p := f.policy(policyName(n), imageName(n/policiesPerImage))
		p.Spec.Schedule = farSchedule
		return f.client.Create(ctx, p)
	})
}

func (f *fleet) eachPolicy(policies int, do func(ctx context.Context, n int) error) {
	f.t.Helper()
	group, ctx := errgroup.WithContext(f.t.Context())
	group.SetLimit(8)
	for n := range policies {
		group.Go(func() error { return do(ctx, n) })
	}
	if err := group.Wait(); err != nil {
		f.t.Fatal(err)
	}
}

// untilAllReady waits until as many statuses were written as there are policies, and
// all are Ready.
func (f *fleet) untilAllReady() {
	f.t.Helper()
	f.until("all policies are Ready", func() (string, bool) {
		if n := f.api.count("PATCH", "/imagepolicies/", "/status"); n < fleetPolicies {
			time.Sleep(100 * time.Millisecond)
			return fmt.Sprintf("%d statuses are written", n), false
		}
		var list v1alpha1.ImagePolicyList
		if err := f.client.List(f.t.Context(), &list, client.InNamespace(f.namespace)); err != nil {
			return err.Error(), false
		}
		ready := 0
		for i := range list.Items {
			c := meta.FindStatusCondition(list.Items[i].Status.Conditions, v1alpha1.ConditionReady)
			if c != nil && c.Reason == "UpToDate" && c.ObservedGeneration == list.Items[i].Generation {
				ready++
			}
		}
		return fmt.Sprintf("%d are ready", ready), ready == fleetPolicies
	})
}

// usage is what the process has used, test servers in it included.
type usage struct {
	at  time.Time
	cpu time.Duration
}

func used(t *testing.T) usage {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return usage{time.Now(), time.Duration(r.Utime.Nano() + r.Stime.Nano())}
}

func (u usage) since(t *testing.T) string {
	t.Helper()
	now := used(t)
	return fmt.Sprintf("%.2f s, %.2f s of CPU", now.at.Sub(u.at).Seconds(), (now.cpu - u.cpu).Seconds())
}

// peakHeap samples the heap until it is asked.
func peakHeap() (stop func() (mebibytes uint64)) {
	done, result := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		peak := uint64(0)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64())
			select {
			case <-done:
				result <- peak >> 20
				return
			case <-tick.C:
			}
		}
	}()
	return func() uint64 { close(done); return <-result }
}

// A thousand policies are one push, and one list for each image repository; a new tag of
// one image is one push too; and what is idle costs next to nothing.
func TestFleetOfAThousandPolicies(t *testing.T) {
	begun := used(t)
	f := newFleet(t)
	f.seedFiles()
	f.createPolicies()
	f.create(f.repository("fleet"))
	t.Logf("%d policies, %d images, %d files: made in %s", fleetPolicies, fleetImages, fleetFiles, begun.since(t))
	f.firstWrite()
	f.oneTag()
	f.idle()
	f.repo.Fsck(t)
}

const fleetLook = 2 * time.Second

func (f *fleet) firstWrite() {
	f.t.Helper()
	heap, begun := peakHeap(), used(f.t)
	f.controller(controller.Options{LookEvery: fleetLook, Quiet: time.Second})
	f.untilHead(f.repo.Head(f.t, "main"))
	f.t.Logf("first write: pushed after %s", begun.since(f.t))
	f.untilAllReady()
	f.t.Logf("first write: all statuses after %s; peak heap %d MiB", begun.since(f.t), heap())
	f.logRequests("first write")
	// Of so many images, a message tells the origin of the first 20.
	if diff := cmp.Diff(traffic{Pushes: 1, Lists: fleetImages, Heads: fleetImages, Gets: 20, Pings: 1}, f.traffic()); diff != "" {
		f.t.Errorf("requests of the first write (-want +got):\n%s", diff)
	}
	if n := gitserver.Git(f.t, f.repo.Dir, "rev-list", "--count", "main"); n != strconv.Itoa(1+fleetImages) {
		f.t.Errorf("the branch has %s commits, want one for each image", n)
	}
	for _, policy := range []int{0, fleetPolicies - 1} {
		if got, want := f.reference(fleetFile(policy)), fmt.Sprintf("%s:1.0.%d@", imageName(policy/policiesPerImage), fleetTags-1); !strings.HasPrefix(got, want) {
			f.t.Errorf("policy %d: the field holds %s, want %s…", policy, got, want)
		}
	}
}

// oneTag lets the policies of the first image look often, and gives it a new tag.
func (f *fleet) oneTag() {
	f.t.Helper()
	f.reschedule("@every 1s", policiesPerImage)
	f.until("the first image is looked at often", func() (string, bool) {
		n := f.registry.count("GET ", imageName(0), "/tags/list?")
		return fmt.Sprint(n, " lists"), n >= 3
	})
	before, head, begun := f.traffic(), f.repo.Head(f.t, "main"), used(f.t)
	f.pushTag(0, fleetTags)
	f.untilHead(head)
	f.t.Logf("one tag: pushed after %s, with a look every second", begun.since(f.t))
	f.untilTag(fleetFile(policiesPerImage-1), fmt.Sprintf("1.0.%d", fleetTags))
	if after := f.traffic(); after.Pushes != before.Pushes+1 {
		f.t.Errorf("%d pushes, want one", after.Pushes-before.Pushes)
	}
	if changed := gitserver.Git(f.t, f.repo.Dir, "diff", "--numstat", head, "main"); strings.Count(changed, "\n")+1 != policiesPerImage {
		f.t.Errorf("the push changes these files, want %d:\n%s", policiesPerImage, changed)
	}
}

// idle logs what it costs to look at a part of the fleet in which nothing changed.
func (f *fleet) idle() {
	f.t.Helper()
	const ticks, policies = 2, 200
	f.reschedule("@every 5s", policies)
	f.untilAllReady()
	before, patches, lookups, begun := f.traffic(), f.api.count("PATCH"), f.server.Counts().Lookups, used(f.t)
	f.until("the images are looked at again", func() (string, bool) {
		time.Sleep(50 * time.Millisecond)
		n := f.traffic().Lists - before.Lists
		return fmt.Sprint(n, " lists"), n >= ticks*policies/policiesPerImage
	})
	f.t.Logf("idle: %d looks for each of %d policies, and %d at the branch, took %s", ticks, policies, f.server.Counts().Lookups-lookups, begun.since(f.t))
	if n := f.api.count("PATCH") - patches; n != 0 {
		f.t.Errorf("%d statuses were written while nothing changed", n)
	}
	if n := f.traffic().Pushes - before.Pushes; n != 0 {
		f.t.Errorf("%d pushes while nothing changed", n)
	}
}

// reschedule changes the schedule of the first policies.
func (f *fleet) reschedule(schedule string, policies int) {
	f.t.Helper()
	f.eachPolicy(policies, func(ctx context.Context, n int) error {
		p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: policyName(n)}}
		return f.client.Patch(ctx, p, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"schedule":%q}}`, schedule)))
	})
}

func (f *fleet) untilHead(before string) {
	f.t.Helper()
	f.until("the branch moves", func() (string, bool) {
		head := f.repo.Head(f.t, "main")
		return head, head != before
	})
}

// traffic are the requests so far.
type traffic struct{ Pushes, Lists, Heads, Gets, Pings int }

func (f *fleet) traffic() traffic {
	lists, heads, gets := f.registry.count("GET ", "/tags/list?"), f.registry.count("HEAD ", "/manifests/"), f.registry.count("GET ", "/manifests/")
	return traffic{f.server.Counts().ReceivePacks, lists, heads, gets, f.registry.count() - lists - heads - gets}
}

// logRequests logs what the API server was asked, by kind.
func (f *fleet) logRequests(what string) {
	f.t.Helper()
	requests := map[string]int{}
	for _, asked := range f.api.with() {
		asked, query, _ := strings.Cut(asked, "?")
		if strings.Contains(query, "watch=true") {
			asked = "WATCH" + asked
		}
		requests[anyName.ReplaceAllString(asked, "$1/*")]++
	}
	f.t.Logf("%s: %v; requests to the API server: %v", what, f.traffic(), requests)
}

// anyName is what differs between objects of a kind.
var anyName = regexp.MustCompile(`(namespaces|imagepolicies|manifestrepositories|events)/[^/ ]+`)
