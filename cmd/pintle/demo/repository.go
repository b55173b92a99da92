// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// repository is a bare repository, as a forge holds it, and the checkout of
// somebody who works with it.
type repository struct{ folder string }

// fleet is what the repository starts with; IMAGE stands for the image.
var fleet = map[string]string{
	"policies/podinfo.yaml": `apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata:
  name: podinfo
  namespace: prod
spec:
  image: IMAGE
  select:
    semver:
      range: ">=1.0.0 <2"
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
      - name: podinfo    # two blanks, and a comment that must stay
        image: IMAGE:1.0.0  # {"$imagepolicy": "prod:podinfo"}
`,
}

func createRepository(ctx context.Context, folder, image string) (*repository, error) {
	r := &repository{folder: folder}
	if _, err := r.run(ctx, folder, "init", "--quiet", "--bare", "--initial-branch=main", r.bare()); err != nil {
		return nil, err
	}
	if _, err := r.run(ctx, folder, "clone", "--quiet", r.bare(), r.checkout()); err != nil {
		return nil, err
	}
	for path, content := range fleet {
		file := filepath.Join(r.checkout(), filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, fmt.Errorf("cannot write the manifests: %w", err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(content, "IMAGE", image)), 0o600); err != nil {
			return nil, fmt.Errorf("cannot write the manifests: %w", err)
		}
	}
	for _, args := range [][]string{
		{"add", "--all"},
		{"commit", "--quiet", "--message", "Run podinfo 1.0.0"},
		{"push", "--quiet", "origin", "HEAD:main"},
	} {
		if _, err := r.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *repository) bare() string     { return filepath.Join(r.folder, "fleet.git") }
func (r *repository) checkout() string { return filepath.Join(r.folder, "checkout") }

// git runs the git command in the checkout.
func (r *repository) git(ctx context.Context, args ...string) (string, error) {
	return r.run(ctx, r.checkout(), args...)
}

// run keeps the reader's own configuration out of the story: it may sign
// commits or name other branches.
func (r *repository) run(ctx context.Context, dir string, args ...string) (string, error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + r.folder,
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada Person", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada Person", "GIT_COMMITTER_EMAIL=ada@example.com",
	}
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("cannot run git %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimRight(string(output), "\n"), nil
}
