// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/fixtures/parts"
)

const shards = "overlays/shards"

// group is a Deployment, and what selects its pods.
type group struct {
	Arg                                    string
	Deployments, Budgets, Services, Guards []string
}

// groups are those of an API server, by the name of the Deployment.
func (r running) groups(t *testing.T) map[string]group {
	t.Helper()
	admin := r.strict(t)
	var deployments apps.DeploymentList
	var budgets policy.PodDisruptionBudgetList
	var services core.ServiceList
	var guards networking.NetworkPolicyList
	for _, list := range []client.ObjectList{&deployments, &budgets, &services, &guards} {
		if err := admin.List(t.Context(), list, client.InNamespace(system)); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]group{}
	for _, d := range deployments.Items {
		pods := d.Spec.Template.Labels
		args := d.Spec.Template.Spec.Containers[0].Args
		g := group{Arg: args[len(args)-1]}
		for _, other := range deployments.Items {
			g.Deployments = appendIf(g.Deployments, other.Name, selects(t, other.Spec.Selector, pods))
		}
		for _, b := range budgets.Items {
			g.Budgets = appendIf(g.Budgets, b.Name, selects(t, b.Spec.Selector, pods))
		}
		for _, s := range services.Items {
			g.Services = appendIf(g.Services, s.Name, labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pods)))
		}
		for _, n := range guards.Items {
			g.Guards = appendIf(g.Guards, n.Name, selects(t, &n.Spec.PodSelector, pods))
		}
		for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
			if !selects(t, spread.LabelSelector, pods) || cmp.Diff(spread.LabelSelector, d.Spec.Selector) != "" {
				t.Errorf("%s is spread by %v, want its own pods", d.Name, spread.LabelSelector)
			}
		}
		found[d.Name] = g
	}
	return found
}

func appendIf(list []string, name string, matches bool) []string {
	if matches {
		return append(list, name)
	}
	return list
}

func selects(t *testing.T, by *metav1.LabelSelector, pods map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(by)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(pods))
}

// The pods of groups that share a fleet are told apart by all that selects pods, but for
// the NetworkPolicy, which is for all.
func TestShardsAreApart(t *testing.T) {
	r := running{Cluster: parts.KubeAPIServer(t)}
	if err := install(t.Context(), r.Cluster, rest.NoWarnings{}, shards); err != nil {
		t.Fatal(err)
	}
	of := func(name, arg string) group {
		return group{arg, []string{"pintle-controller-" + name}, []string{"pintle-controller-" + name},
			[]string{"pintle-controller-metrics-" + name}, []string{"pintle-controller"}}
	}
	want := map[string]group{
		"pintle-controller-blue": of("blue", "--selector=pintle.dev/shard=blue"),
		"pintle-controller-rest": of("rest", "--selector=!pintle.dev/shard"),
	}
	if diff := cmp.Diff(want, r.groups(t)); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// Groups have the rights of the one install, and differ from it by nothing else.
func TestShardsAreTheInstall(t *testing.T) {
	grouped := func(name string) bool {
		return slices.Contains([]string{"Deployment", "PodDisruptionBudget", "Service"}, name)
	}
	var want, got []string
	for _, o := range mustBuild(t, defaults) {
		want = appendIf(want, title(o), !grouped(o.GetKind()))
	}
	for _, o := range mustBuild(t, shards) {
		got = appendIf(got, title(o), !grouped(o.GetKind()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects beside those of groups (-default +shards):\n%s", diff)
	}
}
