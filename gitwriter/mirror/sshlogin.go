// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// SSH is how to log in over SSH, and which servers to trust there.
type SSH struct {
	// PrivateKey is in PEM, as OpenSSH or OpenSSL write it, and Passphrase opens it.
	PrivateKey, Passphrase string
	// Agent is the socket of an ssh-agent, which is asked where there is no
	// PrivateKey.
	Agent string
	// KnownHosts are the lines of known_hosts files. A server that is not among
	// them is not talked to.
	KnownHosts string
}

// parsePrivateKey says nothing in its errors of what the key holds.
func parsePrivateKey(pem, passphrase string) (ssh.Signer, error) {
	parse := ssh.ParsePrivateKey
	if passphrase != "" {
		parse = func(pem []byte) (ssh.Signer, error) {
			return ssh.ParsePrivateKeyWithPassphrase(pem, []byte(passphrase))
		}
	}
	key, err := parse([]byte(pem))
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		return nil, errors.New("the private key has a passphrase, which is missing")
	}
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errors.New("the passphrase does not open the private key")
	}
	if err != nil && passphrase != "" {
		// A passphrase for a key without one is an error of the parser's.
		if key, err = ssh.ParsePrivateKey([]byte(pem)); err == nil {
			return key, nil
		}
	}
	if err != nil {
		return nil, errors.New("the private key can't be read: it has to be one in PEM, as ssh-keygen writes it")
	}
	return key, nil
}

// keys are what to log in with. The agent is needed until done is called.
func (r *sshRemote) keys(ctx context.Context) (keys []ssh.Signer, done func(), err error) {
	done = func() {}
	switch {
	case r.key != nil:
		return []ssh.Signer{r.key}, done, nil
	case r.agent == "":
		return nil, done, unauthorized(errors.New("there is no key to log in with"))
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", r.agent)
	if err != nil {
		return nil, done, unauthorized(fmt.Errorf("the SSH agent gives no answer: %w", err))
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	done = func() {
		stop()
		_ = conn.Close()
	}
	keys, err = agent.NewClient(conn).Signers()
	if err == nil && len(keys) == 0 {
		err = errors.New("the SSH agent has no keys")
	}
	if err != nil {
		done()
		return nil, func() {}, unauthorized(cause(ctx, err))
	}
	return keys, done, nil
}

func unauthorized(err error) error {
	return &refusal{kind: Unauthorized, err: err,
		hint: "give --git-key-file, or add a key that the server knows to the SSH agent with ssh-add"}
}
