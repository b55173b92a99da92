// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// What a schema can say is refused by the API server, with a word on what to do.
func TestSchemaRefuses(t *testing.T) {
	w := newOwnWorld(t)
	policies := map[string]struct {
		spoil func(*v1alpha1.ImagePolicySpec)
		says  string
	}{
		"two rules":     {func(s *v1alpha1.ImagePolicySpec) { s.Select.Tag = "stable" }, "needs exactly one of semver, tag, numerical, alphabetical and newest"},
		"no rule":       {func(s *v1alpha1.ImagePolicySpec) { s.Select = v1alpha1.Select{} }, "needs exactly one of semver, tag, numerical, alphabetical and newest"},
		"image and tag": {func(s *v1alpha1.ImagePolicySpec) { s.Image += ":1.0.0" }, "without tag, digest or https://"},
		"two pins":      {func(s *v1alpha1.ImagePolicySpec) { s.Pin = &v1alpha1.Pin{Tag: "1", Revision: new(int64(1))} }, "needs exactly one of revision, tag and digest"},
		"empty range":   {func(s *v1alpha1.ImagePolicySpec) { s.Select.Semver.Range = "" }, "spec.select.semver.range"},
		"empty pattern": {func(s *v1alpha1.ImagePolicySpec) { s.Select.Filter = &v1alpha1.Filter{} }, "spec.select.filter.pattern"},
		"long cron":     {func(s *v1alpha1.ImagePolicySpec) { s.Schedule = strings.Repeat("*", 129) }, "spec.schedule"},
		"no Secret's name": {func(s *v1alpha1.ImagePolicySpec) {
			s.Registry = &v1alpha1.RegistryAccess{SecretRef: &v1alpha1.LocalReference{Name: "../x"}}
		}, "lower case letters, digits, - and ."},
	}
	for title, test := range policies {
		policy := w.policy("app", "app")
		test.spoil(&policy.Spec)
		w.expectRefused(title, policy, test.says)
	}
	repositories := map[string]struct {
		spoil func(*v1alpha1.ManifestRepositorySpec)
		says  string
	}{
		"no URL":                       {func(s *v1alpha1.ManifestRepositorySpec) { s.URL = "fleet" }, "write it as in https://git.example.com/acme/fleet.git"},
		"credentials in the URL":       {func(s *v1alpha1.ManifestRepositorySpec) { s.URL = "https://u:hunter2@example.com/x" }, "url holds credentials: remove them from it, change them"},
		"no branch's name":             {func(s *v1alpha1.ManifestRepositorySpec) { s.Branch = "a..b" }, "is no branch's name"},
		"a path outside":               {func(s *v1alpha1.ManifestRepositorySpec) { s.Paths = []string{"../x"} }, "write it from the repository's root"},
		"a selector that does nothing": {func(s *v1alpha1.ManifestRepositorySpec) { s.Policies.Namespaces.Selector = &metav1.LabelSelector{} }, "needs a selector with from: Selector, and none otherwise"},
		"settings of another mode":     {func(s *v1alpha1.ManifestRepositorySpec) { s.PullRequest = &v1alpha1.PullRequest{} }, "set the mode or remove them"},
	}
	for title, test := range repositories {
		repository := w.repository("fleet")
		test.spoil(&repository.Spec)
		w.expectRefused(title, repository, test.says)
	}
}

func (w *world) expectRefused(title string, o client.Object, says string) {
	w.t.Helper()
	err := w.client.Create(w.t.Context(), o)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), says) {
		w.t.Errorf("%s: the API server says %v, want it to refuse with %q", title, err, says)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		w.t.Errorf("%s: the refusal repeats a password: %v", title, err)
	}
}

// wrongPolicy is spoilt at first and mended later.
type wrongPolicy struct {
	spoil, mend func(w *world, p *v1alpha1.ImagePolicy)
	reason      string
	stalled     bool
	says        []string
}

// inSpec is wrong in a way that another spec alone can mend.
func inSpec(spoil func(w *world, s *v1alpha1.ImagePolicySpec), reason string, stalled bool, says ...string) wrongPolicy {
	return wrongPolicy{
		spoil:  func(w *world, p *v1alpha1.ImagePolicy) { spoil(w, &p.Spec) },
		mend:   func(w *world, p *v1alpha1.ImagePolicy) { p.Spec = w.policy(p.Name, p.Name).Spec },
		reason: reason, stalled: stalled, says: says,
	}
}

// inSecret is wrong in the Secret pull-<name>, which make makes later.
func inSecret(spoil, mend func(w *world, namespace, name string), says ...string) wrongPolicy {
	return wrongPolicy{
		spoil: func(w *world, p *v1alpha1.ImagePolicy) {
			p.Spec.Registry = &v1alpha1.RegistryAccess{SecretRef: &v1alpha1.LocalReference{Name: "pull-" + p.Name}}
			spoil(w, p.Namespace, "pull-"+p.Name)
		},
		mend: func(w *world, p *v1alpha1.ImagePolicy) {
			mend(w, p.Namespace, "pull-"+p.Name)
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.RefreshAnnotation, "now")
		},
		reason: "Failed", says: says,
	}
}

func (w *world) pullSecret(namespace, name string) {
	w.t.Helper()
	w.create(secret(namespace, name, corev1.SecretTypeDockerConfigJson, map[string]string{corev1.DockerConfigJsonKey: `{"auths": {}}`}))
}

func wrongPolicies() map[string]wrongPolicy {
	type spec = v1alpha1.ImagePolicySpec
	nothing := func(*world, string, string) {}
	return map[string]wrongPolicy{
		"range":   inSpec(func(_ *world, s *spec) { s.Select.Semver.Range = ">=banana" }, "InvalidSpec", true, "spec.select.semver.range: ", ">=banana"),
		"cron":    inSpec(func(_ *world, s *spec) { s.Schedule = "every day" }, "InvalidSpec", true, "spec.schedule: ", "every day"),
		"pattern": inSpec(func(_ *world, s *spec) { s.Select.Filter = &v1alpha1.Filter{Pattern: "v("} }, "InvalidSpec", true, "spec.select.filter.pattern: ", "RE2"),
		"exclude": inSpec(func(_ *world, s *spec) { s.Select.Exclude = []string{"["} }, "InvalidSpec", true, "spec.select.exclude[0]: ", "RE2"),
		"glob": inSpec(func(_ *world, s *spec) {
			s.Targets = []v1alpha1.Target{{Workloads: &v1alpha1.WorkloadsTarget{Path: "x["}}}
		}, "InvalidSpec", true, "spec.targets[0].workloads.path: ", "glob"),
		"platform": inSpec(func(_ *world, s *spec) { s.Platforms = []string{"windows/arm64"} }, "NoMatch", false, "none of the 2 best tags", "it is not for windows/arm64, only for linux/amd64"),
		"no-match": inSpec(func(_ *world, s *spec) { s.Select.Semver.Range = ">=9" }, "NoMatch", false, "none of the 2 tags", ">=9"),
		"no-image": inSpec(func(w *world, s *spec) { s.Image = w.image("missing") }, "Failed", false, "cannot list tags of", "missing"),
		"refused":  inSpec(func(_ *world, s *spec) { s.Image = "127.0.0.1:1/app" }, "Failed", false, "127.0.0.1:1", "refused"),
		"internal": inSpec(func(_ *world, s *spec) { s.Image = "169.254.169.254/app" }, "Failed", false, "169.254.169.254", "link-local"),
		"plain":    inSpec(func(_ *world, s *spec) { s.Image = strings.Replace(s.Image, "127.0.0.1", "localhost", 1) }, "Failed", false, "localhost", "--allow-private localhost"),
		"account": inSpec(func(_ *world, s *spec) { s.Registry = &v1alpha1.RegistryAccess{ServiceAccountName: "nobody"} }, "Failed", false,
			"ServiceAccount", "/nobody", "spec.registry.serviceAccountName", "create it, or name another"),
		"no-secret": inSecret(nothing, (*world).pullSecret, "pull-no-secret", "spec.registry.secretRef", "create it, or name another"),
		"type": inSecret(func(w *world, namespace, name string) {
			w.create(secret(namespace, name, corev1.SecretTypeOpaque, map[string]string{"password": "x"}))
		}, func(w *world, namespace, name string) {
			if err := w.client.Delete(w.t.Context(), secret(namespace, name, "", nil)); err != nil {
				w.t.Fatal(err)
			}
			w.pullSecret(namespace, name)
		}, "kubectl create secret docker-registry"),
		"forbidden": inSecret((*world).pullSecret, func(w *world, namespace, _ string) { w.open(namespace) },
			"Pintle may not read Secrets", "kubectl create rolebinding pintle-credentials"),
	}
}

// Every policy that is wrong ends in a condition that says what to do, without a
// storm, and works as soon as it is mended.
func TestWrongPolicies(t *testing.T) {
	w := newOwnWorld(t)
	git, registry := w.fronts()
	closed := w.space(nil)
	w.restrict(shared)
	w.open(w.namespace)
	var asked *tally
	w.cluster, asked = counted(w.cluster)
	files, policies := map[string]string{}, map[string]*v1alpha1.ImagePolicy{}
	cases := wrongPolicies()
	for name, wrong := range cases {
		w.push(name, "1.0.0", "1.1.0")
		p := w.policy(name, name)
		p.Spec.Schedule = "@yearly"
		if name == "forbidden" {
			p.Namespace = closed
		}
		files["apps/"+name+".yaml"] = strings.Replace(w.deployment(name, name+":1.0.0", name), w.namespace+":", p.Namespace+":", 1)
		wrong.spoil(w, p)
		policies[name] = p
	}
	w.repo.Seed(t, files, "First")
	repository := w.repository("fleet")
	repository.Spec.Policies.Namespaces.From = v1alpha1.FromAll
	w.create(repository)
	for _, p := range policies {
		w.create(p)
	}
	w.controller(controller.Options{LookEvery: time.Hour})

	for name, wrong := range cases {
		ready := w.untilReady(policies[name], wrong.reason)
		expectConforms(t, name, policies[name], policies[name].Status.ObservedGeneration, policies[name].Status.Conditions, wrong.stalled)
		expectSays(t, name, ready, wrong.says)
	}
	w.untilReady(repository, "Problems") // Markers sit on images that policies are spoilt away from.
	w.stays(5*time.Second, "what was asked", func() string {
		return fmt.Sprintf("%d of the registry, %d of Git, of the API:\n%s", registry.count(), git.count(), strings.Join(notWatch(asked), "\n"))
	})
	if got := git.count("git-receive-pack"); got != 0 {
		t.Errorf("%d requests to push", got)
	}

	before := commits(t, w.repo)
	for name, wrong := range cases {
		w.change(policies[name], func() { wrong.mend(w, policies[name]) })
	}
	for name := range cases {
		w.untilTag("apps/"+name+".yaml", "1.1.0")
		w.untilReady(policies[name], "UpToDate")
	}
	w.untilReady(repository, "Synced")
	if got := commits(t, w.repo) - before; got != len(cases) {
		t.Errorf("%d commits for %d policies", got, len(cases))
	}
	w.repo.Fsck(t)
}

func notWatch(asked *tally) []string {
	var found []string
	for _, one := range asked.with() {
		if !strings.Contains(one, "watch=true") {
			found = append(found, one)
		}
	}
	return found
}

// expectConforms checks the conditions of an object that does not do what it should,
// as kstatus reads them.
func expectConforms(t *testing.T, name string, o client.Object, observed int64, all []metav1.Condition, stalled bool) {
	t.Helper()
	if observed != o.GetGeneration() {
		t.Errorf("%s: status.observedGeneration is %d, the generation %d", name, observed, o.GetGeneration())
	}
	if !meta.IsStatusConditionFalse(all, v1alpha1.ConditionReady) {
		t.Errorf("%s: Ready is not False: %v", name, all)
	}
	if got := meta.IsStatusConditionTrue(all, v1alpha1.ConditionStalled); got != stalled {
		t.Errorf("%s: Stalled is %v, want %v", name, got, stalled)
	}
	for _, c := range all {
		if c.Reason == "" || c.Message == "" || c.ObservedGeneration != o.GetGeneration() {
			t.Errorf("%s: the condition %s is not whole: %+v", name, c.Type, c)
		}
	}
}

func expectSays(t *testing.T, name string, c metav1.Condition, words []string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(c.Message, word) {
			t.Errorf("%s: %s (%s) says %q, want it to name %q", name, c.Type, c.Reason, c.Message, word)
		}
	}
}
