// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apps "k8s.io/api/apps/v1"
	authorization "k8s.io/api/authorization/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	events "k8s.io/api/events/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

// anybody are the rights that Kubernetes gives to all who log in.
var anybody = []string{
	"create authentication.k8s.io/selfsubjectreviews",
	"create authorization.k8s.io/selfsubjectaccessreviews",
	"create authorization.k8s.io/selfsubjectrulesreviews",
}

// everywhere are the controller's rights in each namespace.
var everywhere = []string{
	"get pintle.dev/imagepolicies",
	"list pintle.dev/imagepolicies",
	"watch pintle.dev/imagepolicies",
	"get pintle.dev/manifestrepositories",
	"list pintle.dev/manifestrepositories",
	"watch pintle.dev/manifestrepositories",
	"patch pintle.dev/imagepolicies/status",
	"patch pintle.dev/manifestrepositories/status",
	"get namespaces",
	"list namespaces",
	"watch namespaces",
	"get shipwright.io/buildruns",
	"list shipwright.io/buildruns",
	"watch shipwright.io/buildruns",
	"create events.k8s.io/events",
	"patch events.k8s.io/events",
}

// atHome are those in its own.
var atHome = []string{
	"get coordination.k8s.io/leases",
	"create coordination.k8s.io/leases",
	"update coordination.k8s.io/leases",
	"create events",
	"patch events",
}

// credentials are those in a namespace that was opened.
var credentials = []string{"get secrets", "get serviceaccounts"}

// rights lists what a login may do in a namespace, one line for each verb and
// resource, and for each verb and path.
func rights(t *testing.T, config *rest.Config, namespace string) (resources, paths []string) {
	t.Helper()
	review := &authorization.SelfSubjectRulesReview{Spec: authorization.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	review, err := kubernetes.NewForConfigOrDie(config).AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Fatalf("the list of rights is not whole: %s", review.Status.EvaluationError)
	}
	for _, rule := range review.Status.ResourceRules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					right := verb + " " + strings.TrimPrefix(group+"/"+resource, "/")
					if len(rule.ResourceNames) > 0 {
						right += fmt.Sprint(" ", rule.ResourceNames)
					}
					resources = append(resources, right)
				}
			}
		}
	}
	for _, rule := range review.Status.NonResourceRules {
		for _, path := range rule.NonResourceURLs {
			paths = append(paths, strings.Join(rule.Verbs, ",")+" "+path)
		}
	}
	return unique(resources), unique(paths)
}

func unique(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }

// mustHave compares the rights in a namespace with what they should be, exactly.
func mustHave(t *testing.T, config *rest.Config, namespace string, want ...[]string) {
	t.Helper()
	got, _ := rights(t, config, namespace)
	if diff := cmp.Diff(unique(slices.Concat(append(want, anybody)...)), got); diff != "" {
		t.Errorf("rights in namespace %s (-want +got):\n%s", namespace, diff)
	}
}

// refused is for each thing that must not be possible.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Errorf("%s: got %v, want a refusal", what, err)
	}
}

// eventually waits until a new grant counts.
func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		if last != nil && !apierrors.IsForbidden(last) {
			return false, last
		}
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v (%v)", what, err, last)
	}
}

// fresh makes a namespace that holds a Secret and a ServiceAccount.
func fresh(t *testing.T, admin client.Client, name string) {
	t.Helper()
	for _, object := range []client.Object{
		&core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&core.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "git"}, StringData: map[string]string{"password": "x"}},
		&core.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "puller"}},
	} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// bind gives a ClusterRole within a namespace.
func bind(t *testing.T, admin client.Client, namespace, role string, subject rbac.Subject) {
	t.Helper()
	err := admin.Create(t.Context(), &rbac.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbac.Subject{subject},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestControllerMayDoExactlyWhatItNeeds(t *testing.T) {
	r := installed(t)
	fresh(t, r.strict(t), "exactly")
	controller := r.ServiceAccountConfig(t, system, account)
	mustHave(t, controller, "exactly", everywhere)
	mustHave(t, controller, system, everywhere, atHome)
	_, paths := rights(t, controller, "exactly")
	_, others := rights(t, r.ServiceAccountConfig(t, "exactly", "puller"), "exactly")
	if diff := cmp.Diff(others, paths); diff != "" {
		t.Errorf("paths, beside those that any account may read (-want +got):\n%s", diff)
	}
}

// The list above as deeds.
func TestControllerCanWork(t *testing.T) {
	r := installed(t)
	admin := r.strict(t)
	fresh(t, admin, "work")
	object := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: "podinfo"},
		Spec: v1alpha1.ImagePolicySpec{Image: "ghcr.io/acme/podinfo", Select: v1alpha1.Select{Tag: "stable"}}}
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	controller, err := client.NewWithWatch(r.ServiceAccountConfig(t, system, account), client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []client.ObjectList{&v1alpha1.ImagePolicyList{}, &v1alpha1.ManifestRepositoryList{}, &core.NamespaceList{}} {
		if err := controller.List(t.Context(), list); err != nil {
			t.Error(err)
		}
		watching, err := controller.Watch(t.Context(), list)
		if err != nil {
			t.Error(err)
			continue
		}
		watching.Stop()
	}
	status := client.RawPatch(types.MergePatchType, []byte(`{"status":{"observedGeneration":1}}`))
	if err := controller.Status().Patch(t.Context(), object, status); err != nil {
		t.Error(err)
	}
	spec := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`))
	refused(t, "a change of spec", controller.Patch(t.Context(), object, spec))
	for _, object := range []client.Object{
		&events.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: "written"}, EventTime: metav1.NowMicro(), Type: "Normal", Reason: "Written", Action: "Write",
			ReportingController: "pintle.dev/controller", ReportingInstance: "test", Regarding: core.ObjectReference{Namespace: "work", Name: "podinfo"}},
		&core.Event{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "leads"}, InvolvedObject: core.ObjectReference{Namespace: system, Name: "pintle"}},
		&coordination.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "test"}},
	} {
		if err := controller.Create(t.Context(), object); err != nil {
			t.Error(err)
		}
	}
	lease := &coordination.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "work", Name: "test"}}
	refused(t, "a Lease elsewhere", controller.Create(t.Context(), lease))
}

func TestControllerMayNotWriteWorkloads(t *testing.T) {
	r := installed(t)
	admin := r.strict(t)
	var workload apps.Deployment
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "pintle-controller"}, &workload); err != nil {
		t.Fatal(err)
	}
	controller, err := client.New(r.ServiceAccountConfig(t, system, account), client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	workload.Spec.Template.Spec.Containers[0].Image = "example.com/other"
	refused(t, "update a Deployment", controller.Update(t.Context(), &workload))
	refused(t, "patch a Deployment", controller.Patch(t.Context(), &workload, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"paused":true}}`))))
	refused(t, "delete a Deployment", controller.Delete(t.Context(), &workload))
	refused(t, "read a Deployment", controller.Get(t.Context(), client.ObjectKeyFromObject(&workload), &workload))
	refused(t, "create a pod", controller.Create(t.Context(), r.pod(t)))
	refused(t, "grant itself a role", controller.Create(t.Context(), &rbac.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "more"},
		RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "pintle-credentials"}}))
}

// noSecretsBut checks that Secrets can be read one by one where a namespace was opened,
// and neither read elsewhere nor listed or watched anywhere.
func noSecretsBut(t *testing.T, config *rest.Config, opened, closed []string) {
	t.Helper()
	secrets := kubernetes.NewForConfigOrDie(config).CoreV1()
	for _, namespace := range opened {
		eventually(t, "read a Secret in "+namespace, func(ctx context.Context) error {
			_, err := secrets.Secrets(namespace).Get(ctx, "git", metav1.GetOptions{})
			return err
		})
		if _, err := secrets.ServiceAccounts(namespace).Get(t.Context(), "puller", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	for _, namespace := range closed {
		_, err := secrets.Secrets(namespace).Get(t.Context(), "git", metav1.GetOptions{})
		refused(t, "read a Secret in "+namespace, err)
		_, err = secrets.ServiceAccounts(namespace).Get(t.Context(), "puller", metav1.GetOptions{})
		refused(t, "read a ServiceAccount in "+namespace, err)
	}
	for _, namespace := range slices.Concat([]string{metav1.NamespaceAll, system}, opened, closed) {
		_, err := secrets.Secrets(namespace).List(t.Context(), metav1.ListOptions{})
		refused(t, "list Secrets in namespace "+namespace, err)
		_, err = secrets.Secrets(namespace).Watch(t.Context(), metav1.ListOptions{})
		refused(t, "watch Secrets in namespace "+namespace, err)
		_, err = secrets.ServiceAccounts(namespace).List(t.Context(), metav1.ListOptions{})
		refused(t, "list ServiceAccounts in namespace "+namespace, err)
	}
}

func TestSecretsAreOpenedByNamespace(t *testing.T) {
	r := installed(t)
	admin := r.strict(t)
	for _, namespace := range []string{"closed", "opened"} {
		fresh(t, admin, namespace)
	}
	controller := r.ServiceAccountConfig(t, system, account)
	noSecretsBut(t, controller, nil, []string{"opened", "closed"})
	// As the comment in rbac/credentials.yaml says.
	bind(t, admin, "opened", "pintle-credentials", rbac.Subject{Kind: rbac.ServiceAccountKind, Namespace: system, Name: account})
	noSecretsBut(t, controller, []string{"opened"}, []string{"closed"})
	mustHave(t, controller, "opened", everywhere, credentials)
	mustHave(t, controller, "closed", everywhere)
}

func TestOverlayOpensAllNamespaces(t *testing.T) {
	r := running{Cluster: parts.KubeAPIServer(t)}
	if err := install(t.Context(), r.Cluster, rest.NoWarnings{}, overlay); err != nil {
		t.Fatal(err)
	}
	admin := r.strict(t)
	for _, namespace := range []string{"one", "two"} {
		fresh(t, admin, namespace)
	}
	controller := r.ServiceAccountConfig(t, system, account)
	noSecretsBut(t, controller, []string{"one", "two"}, nil)
	mustHave(t, controller, "one", everywhere, credentials)
	mustHave(t, controller, system, everywhere, credentials, atHome)
}

// People get the two kinds with the cluster's own roles, and leave the status alone.
func TestUsersRoles(t *testing.T) {
	r := installed(t)
	admin := r.strict(t)
	fresh(t, admin, "users")
	var see, edit []string
	for _, kind := range []string{"imagepolicies", "manifestrepositories"} {
		for _, verb := range []string{"get", "list", "watch"} {
			see = append(see, verb+" pintle.dev/"+kind)
		}
		for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
			edit = append(edit, verb+" pintle.dev/"+kind)
		}
	}
	viewer, editor := r.UserConfig(t, "viewer"), r.UserConfig(t, "editor")
	bind(t, admin, "users", "pintle-view", rbac.Subject{Kind: rbac.UserKind, APIGroup: rbac.GroupName, Name: "viewer"})
	bind(t, admin, "users", "pintle-edit", rbac.Subject{Kind: rbac.UserKind, APIGroup: rbac.GroupName, Name: "editor"})
	object := &v1alpha1.ManifestRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "users", Name: "fleet"}, Spec: v1alpha1.ManifestRepositorySpec{URL: "https://git.example.com/fleet.git"}}
	writer, err := client.New(editor, client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "create a repository", func(ctx context.Context) error { return writer.Create(ctx, object.DeepCopy()) })
	reader, err := client.New(viewer, client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "see a repository", func(ctx context.Context) error { return reader.Get(ctx, client.ObjectKeyFromObject(object), object) })
	refused(t, "delete as a viewer", reader.Delete(t.Context(), object))
	status := client.RawPatch(types.MergePatchType, []byte(`{"status":{"head":"0000"}}`))
	refused(t, "patch the status", writer.Status().Patch(t.Context(), object, status))
	refused(t, "update the status", writer.Status().Update(t.Context(), object))
	if err := writer.Patch(t.Context(), object, status); err != nil || object.Status.Head != "" {
		t.Errorf("the status was written beside the spec: %q, %v", object.Status.Head, err)
	}
	mustHave(t, viewer, "users", see)
	mustHave(t, editor, "users", see, edit)
	mustHave(t, editor, "default")
}

// No controller adds them up in a cluster without a controller manager, so the labels
// are compared with what those roles ask for.
func TestUsersRolesAreAggregated(t *testing.T) {
	r := installed(t)
	admin := r.strict(t)
	for role, want := range map[string][]string{"view": {"pintle-view"}, "edit": {"pintle-view", "pintle-edit"}, "admin": {"pintle-view", "pintle-edit"}} {
		var above rbac.ClusterRole
		if err := admin.Get(t.Context(), client.ObjectKey{Name: role}, &above); err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range above.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&above.AggregationRule.ClusterRoleSelectors[i])
			if err != nil {
				t.Fatal(err)
			}
			var found rbac.ClusterRoleList
			if err := admin.List(t.Context(), &found, client.MatchingLabelsSelector{Selector: selector}, client.HasLabels{"app.kubernetes.io/part-of"}); err != nil {
				t.Fatal(err)
			}
			for _, role := range found.Items {
				got = append(got, role.Name)
			}
		}
		if diff := cmp.Diff(unique(want), unique(got)); diff != "" {
			t.Errorf("what %s takes in (-want +got):\n%s", role, diff)
		}
	}
}
