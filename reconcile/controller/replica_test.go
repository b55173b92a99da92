// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// buildCommand builds the command as users get it.
func buildCommand(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "pintle")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/pintle")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the command: %v\n%s", err, out)
	}
	return program
}

// replica is a `pintle controller` as a process of its own.
type replica struct {
	*exec.Cmd

	ended chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// Write takes what the process says.
func (r *replica) Write(text []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(text)
}

func (r *replica) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// replica starts one of several that elect their leader in the world's namespace. It is
// killed when the test ends.
func (w *world) replica(program, kubeconfig string, more ...string) *replica {
	w.t.Helper()
	r := &replica{ended: make(chan struct{})}
	args := append([]string{"controller", "--kubeconfig", kubeconfig,
		"--leader-elect", "--leader-election-namespace", w.namespace, "--plain-http", "127.0.0.1",
		"--metrics-bind-address", "0", "--health-probe-bind-address", "0", "--quiet-period", "0s"}, more...)
	r.Cmd = exec.CommandContext(context.WithoutCancel(w.t.Context()), program, args...)
	r.Env = []string{"HOME=" + w.t.TempDir(), "PATH=" + os.Getenv("PATH")}
	r.Stdout, r.Stderr = r, r
	if err := r.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		_ = r.Wait() // ProcessState says how it ended
	}()
	w.t.Cleanup(func() {
		_ = r.Process.Kill()
		<-r.ended
		if w.t.Failed() {
			w.t.Logf("a replica said:\n%s", r.said())
		}
	})
	return r
}

// untilSaid waits for words in the log of a replica.
func (w *world) untilSaid(r *replica, words string) {
	w.t.Helper()
	w.until("a replica says "+words, func() (string, bool) { return r.said(), strings.Contains(r.said(), words) })
}

// leader is who holds the lease; empty while nobody does.
func (w *world) leader() string {
	w.t.Helper()
	lease := &coordinationv1.Lease{}
	err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: "pintle"}, lease)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// untilLed waits for another leader than one, and returns how long that took.
func (w *world) untilLed(before string) (took time.Duration) {
	w.t.Helper()
	begun := time.Now()
	w.until("another replica leads", func() (string, bool) {
		leader := w.leader()
		return leader, leader != "" && leader != before
	})
	return time.Since(begun)
}
