// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// keepTimeout is how long a connection waits for another command.
	keepTimeout = 30 * time.Second
	// answerTimeout bounds what the SSH server answers by itself, without git.
	answerTimeout = 10 * time.Second
)

// waitingClient is the connection that no command runs on, if there is one: its
// login costs more than most commands.
type waitingClient struct {
	patience time.Duration

	mu     sync.Mutex
	client *ssh.Client
	expiry *time.Timer
}

// put lets a connection wait, but not for long, and none beside another.
func (w *waitingClient) put(client *ssh.Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != nil {
		hangUp(client)
		return
	}
	w.client = client
	w.expiry = time.AfterFunc(w.patience, func() { w.expire(client) })
}

// take returns the connection that waits, or nil. It may be dead by now.
func (w *waitingClient) take() *ssh.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	client := w.client
	if client != nil {
		w.client = nil
		w.expiry.Stop()
	}
	return client
}

// expire ends the connection unless it was taken meanwhile.
func (w *waitingClient) expire(client *ssh.Client) {
	w.mu.Lock()
	waits := w.client == client
	if waits {
		w.client = nil
	}
	w.mu.Unlock()
	if waits {
		hangUp(client)
	}
}

// hangUp ends a connection, and waits for all that reads from it.
func hangUp(client *ssh.Client) {
	if client != nil {
		_ = client.Close()
		_ = client.Wait()
	}
}
