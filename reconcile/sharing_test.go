// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/registry"
)

// What one engine adds to the creation times of a resolution, for what its fields hold,
// is not seen by the others, which may add at the same time.
func TestEnginesShareResolutions(t *testing.T) {
	host := parts.Registry(t, parts.RegistryOptions{})
	images.PushImage(t, host, "app", "new", images.Image{Seed: "new", Created: time.Unix(2e9, 0)})
	old := images.PushImage(t, host, "app", "old", images.Image{Seed: "old", Created: time.Unix(1e9, 0)})
	p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "app"}}
	p.Spec.Image, p.Spec.Select = host+"/app", v1alpha1.Select{Newest: &v1alpha1.Newest{}, Exclude: []string{"^old$"}}
	resolutions, account := NewResolutions(), NewAccount(registry.Options{PlainHTTP: []string{host}})
	if err := resolutions.Look(t.Context(), account, []*v1alpha1.ImagePolicy{p}, time.Now(), BySchedule); err != nil {
		t.Fatal(err)
	}
	d, err := compile(p)
	if err != nil {
		t.Fatal(err)
	}
	var engines sync.WaitGroup
	for range 4 {
		engines.Go(func() {
			for range 50 {
				all, err := resolutions.resolve(t.Context(), []declared{d})
				if err != nil {
					t.Error(err)
				}
				mine := all[d.name]
				dateCurrent(t.Context(), d, &mine, []ledger.Value{ledger.NewValue("", old)})
				if !mine.created[old].Equal(time.Unix(1e9, 0)) {
					t.Errorf("the old one was made at %v", mine.created[old])
				}
			}
		})
	}
	engines.Wait()
	if all, _ := resolutions.resolve(t.Context(), []declared{d}); len(all[d.name].created) != 1 {
		t.Errorf("the shared resolution has %v", all[d.name].created)
	}
}

// Rules that nobody asks for any more are forgotten.
func TestRankingsAreForgotten(t *testing.T) {
	account := NewAccount(registry.Options{})
	for i := range 10 {
		account.remember(rankings{{"app", fmt.Sprint(i)}: {tags: []string{"1"}}})
	}
	for s, r := range account.rankings {
		r.used = r.used.Add(-keepRanking)
		account.rankings[s] = r
	}
	account.remember(rankings{{"app", "3"}: {tags: []string{"1"}}})
	if len(account.rankings) != 1 {
		t.Errorf("%d rankings are kept, want the one that is used", len(account.rankings))
	}
}
