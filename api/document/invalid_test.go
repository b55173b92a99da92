// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// invalid is a document with one line changed, and the problems that this makes.
type invalid struct {
	name     string
	old, new string   // the first old in the document becomes new
	want     []string // line: a part of the message
}

const policyTemplate = policyHead + policySpec

const policyHead = `apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata:
  name: podinfo
  namespace: prod
`

const policySpec = `spec:
  image: ghcr.io/acme/podinfo
  select:
    semver:
      range: "*"
    exclude:
    - a
    - b
  schedule: "@daily"
  targets:
  - kustomize:
      path: apps
  - workloads:
      path: apps
  - helmValues:
      path: apps/values.yaml
      repository: image.repository
      tag: image.tag
  suspend: false
`

func TestFindTellsWhatIsWrongWithAPolicy(t *testing.T) {
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	check(t, policyTemplate, "ImagePolicy prod/podinfo: ", []invalid{
		{"typo in a rule", "semver:", "semvr:", []string{"9: spec.select.semvr: is no field: did you mean semver?"}},
		{"two rules", "    exclude:", "    tag: stable\n    exclude:", []string{"8: spec.select: needs exactly one of"}},
		{"newest without braces", "    semver:\n      range: \"*\"", "    newest:", []string{"8: spec.select: needs exactly one of semver, tag, numerical, alphabetical and newest (the last as newest: {})"}},
		{"setting of newest", "    semver:\n      range: \"*\"", "    newest:\n      order: Asc", []string{"10: spec.select.newest.order: is no field: nothing belongs here: remove it"}},
		{"rule that is text", "    semver:\n      range: \"*\"", "    semver: 1.x", []string{"9: spec.select.semver: must be a mapping of keys to values"}},
		{"range without quotes", `"*"`, "1.20", []string{`10: spec.select.semver.range: must be text: put it in quotes, as in "1.20"`}},
		{"empty range", `"*"`, `""`, []string{`10: spec.select.semver.range: "" should be at least 1 chars long`}},
		{"order", "    semver:\n      range: \"*\"", "    numerical:\n      order: Up", []string{`10: spec.select.numerical.order: "Up" is none of the supported values: "Asc", "Desc"`}},
		{"tag", "    semver:\n      range: \"*\"", "    tag: -x", []string{`9: spec.select.tag: "-x" is no tag`}},
		{"extract without pattern", "    exclude:", "    filter:\n      extract: $v\n    exclude:", []string{"11: spec.select.filter.pattern: is missing: add it"}},
		{"filter's pattern", "    exclude:", "    filter:\n      pattern: '(['\n    exclude:", []string{"12: spec.select.filter.pattern: is no regular expression of RE2: error parsing regexp: missing closing ]"}},
		{"lookahead", "    - b", "    - (?=b)", []string{"13: spec.select.exclude[1]: is no regular expression of RE2"}},
		{"list that is text", "    exclude:\n    - a\n    - b", "    exclude: a", []string{"11: spec.select.exclude: must be a list: begin each item with -"}},
		{"too many items", "    - a\n", "    - a\n" + strings.Repeat("    - a\n", 32), []string{"11: spec.select.exclude: must have at most 32 items"}},
		{"image with tag", "ghcr.io/acme/podinfo", "ghcr.io/acme/podinfo:6.0.0", []string{`7: spec.image: "ghcr.io/acme/podinfo:6.0.0" is no image repository: write it as in ghcr.io/acme/podinfo`}},
		{"image in capitals", "ghcr.io/acme/podinfo", "ghcr.io/Acme/podinfo", []string{"7: spec.image:"}},
		{"image as URL", "ghcr.io/acme/podinfo", "https://ghcr.io/acme/podinfo", []string{"7: spec.image:"}},
		{"image too long", "ghcr.io/acme/podinfo", strings.Repeat("a", 256), []string{"7: spec.image: may not be more than 255 bytes"}},
		{"no image", "  image: ghcr.io/acme/podinfo\n", "", []string{"6: spec.image: is missing: add it"}},
		{"spec is empty", policyHead + policySpec, policyHead + "spec:\n", []string{"6: spec: is missing: add it"}},
		{"cron", `"@daily"`, `"* * *"`, []string{`14: spec.schedule: "* * *" is no schedule: expected exactly 5 fields, found 3`}},
		{"time zone alone", `"@daily"`, `"CRON_TZ=UTC"`, []string{`14: spec.schedule: "CRON_TZ=UTC" is no schedule: there is nothing after the time zone`}},
		{"time zone", `"@daily"`, `"CRON_TZ=Mars/Base @daily"`, []string{"14: spec.schedule:"}},
		{"day that never comes", `"@daily"`, `"0 0 30 2 *"`, []string{"14: spec.schedule: \"0 0 30 2 *\" is no schedule: its day never comes"}},
		{"interval back in time", `"@daily"`, `"@every -5m"`, []string{"14: spec.schedule: \"@every -5m\" is no schedule: the interval must be one second or more"}},
		{"platform", "  suspend: false", "  platforms: [linux/amd64,\n    linux-arm64]", []string{`25: spec.platforms[1]: "linux-arm64" is no platform`}},
		{"platform twice", "  suspend: false", "  platforms: [linux/amd64,\n    linux/amd64]", []string{`25: spec.platforms[1]: "linux/amd64" stands here twice`}},
		{"age in days", "  suspend: false", "  minimumAge: 7d", []string{`24: spec.minimumAge: "7d" is no duration: write it as in 24h`}},
		{"age without unit", "  suspend: false", "  minimumAge: 24", []string{"24: spec.minimumAge: must be text"}},
		{"write", "  suspend: false", "  write: digest", []string{`24: spec.write: "digest" is none of the supported values: "TagAndDigest", "Digest", "Tag"`}},
		{"secret's name", "  suspend: false", "  registry:\n    secretRef:\n      name: A/b", []string{`26: spec.registry.secretRef.name: "A/b" is no object's name`}},
		{"secret without name", "  suspend: false", "  registry: {secretRef: {}}", []string{"24: spec.registry.secretRef.name: is missing"}},
		{"trigger of all Builds", "  suspend: false", "  trigger:\n    builds: {}", []string{"25: spec.trigger.builds: selects every Build of the namespace: name a label"}},
		{"trigger of no labels", "  suspend: false", "  trigger: {builds: {matchLabels: {}}}", []string{"24: spec.trigger.builds: selects every Build"}},
		{"trigger of nothing", "  suspend: false", "  trigger: {}", []string{"24: spec.trigger.builds: is missing"}},
		{"target of two kinds", "  - workloads:", "    workloads:", []string{"16: spec.targets[0]: needs exactly one of kustomize, workloads and helmValues"}},
		{"target of no kind", "  - workloads:\n      path: apps\n", "  - {}\n", []string{"18: spec.targets[1]: needs exactly one of"}},
		{"target out of the tree", "      path: apps\n", "      path: apps/../../etc\n", []string{`17: spec.targets[0].kustomize.path: "apps/../../etc" leaves the repository`}},
		{"target from the root", "      path: apps\n", "      path: /apps\n", []string{`17: spec.targets[0].kustomize.path: "/apps" leaves the repository`}},
		{"glob", "path: apps/values.yaml", "path: 'apps/[a'", []string{`21: spec.targets[2].helmValues.path: "apps/[a" is no glob`}},
		{"values without image", "      repository: image.repository\n", "", []string{"20: spec.targets[2].helmValues: lacks repository"}},
		{"values without keys", "      repository: image.repository\n      tag: image.tag\n", "", []string{"20: spec.targets[2].helmValues: names no key"}},
		{"values' key", "image.tag", "image..tag", []string{`23: spec.targets[2].helmValues.tag: "image..tag" is no key`}},
		{"pin of two", "  suspend: false", "  pin:\n    revision: 1\n    tag: a", []string{"24: spec.pin: needs exactly one of revision, tag and digest"}},
		{"pin of none", "  suspend: false", "  pin: {}", []string{"24: spec.pin: needs exactly one of"}},
		{"pin's revision", "  suspend: false", "  pin: {revision: 0}", []string{"24: spec.pin.revision: should be greater than or equal to 1"}},
		{"pin's revision is no number", "  suspend: false", "  pin: {revision: 1.5}", []string{"24: spec.pin.revision: must be a whole number"}},
		{"pin's digest", "  suspend: false", "  pin:\n    digest: " + digest[:70], []string{"25: spec.pin.digest:"}},
		{"suspend", "suspend: false", "suspend: yes please", []string{"24: spec.suspend: must be true or false"}},
		{"history limit", "  suspend: false", "  historyLimit: -1", []string{"24: spec.historyLimit: should be greater than or equal to 0"}},
		{"beyond 64 bits", "  suspend: false", "  historyLimit: 99999999999999999999", []string{"24: spec.historyLimit: must be a whole number"}},
		{"field at the wrong place", "  suspend: false", "  filter: {pattern: a}", []string{"24: spec.filter: is no field: known here are historyLimit, image"}},
		{"field of the root", "spec:", "spce: {}\nspec:", []string{"6: spce: is no field: did you mean spec?"}},
		{"field twice", "  suspend: false", "  image: nginx", []string{"24: spec.image: stands here a second time: remove one of the two"}},
		{"merge", "  suspend: false", "  <<: {suspend: true}", []string{"24: spec: has a key that is no plain name, or <<"}},
		{"YAML tag", "suspend: false", "suspend: !maybe true", []string{`24: spec.suspend: cannot read the value with the YAML tag "!maybe"`}},
		{"label", "  name: podinfo", "  name: podinfo\n  labels:\n    a.b/c: 1", []string{`6: metadata.labels[a.b/c]: must be text`}},
	})
}

func TestFindTellsWhatIsWrongWithMetadata(t *testing.T) {
	check(t, policyTemplate, "ImagePolicy", []invalid{
		{"typo", "  namespace: prod", "  namspace: prod", []string{" default/podinfo: 5: metadata.namspace: is no field: did you mean namespace?"}},
		{"no name", "  name: podinfo\n", "", []string{": 3: metadata.name: is missing: add it"}},
		{"generated name", "name: podinfo", "generateName: podinfo-", []string{": 3: metadata.name: is missing: add it"}},
		{"name", "name: podinfo", "name: Pod_info", []string{`: 4: metadata.name: "Pod_info" is no object's name`}},
		{"name that is a number", "name: podinfo", "name: 12", []string{`: 4: metadata.name: must be text`}},
		{"namespace", "namespace: prod", "namespace: a.b", []string{`: 5: metadata.namespace: "a.b" is no namespace`}},
		{"no metadata", "metadata:\n  name: podinfo\n  namespace: prod\n", "", []string{": 1: metadata: is missing: add a name"}},
	})
}

func TestFindTellsWhatIsWrongWithARepository(t *testing.T) {
	const template = `apiVersion: pintle.dev/v1alpha1
kind: ManifestRepository
metadata:
  name: fleet
  namespace: prod
spec:
  url: https://git.example.com/acme/fleet.git
  branch: main
  paths:
  - apps
  policies:
    namespaces:
      from: Same
  commit:
    author:
      name: Ada
      email: ada@example.com
  windows:
  - schedule: 0 9 * * 1-5
    duration: 8h
    timeZone: Europe/Paris
  maxPerPush: 0
`
	check(t, template, "ManifestRepository prod/fleet: ", []invalid{
		{"URL of another kind", "https://git", "ftp://git", []string{"7: spec.url: is no URL of a repository"}},
		{"password in the URL", "https://git", "https://ada:hunter2@git", []string{"6: spec: url holds credentials"}},
		{"password in the SSH URL", "https://git", "ssh://ada:hunter2@git", []string{"6: spec: url holds credentials"}},
		{"branch", "main", "main..x", []string{`8: spec.branch: "main..x" is no branch's name`}},
		{"branch that is an option", "main", "--upload-pack=x", []string{"8: spec.branch:"}},
		{"path", "- apps", "- ../apps", []string{`10: spec.paths[0]: "../apps" leaves the repository`}},
		{"from", "Same", "Some", []string{`13: spec.policies.namespaces.from: "Some" is none of the supported values`}},
		{"selector missing", "Same", "Selector", []string{"12: spec.policies.namespaces: needs a selector with from: Selector"}},
		{"selector", "from: Same", "from: Selector\n      selector: {matchExpressions: [{key: a, operator: Is}]}", []string{"14: spec.policies.namespaces.selector:"}},
		{"author", "Ada", "'Ada <x'", []string{"15: spec.commit.author: name must have letters"}},
		{"author of two lines", "Ada", `"Ada\nx"`, []string{"15: spec.commit.author: name must have letters"}},
		{"e-mail", "ada@example.com", "ada", []string{`17: spec.commit.author.email: "ada" is no e-mail address`}},
		{"window's schedule", "0 9 * * 1-5", "0 25 * * *", []string{"19: spec.windows[0].schedule:"}},
		{"window's zone twice", "0 9 * * 1-5", "CRON_TZ=UTC 0 9 * * *", []string{"19: spec.windows[0].schedule: \"CRON_TZ=UTC 0 9 * * *\" has a time zone in the schedule: write it in timeZone"}},
		{"window without fixed time", "0 9 * * 1-5", "'@every 5m'", []string{"19: spec.windows[0].schedule:"}},
		{"window's duration", "8h", "0h", []string{`20: spec.windows[0].duration: "0h" is no duration`}},
		{"time zone", "Europe/Paris", "Europe/Nowhere", []string{`21: spec.windows[0].timeZone: "Europe/Nowhere" is no time zone`}},
		{"pace beyond all", "maxPerPush: 0", "maxPerPush: 3000000000", []string{"22: spec.maxPerPush: should be less than or equal to 1000000"}},
		{"pace", "maxPerPush: 0", "maxPerPush: -1", []string{"22: spec.maxPerPush: should be greater than or equal to 0"}},
		{"mode", "maxPerPush: 0", "mode: Merge", []string{`22: spec.mode: "Merge" is none of the supported values: "Push", "PullRequest"`}},
		{"mode as mapping", "maxPerPush: 0", "mode: {PullRequest: {}}", []string{"22: spec.mode: must be text"}},
		{"pull request without mode", "maxPerPush: 0", "pullRequest: {}", []string{"6: spec: has pullRequest settings without mode: PullRequest"}},
	})
}

// check applies each change to the template, which must be valid itself, and compares
// the problems, and that nothing is returned.
func check(t *testing.T, template, prefix string, tests []invalid) {
	v := validator(t)
	if docs, problems := v.Find("a.yaml", []byte(template)); len(docs) != 1 || len(problems) != 0 {
		t.Fatalf("the template itself gives %d documents and %+v", len(docs), problems)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			content := strings.Replace(template, test.old, test.new, 1)
			if content == template {
				t.Fatalf("%q is not in the template", test.old)
			}
			docs, problems := v.Find("a.yaml", []byte(content))
			if len(docs) != 0 {
				t.Errorf("it is taken for valid: %+v", docs)
			}
			var got []string
			for i, p := range problems {
				if p.File != "a.yaml" || strings.ContainsFunc(p.Message, unicode.IsControl) || strings.Contains(p.Message, "hunter2") {
					t.Errorf("file or message is wrong: %+v", p)
				}
				got = append(got, placed(p.Line, p.Message, prefix, test.want, i))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// placed writes a problem as the tables do: cut to the length of what is expected.
func placed(line int, message, prefix string, want []string, i int) string {
	rest, ok := strings.CutPrefix(message, prefix)
	if !ok {
		return message
	}
	text := fmt.Sprintf("%d: %s", line, rest)
	if strings.HasSuffix(prefix, "y") { // the object's key is a part of what is compared
		object, field, _ := strings.Cut(rest, ": ")
		text = fmt.Sprintf("%s: %d: %s", object, line, field)
	}
	if i < len(want) && strings.HasPrefix(text, want[i]) {
		return want[i]
	}
	return text
}

func TestFindTellsWhatIsWrongWithAFile(t *testing.T) {
	deep := strings.Repeat("{a: ", 200) + "1" + strings.Repeat("}", 200)
	lists := "{apiVersion: v1, kind: List, items: ["
	for _, test := range []struct {
		name, content string
		want          string // of the first problem
		last          bool   // of the last one
	}{
		{"template", "---\n" + helm + "---\n# pintle.dev/\n" + helm, "11: cannot look for policies: the document that begins at line 7 is no YAML: did not find expected", false},
		{"tab", "apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\n\tspec: {}\n", "2: cannot look for policies: the document that begins at line 1 is no YAML: found a tab", false},
		{"unknown alias", "apiVersion: pintle.dev/v1alpha1\nkind: *none\n", "1: cannot look for policies", false},
		{"not UTF-8", "apiVersion: pintle.dev/v1alpha1\nkind: \xff\n", "1: cannot look for policies", false},
		{"unknown version", strings.Replace(minimal("a"), "v1alpha1", "v1", 1), `1: apiVersion: "pintle.dev/v1" is not known: write pintle.dev/v1alpha1`, false},
		{"unknown kind", strings.Replace(minimal("a"), "ImagePolicy", "ImagePolcy", 1), `2: kind: "ImagePolcy" is not known in pintle.dev: did you mean ImagePolicy?`, false},
		{"kind of another project", strings.Replace(minimal("a"), "ImagePolicy", "Widget", 1), `2: kind: "Widget" is not known in pintle.dev: known here are ImagePolicy, ManifestRepository`, false},
		{"too large", "# pintle.dev/\n" + strings.Repeat("#", 4<<20), "1: is larger than 4 MiB", false},
		{"too deep", "apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nspec: {}\nstatus: " + deep, "1: ImagePolicy: nests deeper than 100 levels", false},
		{"alias within itself", "apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nstatus: &a [*a, *a]\n", "1: ImagePolicy: holds too many values", false},
		{"aliases that multiply", "apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nstatus:\n" + bomb(), "1: ImagePolicy: holds too many values", false},
		{"too many values", minimal("a") + "  targets: [" + strings.Repeat("{}, ", 1<<19) + "]\n", "1: ImagePolicy: holds too many values", false},
		{"too many fields", minimal("a") + strings.Repeat("  x: 1\n", 1<<18), "1: ImagePolicy: holds too many values", true},
		{"list within itself", "apiVersion: v1\nkind: List\nitems: &a\n- apiVersion: v1\n  kind: List # pintle.dev/\n  items: *a\n", "3: cannot look for policies: lists within lists", false},
		{"lists of aliases", "# pintle.dev/\n" + lists + "&a " + lists + strings.Repeat("a, ", 1000) + "]}" + strings.Repeat(", *a", 1000) + "]}", "2: holds too many values", false},
		{"too many documents", strings.Repeat("---\napiVersion: pintle.dev/v1\n", 10_001), "20002: holds more than 10000 documents", true},
		{"line breaks in a name", strings.Replace(minimal("a"), "kind: ImagePolicy", `kind: "a\nb\e[31m"`, 1), `2: kind: "a\nb\x1b[31m" is not known`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			docs, problems := validator(t).Find("a.yaml", []byte(test.content))
			if len(docs) > 0 || len(problems) == 0 {
				t.Fatalf("got %d documents and problems %+v", len(docs), problems)
			}
			if test.last {
				problems = problems[len(problems)-1:]
			}
			if got := fmt.Sprintf("%d: %s", problems[0].Line, problems[0].Message); !strings.HasPrefix(got, test.want) {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

// bomb is ten to the ninth scalars.
func bomb() string {
	var b strings.Builder
	b.WriteString("  a0: &a0 [x]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	return b.String()
}

func TestFindKeepsTheOthersOfAFile(t *testing.T) {
	content := minimal("a") + "---\n" + strings.Replace(minimal("b"), "semver", "semvr", 1) + "---\n" + minimal("c")
	docs, problems := validator(t).Find("apps/policies.yaml", []byte(content))
	var got []string
	for _, d := range docs {
		got = append(got, d.Policy.Name)
	}
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s:%d %s", p.File, p.Line, p.Policy))
	}
	want := []string{"a", "c", "apps/policies.yaml:17 prod/b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
