// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	events "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

// nowhere is an address that nothing listens at.
const nowhere = "127.0.0.1:1"

// freeAddress is one that the controller can listen at.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// container is a process that stands for the Deployment's: the program as the image has
// it, the arguments and the account of the manifests, and neither PATH nor home.
type container struct {
	metrics, probes string
	stop            func() (log string)
}

func (r running) container(t *testing.T) container {
	t.Helper()
	c := container{metrics: freeAddress(t), probes: freeAddress(t)}
	_, manifest := deployment(t)
	var args []string
	for _, arg := range manifest.Args {
		arg = strings.Replace(arg, "metrics-bind-address=:8080", "metrics-bind-address="+c.metrics, 1)
		args = append(args, strings.Replace(arg, "probe-bind-address=:8081", "probe-bind-address="+c.probes, 1))
	}
	// A pod knows its namespace by itself.
	args = append(args, "--leader-election-namespace="+system, "--plain-http=127.0.0.1")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, built(t), args...)
	cmd.Env = []string{
		"KUBECONFIG=" + parts.KubeconfigFile(t, r.ServiceAccountConfig(t, system, account)),
		fmt.Sprintf("GOMEMLIMIT=%d", manifest.Resources.Limits.Memory().Value()), // as resourceFieldRef gives it
	}
	cmd.Dir = t.TempDir()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	c.stop = func() string {
		if cancel(); !stopped {
			stopped = true
			if <-ended; cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("it ended with status %d", cmd.ProcessState.ExitCode())
			}
		}
		return log.String()
	}
	t.Cleanup(func() {
		if said := c.stop(); t.Failed() {
			t.Logf("the controller said\n%s", said)
		}
	})
	return c
}

// get asks for a page.
func get(ctx context.Context, address, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, body)
	}
	return string(body), err
}

// until waits until there is no error.
func until(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, last)
	}
}

// populate makes a policy, a repository that can be written, and one that is not there.
func (r running) populate(t *testing.T) gitserver.Repo {
	t.Helper()
	const namespace = "prod"
	registry := parts.Registry(t, parts.RegistryOptions{})
	for _, tag := range []string{"1.0.0", "1.1.0"} {
		images.Push(t, registry, "app", tag, tag)
	}
	repository := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repository.Seed(t, map[string]string{"app.yaml": fmt.Sprintf("image: %s/app:1.0.0 # {\"$imagepolicy\": \"%s:app\"}\n", registry, namespace)}, "First")
	admin := r.strict(t)
	fresh(t, admin, namespace)
	for _, object := range []client.Object{
		&v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}, Spec: v1alpha1.ImagePolicySpec{
			Image: registry + "/app", Schedule: "@every 1s", Select: v1alpha1.Select{Semver: &v1alpha1.Semver{Range: "1.x"}}}},
		&v1alpha1.ManifestRepository{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "fleet"}, Spec: v1alpha1.ManifestRepositorySpec{URL: repository.URL, Branch: "main"}},
		&v1alpha1.ManifestRepository{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lost"}, Spec: v1alpha1.ManifestRepositorySpec{URL: "http://" + nowhere + "/lost.git"}},
	} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	return repository
}

// The install as a whole: with these rights and arguments, and nothing else in the
// image, an update gets into Git, and the metrics are those that are watched.
func TestInstalledControllerWorks(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the image's program runs on Linux")
	}
	built(t) // first, as it may take minutes
	r := running{Cluster: parts.KubeAPIServer(t)}
	if err := install(t.Context(), r.Cluster, rest.NoWarnings{}, defaults); err != nil {
		t.Fatal(err)
	}
	repository := r.populate(t)
	c := r.container(t)

	for _, path := range []string{"/healthz", "/readyz"} {
		until(t, path, func(ctx context.Context) error { _, err := get(ctx, c.probes, path); return err })
	}
	until(t, "the update is in Git", func(context.Context) error {
		if content := repository.Read(t, "main", "app.yaml"); !strings.Contains(content, "/app:1.1.0@sha256:") {
			return fmt.Errorf("the branch has %s", content)
		}
		return nil
	})
	until(t, "metrics", func(ctx context.Context) error { return sameMetrics(ctx, c.metrics) })
	r.left(t)
	if log := c.stop(); strings.Contains(log, "forbidden") || strings.Contains(log, "executable file not found") {
		t.Errorf("it wanted more than it has:\n%s", log)
	}
}

// left checks what the controller left in the cluster by its rights.
func (r running) left(t *testing.T) {
	t.Helper()
	admin := r.strict(t)
	var leases coordination.LeaseList
	if err := admin.List(t.Context(), &leases, client.InNamespace(system)); err != nil || len(leases.Items) != 1 {
		t.Errorf("got %d leases in %s, want one: %v", len(leases.Items), system, err)
	}
	until(t, "an event of the election", func(ctx context.Context) error {
		var told core.EventList
		if err := admin.List(ctx, &told, client.InNamespace(system)); err != nil || len(told.Items) == 0 {
			return fmt.Errorf("got none: %w", err)
		}
		return nil
	})
	until(t, "an event of the policy", func(ctx context.Context) error {
		var told events.EventList
		if err := admin.List(ctx, &told, client.InNamespace("prod")); err != nil {
			return err
		}
		for _, event := range told.Items {
			if event.Regarding.Kind == v1alpha1.KindImagePolicy {
				return nil
			}
		}
		return fmt.Errorf("it is not among %d", len(told.Items))
	})
	until(t, "the status", func(ctx context.Context) error {
		var policy v1alpha1.ImagePolicy
		if err := admin.Get(ctx, client.ObjectKey{Namespace: "prod", Name: "app"}, &policy); err != nil {
			return err
		}
		if policy.Status.Selected == nil || policy.Status.Selected.Tag != "1.1.0" {
			return fmt.Errorf("got %+v", policy.Status.Selected)
		}
		return nil
	})
}

// sameMetrics compares what the controller exports with what is watched.
func sameMetrics(ctx context.Context, address string) error {
	page, err := get(ctx, address, "/metrics")
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		return err
	}
	got, want := map[string]metric{}, map[string]metric{}
	for name, m := range metrics {
		m.labels = unique(m.labels)
		want[name] = m
	}
	for name, family := range families {
		watched, known := want[name]
		if !known && !strings.HasPrefix(name, "pintle_") {
			continue
		}
		m := metric{kind: strings.ToLower(family.GetType().String()), labels: labelsOf(family), shared: !strings.HasPrefix(name, "pintle_")}
		if m.shared { // it may have more labels than are asked for
			m.labels = slices.DeleteFunc(m.labels, func(label string) bool { return !slices.Contains(watched.labels, label) })
		}
		got[name] = m
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(metric{})); diff != "" {
		return fmt.Errorf("metrics (-watched +exported):\n%s", diff)
	}
	return nil
}

func labelsOf(family *dto.MetricFamily) []string {
	names := map[string]bool{}
	for _, series := range family.GetMetric() {
		for _, pair := range series.GetLabel() {
			names[pair.GetName()] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
