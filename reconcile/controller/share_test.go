// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

const shardLabel = "pintle.dev/shard"

// shard is a policy, and a repository with one field of it, both with one label.
type shard struct {
	policy     *v1alpha1.ImagePolicy
	repository *v1alpha1.ManifestRepository
	repo       gitserver.Repo
}

// shard makes one, whose image is there as 1.0.0 and 1.1.0; and 1.0.0 is in Git.
func (w *world) shard(name string) *shard {
	w.t.Helper()
	w.push(name, "1.0.0", "1.1.0")
	s := &shard{policy: w.policy(name, name), repository: w.repository(name), repo: w.server.Create(name)}
	s.repo.Seed(w.t, map[string]string{"app.yaml": w.deployment(name, name+":1.0.0", name)}, "First")
	s.repository.Spec.URL = s.repo.URL
	for _, o := range []client.Object{s.policy, s.repository} {
		o.SetLabels(map[string]string{shardLabel: name})
		w.create(o)
	}
	return s
}

// relabel moves a shard's objects to another group.
func (w *world) relabel(s *shard, to string) {
	w.t.Helper()
	for _, o := range []client.Object{s.policy, s.repository} {
		w.status(o)
		w.change(o, func() { o.SetLabels(map[string]string{shardLabel: to}) })
	}
}

// untilHolds waits until the branch of a shard holds a tag.
func (w *world) untilHolds(s *shard, tag string) {
	w.t.Helper()
	w.repo = s.repo
	w.untilTag("app.yaml", tag)
}

// untouched checks that nobody has looked at the objects of a shard.
func (w *world) untouched(s *shard) {
	w.t.Helper()
	for _, o := range []client.Object{s.policy, s.repository} {
		if is := w.status(o); is != "null\n" && is != "{}\n" {
			w.t.Errorf("%T %s has a status:\n%s", o, o.GetName(), is)
		}
	}
	if got := commits(w.t, s.repo); got != 1 {
		w.t.Errorf("%s has %d commits, want 1", s.policy.Name, got)
	}
}

// leases are who leads, and how often that changed, by the name of the Lease.
func (w *world) leases() map[string]string {
	w.t.Helper()
	var list coordinationv1.LeaseList
	if err := w.client.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	found := map[string]string{}
	for _, l := range list.Items {
		if l.Spec.HolderIdentity != nil && l.Spec.LeaseTransitions != nil {
			found[l.Name] = fmt.Sprintf("%s after %d", *l.Spec.HolderIdentity, *l.Spec.LeaseTransitions)
		}
	}
	return found
}

// newLease is the one Lease that was not there before.
func (w *world) newLease(before map[string]string) string {
	w.t.Helper()
	var found []string
	for name := range w.leases() {
		if _, known := before[name]; !known {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		w.t.Fatalf("there are the new Leases %v, want one", found)
	}
	return found[0]
}

// TestShares runs groups of processes that share a fleet.
func TestShares(t *testing.T) {
	t.Parallel()
	cluster := parts.KubeAPIServer(t)
	if err := installCRDs(cluster.Config); err != nil {
		t.Fatal(err)
	}
	program, admin := buildCommand(t), cluster.Kubeconfig(t, "admin", "system:masters")
	t.Run("a leader is killed", func(t *testing.T) { testShareFailover(t, cluster, program, admin) })
	t.Run("a repository moves", func(t *testing.T) { testShareMoves(t, cluster, program, admin) })
	t.Run("namespaces", func(t *testing.T) { testShareOfNamespaces(t, cluster, program) })
}

// A group looks at its own objects alone, and the death of its leader is its own affair.
func testShareFailover(t *testing.T, cluster *parts.Cluster, program, admin string) {
	w := newWorld(t, cluster.Config)
	blue, green, nobody := w.shard("blue"), w.shard("green"), w.shard("nobody")
	first := w.replica(program, admin, "--selector", shardLabel+"=blue")
	w.untilReady(blue.policy, "UpToDate")
	w.untilReady(blue.repository, "Synced")
	w.untouched(green)
	blues := w.newLease(nil)
	second := w.replica(program, admin, "--selector", shardLabel+"=blue")
	w.untilSaid(second, "Attempting to acquire leader lease")
	before := w.leases()
	w.replica(program, admin, "--selector", shardLabel+"=green")
	w.untilReady(green.policy, "UpToDate")
	greens := w.newLease(before)
	before = w.leases()

	killed := time.Now()
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	w.push("blue", "1.2.0")
	w.push("green", "1.2.0")
	w.untilHolds(green, "1.2.0")
	greenTook := time.Since(killed)
	if got := w.leases()[blues]; got != before[blues] {
		t.Errorf("green wrote after blue had another leader: %s", got)
	}
	w.until("blue has another leader", func() (string, bool) {
		is := w.leases()[blues]
		return is, is != before[blues]
	})
	took := time.Since(killed)
	w.untilHolds(blue, "1.2.0")
	t.Logf("green wrote %.1f s after blue's leader was killed, and another led blue after %.1f s", greenTook.Seconds(), took.Seconds())
	if got := w.leases()[greens]; got != before[greens] {
		t.Errorf("green is led by %s, want %s as before", got, before[greens])
	}
	for _, s := range []*shard{blue, green} {
		w.untilReady(s.policy, "UpToDate")
		w.expectWritten(s.policy.Name, s.repo, 1, "1.1.0", "1.2.0")
	}
	w.untouched(nobody)
}

// What moves while the old group pushes is taken over by the new one, and nothing is
// lost or written twice; the old one lets go, and may get it back.
func testShareMoves(t *testing.T, cluster *parts.Cluster, program, admin string) {
	w := newWorld(t, cluster.Config)
	git, _ := w.fronts()
	s := w.shard("blue")
	w.replica(program, admin, "--selector", shardLabel+"=blue")
	green := w.replica(program, admin, "--selector", shardLabel+" in (green)")
	w.untilReady(s.policy, "UpToDate")
	held := git.holdPushes(map[string]func([]byte){"blue": nil})["blue"]
	w.push("blue", "1.2.0")
	held.untilHeld(t)
	w.relabel(s, "green")
	w.untilHolds(s, "1.2.0")
	head := s.repo.Head(t, "main")
	held.letGo()
	w.until("the late push came to an end", func() (string, bool) { return "", git.underWay() == 0 })
	if got := s.repo.Head(t, "main"); got != head {
		t.Errorf("the old group's push moved the head to %s", got)
	}
	w.push("blue", "1.3.0")
	w.untilHolds(s, "1.3.0")
	w.untilReady(s.policy, "UpToDate")
	w.expectWritten("blue", s.repo, 1, "1.1.0", "1.2.0", "1.3.0")

	if err := green.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-green.ended
	w.push("blue", "1.4.0")
	w.stays(3*time.Second, "the branch of a group without a process", func() string { return s.repo.Head(t, "main") })
	w.relabel(s, "blue")
	w.untilHolds(s, "1.4.0")
	w.untilReady(s.policy, "UpToDate")
	w.expectWritten("blue", s.repo, 1, "1.1.0", "1.2.0", "1.3.0", "1.4.0")
}

// grantShare gives a user the controller's rights as docs/controller.md says: those on
// objects in one namespace, and besides to see namespaces.
func (w *world) grantShare(user string) {
	w.t.Helper()
	file, err := os.Open("../../config/rbac/controller.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	role := &rbacv1.ClusterRole{}
	if err := yaml.NewYAMLOrJSONDecoder(file, 4096).Decode(role); err != nil {
		w.t.Fatal(err)
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	refer := func(kind, name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	}
	here := metav1.ObjectMeta{Namespace: w.namespace, Name: "pintle-controller"}
	w.create(role,
		&rbacv1.RoleBinding{ObjectMeta: here, Subjects: subjects, RoleRef: refer("ClusterRole", role.Name)},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "pintle-namespaces"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get", "list", "watch"}},
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "pintle-namespaces"}, Subjects: subjects, RoleRef: refer("ClusterRole", "pintle-namespaces")},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "leads"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}},
		}},
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "leads"}, Subjects: subjects, RoleRef: refer("Role", "leads")},
	)
}

// With --namespaces, rights in these are enough, and others are let alone.
func testShareOfNamespaces(t *testing.T, cluster *parts.Cluster, program string) {
	w := newWorld(t, cluster.Config)
	home := w.namespace
	own := w.shard("own")
	w.namespace = w.space(nil)
	other := w.shard("other")
	w.namespace = home
	w.grantShare("share")
	w.replica(program, cluster.Kubeconfig(t, "share"), "--namespaces", home)
	w.untilReady(own.policy, "UpToDate")
	w.untilReady(own.repository, "Synced")
	w.expectWritten("own", own.repo, 1, "1.1.0")
	w.untouched(other)
}

// Two controllers that both take a repository, as selectors that overlap have it: each
// update is one commit, and they do not fight over the statuses.
func TestOverlappingShares(t *testing.T) {
	w := newOwnWorld(t)
	s := w.shard("app")
	w.controller(controller.Options{})
	w.controller(controller.Options{})
	tags := []string{"1.1.0", "1.2.0", "1.3.0", "1.4.0"}
	for _, tag := range tags {
		if tag != "1.1.0" {
			w.push("app", tag)
		}
		w.untilHolds(s, tag)
	}
	w.until("the status has the head and all revisions", func() (string, bool) {
		is := w.status(s.repository) + w.status(s.policy)
		return is, s.repository.Status.Head == s.repo.Head(t, "main") && len(s.policy.Status.History) == len(tags)
	})
	w.untilReady(s.policy, "UpToDate")
	w.untilReady(s.repository, "Synced")
	w.expectWritten("app", s.repo, 1, tags...)
	w.stays(3*time.Second, "the objects' resource versions", func() string {
		w.status(s.repository)
		w.status(s.policy)
		return s.repository.ResourceVersion + " " + s.policy.ResourceVersion
	})
}
