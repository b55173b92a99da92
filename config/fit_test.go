// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// deployment gives the Deployment and its one container.
func deployment(t *testing.T) (*apps.Deployment, *core.Container) {
	t.Helper()
	found := find[apps.Deployment](t, mustBuild(t, defaults), "Deployment", "pintle-controller")
	if containers := found.Spec.Template.Spec.Containers; len(containers) != 1 {
		t.Fatalf("got %d containers, want one", len(containers))
	}
	return found, &found.Spec.Template.Spec.Containers[0]
}

func TestContainerIsStartedAsTheCommandWants(t *testing.T) {
	_, container := deployment(t)
	want := []string{"controller", "--leader-elect", "--metrics-bind-address=:8080", "--health-probe-bind-address=:8081"}
	if diff := cmp.Diff(want, container.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if container.Command != nil {
		t.Errorf("the command is set to %q: the images of Dockerfile and of ko have it at different paths", container.Command)
	}
	if container.Image != image+":latest" {
		t.Errorf("got image %s", container.Image)
	}
}

// The ports are told in many places, which have to agree.
func TestPortsAgree(t *testing.T) {
	install := mustBuild(t, defaults)
	_, container := deployment(t)
	ports := map[string]int32{}
	for _, port := range container.Ports {
		ports[port.Name] = port.ContainerPort
	}
	if diff := cmp.Diff(map[string]int32{"metrics": 8080, "health": 8081}, ports); diff != "" {
		t.Errorf("ports of the container (-want +got):\n%s", diff)
	}
	for path, probe := range map[string]*core.Probe{"/healthz": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port != intstr.FromString("health") {
			t.Errorf("no probe asks for %s on the port health: %+v", path, probe)
		}
	}
	service := find[core.Service](t, install, "Service", "pintle-controller-metrics")
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Name != "metrics" || service.Spec.Ports[0].TargetPort != intstr.FromString("metrics") {
		t.Errorf("the Service does not lead to the port metrics alone: %+v", service.Spec.Ports)
	}
	monitor := find[serviceMonitor](t, mustBuild(t, monitored), "ServiceMonitor", "pintle-controller")
	if len(monitor.Spec.Endpoints) != 1 || monitor.Spec.Endpoints[0].Port != service.Spec.Ports[0].Name || !monitor.Spec.Endpoints[0].HonorLabels {
		t.Errorf("the ServiceMonitor does not scrape the Service's port with the labels that stand there: %+v", monitor.Spec.Endpoints)
	}
	if job := service.Labels[monitor.Spec.JobLabel]; job != "pintle" {
		t.Errorf("the rules and the dashboard ask for job pintle, and it is %q", job)
	}
	if dockerfile := read(t, "../Dockerfile"); !strings.Contains(dockerfile, "\nEXPOSE 8080 8081\n") {
		t.Error("Dockerfile does not expose the ports")
	}
}

// What selects the pods, or the Service, selects them and nothing else of ours.
func TestSelectorsFit(t *testing.T) {
	install := mustBuild(t, defaults)
	workload, _ := deployment(t)
	template := labels.Set(workload.Spec.Template.Labels)
	service := find[core.Service](t, install, "Service", "pintle-controller-metrics")
	budget := find[policy.PodDisruptionBudget](t, install, "PodDisruptionBudget", "pintle-controller")
	network := find[networking.NetworkPolicy](t, install, "NetworkPolicy", "pintle-controller")
	monitor := find[serviceMonitor](t, mustBuild(t, monitored), "ServiceMonitor", "pintle-controller")
	want := map[string]string{"app.kubernetes.io/name": "pintle", "app.kubernetes.io/component": "controller"}
	if len(workload.Spec.Template.Spec.TopologySpreadConstraints) != 1 {
		t.Fatal("the replicas are not spread")
	}
	for name, selector := range map[string]*metav1.LabelSelector{
		"Deployment":          workload.Spec.Selector,
		"spread":              workload.Spec.Template.Spec.TopologySpreadConstraints[0].LabelSelector,
		"Service":             {MatchLabels: service.Spec.Selector},
		"PodDisruptionBudget": budget.Spec.Selector,
		"NetworkPolicy":       &network.Spec.PodSelector,
		"ServiceMonitor":      &monitor.Spec.Selector,
	} {
		if diff := cmp.Diff(&metav1.LabelSelector{MatchLabels: want}, selector); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, set := range map[string]labels.Set{"the pods": template, "the Service": service.Labels} {
		if !labels.SelectorFromSet(want).Matches(set) {
			t.Errorf("%s have %v, and are not selected", name, set)
		}
	}
}

// What Pod Security does not ask for, and the issue does.
func TestPodIsModest(t *testing.T) {
	workload, container := deployment(t)
	pod := workload.Spec.Template.Spec
	if got := *workload.Spec.Replicas; got != 2 {
		t.Errorf("got %d replicas, want 2", got)
	}
	if pod.TerminationGracePeriodSeconds == nil || *pod.TerminationGracePeriodSeconds < 60 {
		t.Error("a push under way has less than a minute")
	}
	security := pod.SecurityContext
	if security.RunAsUser == nil || *security.RunAsUser != 65532 || security.RunAsGroup == nil || *security.RunAsGroup != 65532 {
		t.Errorf("user and group are not those of the image: %+v", security)
	}
	if only := container.SecurityContext.ReadOnlyRootFilesystem; only == nil || !*only {
		t.Error("the root file system can be written")
	}
	if len(pod.Volumes) != 0 {
		t.Errorf("volumes are mounted: %+v", pod.Volumes)
	}
	want := core.ResourceRequirements{
		Requests: core.ResourceList{core.ResourceCPU: resource.MustParse("50m"), core.ResourceMemory: resource.MustParse("128Mi")},
		Limits:   core.ResourceList{core.ResourceMemory: resource.MustParse("512Mi")},
	}
	if diff := cmp.Diff(want, container.Resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	service := find[core.ServiceAccount](t, mustBuild(t, defaults), "ServiceAccount", account)
	if mounts := service.AutomountServiceAccountToken; mounts == nil || *mounts {
		t.Error("whatever runs as the account gets a token")
	}
	if mounts := pod.AutomountServiceAccountToken; mounts == nil || !*mounts {
		t.Error("the controller gets no token")
	}
}

func TestNetworkPolicyOpensNoMoreThanIsUsed(t *testing.T) {
	network := find[networking.NetworkPolicy](t, mustBuild(t, defaults), "NetworkPolicy", "pintle-controller")
	if diff := cmp.Diff([]networking.PolicyType{networking.PolicyTypeIngress, networking.PolicyTypeEgress}, network.Spec.PolicyTypes); diff != "" {
		t.Errorf("directions (-want +got):\n%s", diff)
	}
	var in, out []string
	opened := func(ports []networking.NetworkPolicyPort) (open []string) {
		for _, port := range ports {
			if port.EndPort != nil {
				t.Errorf("a range of ports is open: %v", port)
			}
			open = append(open, string(*port.Protocol)+" "+port.Port.String())
		}
		return open
	}
	for _, rule := range network.Spec.Ingress {
		in = append(in, opened(rule.Ports)...)
		if diff := cmp.Diff([]networking.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}}}, rule.From); diff != "" {
			t.Errorf("who may come in (-want +got):\n%s", diff)
		}
	}
	for _, rule := range network.Spec.Egress {
		out = append(out, opened(rule.Ports)...)
	}
	slices.Sort(out)
	if diff := cmp.Diff([]string{"TCP 8080"}, in); diff != "" {
		t.Errorf("ingress (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"TCP 22", "TCP 443", "TCP 53", "TCP 6443", "UDP 53"}, out); diff != "" {
		t.Errorf("egress (-want +got):\n%s", diff)
	}
}
