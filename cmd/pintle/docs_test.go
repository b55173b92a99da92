// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
)

// TestPages does what pages of docs tell their reader to do: it runs every sh
// block, in order, and compares what is said with the text block behind it. A
// comment such as <!-- world: 6.7.2 is out --> says what happens meanwhile.
func TestPages(t *testing.T) {
	t.Run("history.md", func(t *testing.T) {
		(&onCall{t: t}).follow(readPage(t, "history.md"))
	})
	t.Run("kubectl.md", func(t *testing.T) {
		(&onCall{t: t}).follow(readPage(t, "kubectl.md"))
	})
	t.Run("rollback.md", func(t *testing.T) {
		p, c := readPage(t, "rollback.md"), &onCall{t: t}
		c.follow(p)
		c.getIntoTrouble()
		messages := p.messages("What can go wrong")
		if len(messages) < 10 {
			t.Fatalf("the table explains %d messages", len(messages))
		}
		for _, message := range messages {
			if !regexp.MustCompile(quoted(message)).MatchString(c.log.String()) {
				t.Errorf("nothing says %q any more", message)
			}
		}
	})
}

// follow does what a page says, from its beginning to its end.
func (c *onCall) follow(p page) {
	c.t.Helper()
	before := ""
	for _, part := range p.parts {
		switch part.kind {
		case "world":
			c.happens(part)
		case "sh":
			if c.run(part.text); c.status != 0 {
				c.t.Fatalf("%s: status %d:\n%s", part.place, c.status, c.said)
			}
		case "text":
			if before != "sh" {
				c.t.Errorf("%s: no command before it says this", part.place)
			}
			c.compare(part)
		}
		before = part.kind
	}
}

// getIntoTrouble calls forth the messages that the page's table explains and its
// story does not meet.
func (c *onCall) getIntoTrouble() {
	const fleet = "https://git.example.com/acme/fleet.git"
	fails := func(status int, script string) {
		c.t.Helper()
		if c.run(script); c.status != status {
			c.t.Errorf("%s: status %d, want %d:\n%s", script, c.status, status, c.said)
		}
	}
	declare := func(line string) {
		c.t.Helper()
		fails(0, "echo '  "+line+"' >>policies/podinfo.yaml && git commit --quiet --all --message Declare && git push --quiet")
	}
	takeBack := func() {
		c.t.Helper()
		fails(0, "git pull --quiet && git revert --no-edit $(git log -1 --format=%h policies/podinfo.yaml) && git push --quiet")
	}

	c.begin()
	fails(1, "pintle rollback prod/nginx --repo "+fleet)
	fails(1, "pintle rollback prod/podinfo --repo "+fleet+" --to 6.5.9")
	lost := images.Push(c.t, c.registry.host(), podinfo, "6.7.0", "6.7.0")
	c.registry.lose(c.t, "6.7.0", lost)
	fails(1, "pintle rollback prod/podinfo --repo "+fleet)
	fails(0, "pintle rollback prod/podinfo --repo "+fleet+" --force --dry-run")
	c.registry.server.Close()
	fails(1, "pintle rollback prod/podinfo --repo "+fleet)
	fails(0, "pintle rollback prod/podinfo --repo "+fleet+" --force --dry-run")

	c.begin()
	images.Push(c.t, c.registry.host(), podinfo, "6.7.1", "again")
	fails(0, "pintle sync --repo "+fleet+" && git clone --quiet "+fleet+" && cd fleet")
	fails(1, "pintle rollback prod/podinfo --repo . --to 6.7.1")
	fails(1, "git clone --quiet --depth 1 "+fleet+" ../shallow && pintle history prod/podinfo --repo ../shallow")
	fails(1, "echo >>apps/podinfo.yaml && pintle rollback prod/podinfo --repo .")
	fails(0, "git reset --quiet --hard")
	for range 3 {
		fails(0, "pintle rollback prod/podinfo --repo .")
	}
	fails(1, "pintle rollback prod/podinfo --repo .")
	fails(0, "git push --quiet")
	declare("suspend: true")
	fails(1, "pintle resume prod/podinfo --repo .")
	takeBack()
	declare("pin: {revision: 9}")
	fails(1, "pintle rollback prod/podinfo --repo .")
	fails(3, "pintle plan --repo .")
	takeBack()
	declare("pin: {revision: 2, tag: 6.7.0}")
	fails(3, "pintle plan --repo .")
	takeBack()
	declare("pin: {revision: 2}")
	fails(0, "pintle sync --repo . && git revert --no-edit HEAD && git push --quiet && pintle plan --repo .")
	takeBack()
	fails(0, "sed 's/podinfo:6[^ ]*/podinfo:hotfix/' apps/podinfo.yaml >new && mv new apps/podinfo.yaml && git commit --quiet --all --message Hotfix && pintle plan --repo .")

	// What the page says of forcing a branch back: Git forgets, and so does Pintle.
	c.begin()
	fails(0, "git clone --quiet "+fleet+" && cd fleet && git reset --quiet --hard HEAD~1 && git push --quiet --force && pintle plan --repo "+fleet)
	if !strings.Contains(c.said, "moves from 6.7.0 to 6.7.1") {
		c.t.Errorf("after a forced push:\n%s", c.said)
	}
}

// page is a page of docs, and its blocks of code and comments in their order.
type page struct {
	text  string
	parts []part
}

type part struct{ place, kind, text string }

var (
	blocks = regexp.MustCompile("(?ms)^<!-- (world): (.+?) -->$|^```(\\w+)\n(.*?)^```$")
	rows   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

func readPage(t *testing.T, name string) page {
	t.Helper()
	file := filepath.Join("..", "..", "docs", name)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := page{text: string(content)}
	commands := 0
	for _, found := range blocks.FindAllStringSubmatchIndex(p.text, -1) {
		group := func(n int) string {
			if found[2*n] < 0 {
				return ""
			}
			return p.text[found[2*n]:found[2*n+1]]
		}
		place := fmt.Sprintf("%s:%d", file, 1+strings.Count(p.text[:found[0]], "\n"))
		p.parts = append(p.parts, part{place, group(1) + group(3), group(2) + group(4)})
		if group(3) == "sh" {
			commands++
		}
	}
	if want := strings.Count(p.text, "```sh"); commands != want || want == 0 {
		t.Fatalf("%s: %d sh blocks are read, of %d", file, commands, want)
	}
	return p
}

// messages are what the first column of a section's table quotes.
func (p page) messages(section string) []string {
	_, rest, _ := strings.Cut(p.text, "\n## "+section+"\n")
	text, _, _ := strings.Cut(rest, "\n## ")
	var found []string
	for _, row := range rows.FindAllStringSubmatch(text, -1) {
		found = append(found, row[1])
	}
	return found
}

// varying is what differs from run to run, and … for what a page leaves out.
var varying = regexp.MustCompile(`(?m)^…\n|…|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|less than a minute ago|\d+ min ago|\b[0-9a-f]{7,64}\b`)

// quoted is the pattern of all that a page's words may stand for. Ids and digests
// are its groups.
func quoted(text string) string {
	var pattern strings.Builder
	end := 0
	for _, at := range varying.FindAllStringIndex(text, -1) {
		pattern.WriteString(regexp.QuoteMeta(text[end:at[0]]))
		end = at[1]
		switch found := text[at[0]:at[1]]; {
		case found == "…\n":
			pattern.WriteString(`(?:.*\n)*?`)
		case found == "…":
			pattern.WriteString(`.*?`)
		case strings.HasSuffix(found, "Z"):
			pattern.WriteString(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
		case strings.HasSuffix(found, "ago"):
			pattern.WriteString(`(?:less than a minute|\d+ min) ago`)
		default:
			fmt.Fprintf(&pattern, `([0-9a-f]{%d})`, len(found))
		}
	}
	return pattern.String() + regexp.QuoteMeta(text[end:])
}

// onCall is somebody who follows the page.
type onCall struct {
	t        *testing.T
	registry *ghcr
	git      string            // URL of what stands for https://git.example.com/acme
	kube     string            // the kubeconfig, of pages that have a cluster
	home     string            // with bin/pintle, and pwd: the folder that the reader is in
	past     string            // a copy of the repository in which 6.7.1 is out
	ids      map[string]string // by an id of the page: what it is in this run
	pages    map[string]string // the other way round
	status   int               // of the last command
	said     string
	log      strings.Builder
}

const podinfo = "acme/podinfo"

// ghcr stands for ghcr.io: the command reaches it as its proxy.
type ghcr struct{ server *httptest.Server }

func (g *ghcr) host() string { return strings.TrimPrefix(g.server.URL, "http://") }

func (g *ghcr) lose(t *testing.T, references ...string) {
	t.Helper()
	for _, r := range references {
		gone := httptest.NewRequest(http.MethodDelete, "/v2/"+podinfo+"/manifests/"+r, nil)
		answer := httptest.NewRecorder()
		if g.server.Config.Handler.ServeHTTP(answer, gone); answer.Code != http.StatusAccepted {
			t.Fatalf("the registry does not let %s go: %s", r, answer.Body)
		}
	}
}

// happens does what a comment of the page says.
func (c *onCall) happens(p part) {
	c.t.Helper()
	for event := range strings.SplitSeq(p.text, ", ") {
		switch event {
		case "6.7.1 is out":
			c.begin()
		case "6.7.1 is rolled back":
			c.begin()
			c.must("pintle rollback prod/podinfo --repo https://git.example.com/acme/fleet.git")
		case "6.7.0 is pinned":
			c.begin()
			c.must(`(git clone --quiet https://git.example.com/acme/fleet.git ../pin && cd ../pin
echo '  pin: {revision: 2}' >>policies/podinfo.yaml
git commit --quiet --all --message 'Pin podinfo to 6.7.0'
pintle sync --repo . && git push --quiet)`)
		case "the cluster has it":
			c.declare()
		case "6.7.2 is out":
			images.Push(c.t, c.registry.host(), podinfo, "6.7.2", "6.7.2")
		default:
			c.t.Fatalf("%s: nothing is known of how %q comes about", p.place, event)
		}
	}
}

// begin makes a world in which 6.7.1 is the third revision, and an empty folder.
func (c *onCall) begin() {
	c.t.Helper()
	repo := c.start()
	first := c.past == ""
	if first {
		repo.Seed(c.t, fleetFiles, "Run podinfo 6.6.0")
	} else {
		gitserver.Git(c.t, c.past, "push", "--quiet", "--mirror", repo.Dir)
	}
	for _, tag := range []string{"6.6.0", "6.7.0", "6.7.1"} {
		images.Push(c.t, c.registry.host(), podinfo, tag, tag)
		if first {
			c.must("pintle sync --repo https://git.example.com/acme/fleet.git")
		}
	}
	if first {
		c.past = filepath.Join(c.t.TempDir(), "past")
		gitserver.Git(c.t, "", "clone", "--quiet", "--mirror", repo.Dir, c.past)
	}
}

// start makes a registry and a repository with nothing in them, and a folder
// with the command.
func (c *onCall) start() gitserver.Repo {
	c.t.Helper()
	c.home = filepath.Join(c.t.TempDir(), "home")
	c.ids, c.pages = map[string]string{}, map[string]string{}
	c.registry = &ghcr{httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))}
	c.t.Cleanup(c.registry.server.Close)
	repo := gitserver.New(c.t, gitserver.Options{}).Create("fleet")
	c.git = strings.TrimSuffix(repo.URL, "/fleet.git")
	for file, content := range map[string]string{
		"pwd": c.home,
		// lint asks no registry, so that it has no such flag.
		"bin/pintle": "#!/bin/sh\ncase $1 in lint) ;; *) set -- \"$@\" --plain-http ghcr.io ;; esac\nexec '" + os.Args[0] + "' \"$@\"\n",
	} {
		file = filepath.Join(c.home, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	return repo
}

// declare has the policy and the repository in a cluster, and what stands for kubectl
// runs the plugin as kubectl does.
func (c *onCall) declare() {
	c.t.Helper()
	k := newCluster(c.t)
	policy := k.object("prod", "podinfo", ">=6.0.0 <7")
	policy.Spec.Image = "ghcr.io/acme/podinfo"
	k.create(policy, k.manifests("prod", "fleet", gitserver.Repo{URL: c.git + "/fleet.git"}))
	c.kube = k.kubeconfig
	plugin := filepath.Join(c.home, "kubectl-pintle")
	if err := os.Symlink(os.Args[0], plugin); err != nil {
		c.t.Fatal(err)
	}
	script := "#!/bin/sh\nshift\ncase $1 in refresh) ;; *) set -- \"$@\" --plain-http ghcr.io --plain-http 127.0.0.1 ;; esac\nexec '" + plugin + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(c.home, "bin", "kubectl"), []byte(script), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

// fleetFiles are what https://git.example.com/acme/fleet.git begins with.
var fleetFiles = map[string]string{
	"policies/podinfo.yaml": `apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata:
  name: podinfo
  namespace: prod
spec:
  image: ghcr.io/acme/podinfo
  select:
    semver: {range: ">=6.0.0 <7"}
`,
	"apps/podinfo.yaml": `apiVersion: apps/v1
kind: Deployment
metadata:
  name: podinfo
  namespace: prod
spec:
  selector:
    matchLabels: {app: podinfo}
  template:
    metadata:
      labels: {app: podinfo}
    spec:
      containers:
      - name: podinfo
        image: ghcr.io/acme/podinfo:6.6.0 # {"$imagepolicy": "prod:podinfo"}
`,
}

func (c *onCall) must(script string) {
	c.t.Helper()
	if c.run(script); c.status != 0 {
		c.t.Fatalf("%s: status %d:\n%s", script, c.status, c.said)
	}
}

// run has bash run a script in the folder that the last one ended in. The
// addresses that a page names stand for those of the test.
func (c *onCall) run(script string) {
	c.t.Helper()
	const address = "https://git.example.com/acme"
	pwd := filepath.Join(c.home, "pwd")
	dir, err := os.ReadFile(pwd)
	if err != nil {
		c.t.Fatal(err)
	}
	command := exec.CommandContext(c.t.Context(), "bash", "-euo", "pipefail", "-c", "trap 'pwd >"+pwd+"' EXIT\n"+strings.ReplaceAll(script, address, c.git))
	command.Dir = strings.TrimSpace(string(dir))
	command.Env = append(gitserver.Environment(c.home), "PATH="+filepath.Join(c.home, "bin")+":"+os.Getenv("PATH"), "DOCKER_CONFIG="+c.home,
		runMain+"=1", "KUBECONFIG="+c.kube,
		"GORACE=atexit_sleep_ms=0",          // else each command waits for a second where races are looked for
		"HTTP_PROXY="+c.registry.server.URL) // git reads http_proxy alone, and no proxy is asked for 127.0.0.1
	said, err := command.CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		c.t.Fatal(err)
	}
	c.status, c.said = command.ProcessState.ExitCode(), strings.ReplaceAll(string(said), c.git, address)
	c.log.WriteString(c.said)
}

// compare fails the test where the last command said something else than the
// page. What the page calls by one id must be one thing.
func (c *onCall) compare(p part) {
	c.t.Helper()
	pattern := regexp.MustCompile(`\A` + quoted(p.text) + `\n*\z`)
	ids := pattern.FindStringSubmatch(c.said)
	if ids == nil {
		c.t.Errorf("%s: the page says\n%s\nand the command\n%s", p.place, p.text, c.said)
		return
	}
	const enough = 7
	for i, written := range pattern.FindStringSubmatch(p.text)[1:] {
		written, got := written[:enough], ids[i+1][:enough]
		if c.ids[written] == "" && c.pages[got] == "" {
			c.ids[written], c.pages[got] = got, written
		}
		if c.ids[written] != got || c.pages[got] != written {
			c.t.Errorf("%s: the page writes %s where it should write %s", p.place, written, c.pages[got])
		}
	}
}
