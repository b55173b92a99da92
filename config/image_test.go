// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// buildLine is how Dockerfile and Makefile build the command; %s is where to.
const buildLine = `go build -trimpath -buildvcs=auto -ldflags "-s -w" -o %s ./cmd/pintle`

// The three ways to build give the same program, and two of them the same image.
func TestImagesAreBuiltInOneWay(t *testing.T) {
	dockerfile := read(t, "../Dockerfile")
	if line := strings.Replace(buildLine, "%s", "/pintle", 1); !strings.Contains(dockerfile, "RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH "+line+"\n") {
		t.Errorf("Dockerfile does not build with: %s", line)
	}
	if line := strings.Replace(buildLine, "%s", "bin/pintle", 1); !strings.Contains(read(t, "../Makefile"), "CGO_ENABLED=0 "+line+"\n") {
		t.Errorf("Makefile does not build with: %s", line)
	}
	type settings struct {
		ID, Main            string
		Env, Flags, Ldflags []string
	}
	var ko struct {
		DefaultBaseImage string
		DefaultPlatforms []string
		Builds           []settings
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "../.ko.yaml")), &ko); err != nil {
		t.Fatal(err)
	}
	want := settings{"pintle", "./cmd/pintle", []string{"CGO_ENABLED=0"}, []string{"-trimpath", "-buildvcs=auto"}, []string{"-s", "-w"}}
	if diff := cmp.Diff([]settings{want}, ko.Builds); diff != "" {
		t.Errorf(".ko.yaml (-want +got):\n%s", diff)
	}
	stages := regexp.MustCompile(`(?m)^FROM (\S+)$`).FindStringSubmatch(dockerfile)
	if stages == nil || stages[1] != ko.DefaultBaseImage {
		t.Errorf("Dockerfile ends with %q, and .ko.yaml has %s", stages, ko.DefaultBaseImage)
	}
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))
	if !strings.Contains(dockerfile, " golang:"+module[1]+" ") {
		t.Errorf("Dockerfile has another Go than go.mod, which has %s", module[1])
	}
	if user, _ := deployment(t); !strings.Contains(dockerfile, "\nUSER 65532:65532\n") || *user.Spec.Template.Spec.SecurityContext.RunAsUser != 65532 {
		t.Error("Dockerfile and the Deployment have different users")
	}
}

// A file that Git has and the image's build does not would make the version "+dirty".
func TestImageIsBuiltFromAllThatGitHas(t *testing.T) {
	var patterns []string
	for line := range strings.Lines(read(t, "../.dockerignore")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, strings.TrimPrefix(line, "**/"))
		}
	}
	var want []string
	for line := range strings.Lines(read(t, "../.gitignore")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			want = append(want, line)
		}
	}
	slices.Sort(patterns)
	slices.Sort(want)
	if diff := cmp.Diff(want, patterns); diff != "" {
		t.Errorf(".dockerignore (-.gitignore +got):\n%s", diff)
	}
}

// program is the command as Dockerfile builds it, for this machine's kind of processor.
var program = sync.OnceValues(func() (string, error) {
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		return "", err
	}
	line := regexp.MustCompile(`RUN (.*go build.*) -o /pintle (.*)\n`).FindSubmatch(dockerfile)
	if line == nil {
		return "", errors.New("Dockerfile builds nothing")
	}
	folder, err := os.MkdirTemp("", "pintle-image-")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { _ = os.RemoveAll(folder) })
	file := filepath.Join(folder, "pintle")
	build := exec.Command("sh", "-c", fmt.Sprintf("%s -o '%s' %s", line[1], file, line[2]))
	build.Dir = ".."
	build.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH)
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build as Dockerfile does: %w: %s", err, output)
	}
	return file, nil
})

func built(t *testing.T) string {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// The program needs nothing of the image that it stands in: no loader and no library.
func TestProgramIsStatic(t *testing.T) {
	program := built(t)
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || settings["GOOS"] != "linux" {
		t.Errorf("it was built with %v", settings)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("it is linked dynamically: %v", part.Type)
		}
	}
}
