// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// full uses every field of an ImagePolicy.
const full = `apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy                      # lives beside the manifests
metadata: {name: podinfo, namespace: prod, labels: {app.kubernetes.io/name: podinfo}}
spec:
  image: ghcr.io/acme/podinfo
  select:
    semver: {range: ">=6.0.0 <7"}
    filter: {pattern: '^v(?P<v>[0-9.]+)-alpine$', extract: '$v'}
    exclude: ['-debug$']
  schedule: "CRON_TZ=Europe/Paris */10 * * * *"
  platforms: [linux/amd64, linux/arm64, linux/arm/v7]
  minimumAge: 1h30m
  write: Digest
  registry: {secretRef: {name: pull}, serviceAccountName: default, caSecretRef: {name: ca}}
  targets:
  - kustomize: {path: "apps/*/prod"}
  - workloads: {path: "apps/**"}
  - helmValues: {path: apps/x/values.yaml, repository: image.repository, tag: image.tag, digest: image.digest}
  trigger: {builds: {matchLabels: {base: podinfo}, matchExpressions: [{key: off, operator: DoesNotExist}]}}
  pin: {revision: 3}
  suspend: true
  historyLimit: 5
status: {selected: {whatever: true}}
`

func validator(t testing.TB) *document.Validator {
	t.Helper()
	v, err := document.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// one finds the single document of a file that has no problem.
func one(t *testing.T, content string) document.Document {
	t.Helper()
	docs, problems := validator(t).Find("a.yaml", []byte(content))
	if len(problems) > 0 || len(docs) != 1 {
		t.Fatalf("got %d documents and problems %+v, want one document", len(docs), problems)
	}
	return docs[0]
}

func TestFindReadsEveryFieldOfAPolicy(t *testing.T) {
	got := one(t, "# policies of production\n---\n"+full)
	want := document.Document{File: "a.yaml", Line: 3, Policy: &v1alpha1.ImagePolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: "pintle.dev/v1alpha1", Kind: "ImagePolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "podinfo", Namespace: "prod", Labels: map[string]string{"app.kubernetes.io/name": "podinfo"},
		},
		Spec: v1alpha1.ImagePolicySpec{
			Image: "ghcr.io/acme/podinfo",
			Select: v1alpha1.Select{
				Semver:  &v1alpha1.Semver{Range: ">=6.0.0 <7"},
				Filter:  &v1alpha1.Filter{Pattern: "^v(?P<v>[0-9.]+)-alpine$", Extract: "$v"},
				Exclude: []string{"-debug$"},
			},
			Schedule:   "CRON_TZ=Europe/Paris */10 * * * *",
			Platforms:  []string{"linux/amd64", "linux/arm64", "linux/arm/v7"},
			MinimumAge: &metav1.Duration{Duration: 90 * time.Minute},
			Write:      v1alpha1.WriteDigest,
			Registry: &v1alpha1.RegistryAccess{
				SecretRef:          &v1alpha1.LocalReference{Name: "pull"},
				ServiceAccountName: "default",
				CASecretRef:        &v1alpha1.LocalReference{Name: "ca"},
			},
			Targets: []v1alpha1.Target{
				{Kustomize: &v1alpha1.KustomizeTarget{Path: "apps/*/prod"}},
				{Workloads: &v1alpha1.WorkloadsTarget{Path: "apps/**"}},
				{HelmValues: &v1alpha1.HelmValuesTarget{
					Path: "apps/x/values.yaml", Repository: "image.repository", Tag: "image.tag", Digest: "image.digest",
				}},
			},
			Trigger: &v1alpha1.Trigger{Builds: metav1.LabelSelector{
				MatchLabels:      map[string]string{"base": "podinfo"},
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "off", Operator: metav1.LabelSelectorOpDoesNotExist}},
			}},
			Pin:          &v1alpha1.Pin{Revision: new(int64(3))},
			Suspend:      true,
			HistoryLimit: new(int32(5)),
		},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(document.Document{})); diff != "" {
		t.Error(diff)
	}
	for path, line := range map[string]int{
		"": 3, "spec.select.semver.range": 9, "spec.targets[1].workloads": 19, "metadata.labels[app.kubernetes.io/name]": 5,
		"spec.pin.tag": 22, "spec.select.exclude[7]": 11, "none": 3, "spec.image.x": 7,
	} {
		if at := got.LineOf(path); at != line {
			t.Errorf("%q is at line %d, want %d", path, at, line)
		}
	}
}

func TestFindAppliesDefaults(t *testing.T) {
	got := one(t, `apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata: {name: podinfo}
spec:
  image: nginx
  select: {numerical: {}}
  schedule:
`)
	want := v1alpha1.ImagePolicySpec{
		Image:        "nginx",
		Select:       v1alpha1.Select{Numerical: &v1alpha1.Ordered{Order: v1alpha1.OrderAsc}},
		Schedule:     "@every 5m",
		Write:        v1alpha1.WriteTagAndDigest,
		HistoryLimit: new(int32(20)),
	}
	if diff := cmp.Diff(want, got.Policy.Spec); diff != "" {
		t.Error(diff)
	}
	if got.Policy.Namespace != document.DefaultNamespace {
		t.Errorf("namespace is %q, want %q", got.Policy.Namespace, document.DefaultNamespace)
	}
}

func TestFindReadsARepository(t *testing.T) {
	got := one(t, `apiVersion: pintle.dev/v1alpha1
kind: ManifestRepository
metadata: {name: fleet, namespace: prod}
spec:
  url: https://git.example.com/acme/fleet.git
  branch: main
  paths: ["apps"]
  credentials: {secretRef: {name: git}}
  commit: {author: {name: Ada, email: ada@example.com}, signing: {secretRef: {name: key}}}
  mode: PullRequest
  pullRequest: {labels: [images]}
  windows: [{schedule: "0 9 * * 1-5", duration: 8h, timeZone: Europe/Paris}]
`)
	want := v1alpha1.ManifestRepositorySpec{
		URL:         "https://git.example.com/acme/fleet.git",
		Branch:      "main",
		Paths:       []string{"apps"},
		Credentials: &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git"}},
		Policies:    v1alpha1.PolicyGrant{Namespaces: v1alpha1.NamespaceGrant{From: v1alpha1.FromSame}},
		Commit: v1alpha1.Commit{
			Author:   &v1alpha1.Author{Name: "Ada", Email: "ada@example.com"},
			Grouping: v1alpha1.GroupingImage,
			Signing:  &v1alpha1.Signing{SecretRef: v1alpha1.LocalReference{Name: "key"}},
		},
		Mode:        v1alpha1.ModePullRequest,
		PullRequest: &v1alpha1.PullRequest{Grouping: v1alpha1.GroupingAll, Labels: []string{"images"}},
		Windows: []v1alpha1.Window{{
			Schedule: "0 9 * * 1-5", Duration: metav1.Duration{Duration: 8 * time.Hour}, TimeZone: "Europe/Paris",
		}},
	}
	if diff := cmp.Diff(want, got.Repository.Spec); diff != "" {
		t.Error(diff)
	}
}

// minimal is a valid policy of eight lines.
func minimal(name string) string {
	return fmt.Sprintf(`apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata:
  name: %s
  namespace: prod
spec:
  image: ghcr.io/acme/%s
  select: {semver: {range: "*"}}
`, name, name)
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo}
unknown: [1, 2
  ]
`

// helm is no YAML.
const helm = `kind: Deployment
metadata:
  name: {{ .Release.Name }}-{{ x }}
  {{- with .Values.labels }}
  labels: {{ toYaml . }}
`

func TestFindLooksThroughFiles(t *testing.T) {
	indent := func(text string) string {
		return "- " + strings.TrimSuffix(strings.ReplaceAll(text, "\n", "\n  "), "  ")
	}
	for _, test := range []struct {
		name, content string
		want          []string // name:line
	}{
		{"one", minimal("a"), []string{"a:1"}},
		{"several among others", deployment + "---\n" + minimal("a") + "--- # b\n" + minimal("b") + "...\n---\n" + deployment, []string{"a:7", "b:16"}},
		{"a marker with the document on its line", "--- {apiVersion: pintle.dev/v1alpha1, kind: ImagePolicy, metadata: {name: a}, spec: {image: a, select: {tag: b}}}\n", []string{"a:1"}},
		{"byte order mark", "\ufeff---\n" + minimal("a"), []string{"a:2"}},
		{"CRLF", strings.ReplaceAll(minimal("a")+"---\n"+minimal("b"), "\n", "\r\n"), []string{"a:1", "b:10"}},
		{"no final newline", strings.TrimSuffix(minimal("a"), "\n"), []string{"a:1"}},
		{"directive", "%YAML 1.1\n---\n" + minimal("a"), []string{"a:3"}},
		{"list", "apiVersion: v1\nkind: List\nitems:\n" + indent(deployment) + indent(minimal("a")) + indent(minimal("b")), []string{"a:9", "b:17"}},
		{"list of the kind", "apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicyList\nitems:\n" + indent(minimal("a")), []string{"a:4"}},
		{"empty documents", "---\n---\n# pintle.dev/\n---\n" + minimal("a"), []string{"a:5"}},
		{"alias", "apiVersion: &v pintle.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: &n a}\nspec: {image: *n, select: {tag: *n}}\n", []string{"a:1"}},
		{"in a template of other documents", helm + "---\n" + minimal("a") + "---\n" + helm, []string{"a:7"}},
		{"mentioned only", "# see pintle.dev/docs\n" + deployment, nil},
		{"as text in a ConfigMap", "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n" + "    apiVersion: pintle.dev/v1alpha1\n    kind: ImagePolicy\n", nil},
		{"a root that is no mapping", "- pintle.dev/v1alpha1\n", nil},
		{"another group", strings.ReplaceAll(minimal("a"), "pintle.dev/", "sub.pintle.dev/"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			docs, problems := validator(t).Find("a.yaml", []byte(test.content))
			if len(problems) > 0 {
				t.Errorf("problems: %+v", problems)
			}
			var got []string
			for _, d := range docs {
				got = append(got, fmt.Sprintf("%s:%d", d.Policy.Name, d.Line))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMayMatter(t *testing.T) {
	for content, want := range map[string]bool{full: true, deployment: false, "": false} {
		if got := document.MayMatter([]byte(content)); got != want {
			t.Errorf("MayMatter(%.20q) is %v, want %v", content, got, want)
		}
	}
}
