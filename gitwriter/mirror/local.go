// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// localRemote is a repository on this machine, served by the git command one
// request at a time as a web server would, so that its hooks run and its checks
// hold. A push to the branch of a checkout also moves its index and files.
type localRemote struct {
	dir      string
	checkout bool
}

// newLocalRemote finds out what dir is.
func newLocalRemote(dir string) (*localRemote, error) {
	name := dir
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	if _, err := os.Stat(filepath.Join(abs, ".git")); err == nil {
		shallow, err := gitOutput(abs, "rev-parse", "--is-shallow-repository")
		if err == nil && shallow == "true" {
			return nil, &Error{Repository: name, Op: "read", Kind: Shallow,
				Err:  errors.New("the checkout is shallow, and its history says what was rolled back"),
				Hint: "run `git fetch --unshallow` first (in CI: fetch-depth 0), or give the repository's URL"}
		}
		return &localRemote{dir: abs, checkout: true}, nil
	}
	bare, err := gitOutput(abs, "rev-parse", "--is-bare-repository")
	if err != nil || bare != "true" {
		return nil, &Error{Repository: name, Op: "read", Kind: NotFound,
			Err:  errors.New("there is no Git repository"),
			Hint: "give a URL, a bare repository, or the top folder of a checkout"}
	}
	return &localRemote{dir: abs}, nil
}

func gitOutput(dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func (r *localRemote) git(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_PROTOCOL=", "GIT_TERMINAL_PROMPT=0")
	cmd.Stdin = stdin
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if words := oneLine(errs.String()); words != "" {
			err = fmt.Errorf("%s: %w", words, err)
		}
		return nil, fmt.Errorf("git: %w", err)
	}
	return out.Bytes(), nil
}

func (r *localRemote) uploadPack(args ...string) []string {
	config := []string{"-c", "uploadpack.allowFilter=true", "-c", "uploadpack.allowAnySHA1InWant=true", "upload-pack", "--stateless-rpc"}
	return append(append(config, args...), r.dir)
}

func (r *localRemote) close() {}

func (r *localRemote) advertise(ctx context.Context) (*packp.AdvRefs, error) {
	out, err := r.git(ctx, nil, r.uploadPack("--advertise-refs")...)
	if err != nil {
		return nil, err
	}
	return decodeRefs(bytes.NewReader(out))
}

func (r *localRemote) upload(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, *packp.UploadPackResponse, error) {
	var in bytes.Buffer
	if err := encodeUpload(&in, req); err != nil {
		return nil, nil, err
	}
	out, err := r.git(ctx, &in, r.uploadPack()...)
	if err != nil {
		return nil, nil, err
	}
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(bytes.NewReader(out))); err != nil {
		return nil, nil, err
	}
	return res, res, nil
}

func (r *localRemote) receive(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	if r.checkout {
		branch, err := r.git(ctx, nil, "symbolic-ref", "--quiet", "HEAD")
		if err == nil && strings.TrimSpace(string(branch)) == req.Commands[0].Name.String() {
			return r.forward(ctx, req)
		}
	}
	var in bytes.Buffer
	if err := req.Encode(&in); err != nil {
		return nil, err
	}
	out, err := r.git(ctx, &in, "receive-pack", "--stateless-rpc", r.dir)
	if err != nil {
		return nil, err
	}
	return decodeReport(req, bytes.NewReader(out))
}

// forward moves the branch, the index and the files of a checkout as `git pull`
// does: git refuses before it touches a file where the branch has moved on.
// (receive.denyCurrentBranch=updateInstead moves the files first, and so would
// take back what somebody else has just committed there.)
func (r *localRemote) forward(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	if err := r.untouched(ctx, req.Commands[0].Name.String()); err != nil {
		return nil, err
	}
	if _, err := r.git(ctx, req.Packfile, "unpack-objects", "-q", "--strict"); err != nil {
		return nil, err
	}
	if _, err := r.git(ctx, nil, "merge", "--quiet", "--ff-only", req.Commands[0].New.String()); err != nil {
		return nil, err
	}
	return packp.NewReportStatus(), nil
}

// untouched is nil where nobody else's work is under way in the checkout.
func (r *localRemote) untouched(ctx context.Context, branch string) error {
	paths, err := r.git(ctx, nil, "rev-parse", "--git-path", "index.lock", "--git-path", "HEAD.lock", "--git-path", branch+".lock")
	if err != nil {
		return err
	}
	for file := range strings.SplitSeq(strings.TrimSpace(string(paths)), "\n") {
		if !filepath.IsAbs(file) {
			file = filepath.Join(r.dir, file)
		}
		if _, err := os.Stat(file); err == nil {
			return &Error{Repository: r.dir, Op: "push to", Kind: Rejected, Err: fmt.Errorf("%s is there, so git is at work in the checkout, or was when it was killed", file),
				Hint: "wait for it, or remove the file if no git runs"}
		}
	}
	changed, err := r.git(ctx, nil, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
	if err == nil && len(changed) > 0 {
		err = &Error{Repository: r.dir, Op: "push to", Kind: Rejected, Err: errors.New("the checkout is not clean"), Hint: "commit or stash what `git status` lists"}
	}
	return err
}
