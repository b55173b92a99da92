// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// handshakeTimeout bounds all from the first byte to the login.
const handshakeTimeout = 30 * time.Second

// sshRemote runs Git's commands on a server, one after the other, on a connection
// that stays for the next one.
type sshRemote struct {
	sshAddress

	dialer  dialer
	known   knownHosts // of this server
	key     ssh.Signer // nil: the agent's
	agent   string
	waiting waitingClient
	answers time.Duration // within which the server answers without git
}

func newSSHRemote(address sshAddress, auth Auth) (*sshRemote, error) {
	r := &sshRemote{sshAddress: address, dialer: dialer{idleTimeout}, agent: auth.SSH.Agent,
		known: parseKnownHosts(auth.SSH.KnownHosts).of(address.host, address.port), waiting: waitingClient{patience: keepTimeout}, answers: answerTimeout}
	if r.user == "" {
		r.user = sshUser
	}
	if auth.SSH.PrivateKey == "" {
		return r, nil
	}
	var err error
	r.key, err = parsePrivateKey(auth.SSH.PrivateKey, auth.SSH.Passphrase)
	return r, err
}

func (r *sshRemote) close() { hangUp(r.waiting.take()) }

// connect logs in at the server, if its key is known.
func (r *sshRemote) connect(ctx context.Context) (*ssh.Client, error) {
	algorithms := r.known.algorithms()
	if len(algorithms) == 0 {
		return nil, r.unknownHost()
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	keys, done, err := r.keys(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := r.dialer.DialContext(ctx, "tcp", r.hostPort())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, r.hostPort(), &ssh.ClientConfig{
		User:              r.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(keys...)},
		HostKeyCallback:   r.known.check,
		HostKeyAlgorithms: algorithms,
		ClientVersion:     "SSH-2.0-Pintle",
	})
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, r.explainHandshake(err)
	}
	return ssh.NewClient(c, channels, requests), nil
}

func (r *sshRemote) unknownHost() error {
	command := "ssh-keyscan " + r.host
	if r.port != sshPort {
		command = "ssh-keyscan -p " + r.port + " " + r.host
	}
	return &refusal{kind: HostKeyUnknown, err: fmt.Errorf("known_hosts has no key of the server %s", r.hostPort()),
		hint: fmt.Sprintf("compare what `%s` prints with what the server's owner publishes, and add it to known_hosts", command)}
}

// explainHandshake tells apart why there is no connection.
func (r *sshRemote) explainHandshake(err error) error {
	choice, ok := errors.AsType[*ssh.AlgorithmNegotiationError](err)
	switch {
	case ok && strings.Contains(choice.What, "host key"):
		return &refusal{kind: HostKeyChanged, hint: changedHint,
			err: fmt.Errorf("the server has none of the kinds of keys that known_hosts has of it, but %s", oneLine(strings.Join(choice.RequestedAlgorithms, ", ")))}
	case strings.Contains(err.Error(), "ssh: unable to authenticate"): // it has no type
		return unauthorized(fmt.Errorf("the server takes none of the keys for the user %s", r.user))
	}
	return err
}

func (r *sshRemote) advertise(ctx context.Context) (*packp.AdvRefs, error) {
	s, refs, err := r.start(ctx, transport.UploadPackServiceName)
	if err != nil {
		return nil, err
	}
	_, _ = s.in.Write(pktline.FlushPkt) // nothing is wanted
	s.finish()
	return refs, nil
}

func (r *sshRemote) upload(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, *packp.UploadPackResponse, error) {
	s, _, err := r.start(ctx, transport.UploadPackServiceName)
	if err != nil {
		return nil, nil, err
	}
	res, err := s.upload(req)
	if err != nil {
		err = s.explain(err)
		s.close()
		return nil, nil, err
	}
	return &sessionBody{Reader: res, session: s}, res, nil
}

func (s *sshSession) upload(req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	var in bytes.Buffer
	if err := encodeUpload(&in, req); err != nil {
		return nil, err
	}
	if _, err := s.in.Write(in.Bytes()); err != nil {
		return nil, err
	}
	res := packp.NewUploadPackResponse(req)
	return res, res.Decode(io.NopCloser(s.out))
}

func (r *sshRemote) receive(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	s, _, err := r.start(ctx, transport.ReceivePackServiceName)
	if err != nil {
		return nil, err
	}
	if err := req.Encode(s.in); err != nil {
		defer s.close()
		return nil, s.explain(err)
	}
	report, err := decodeReport(req, s.out)
	if report == nil {
		defer s.close()
		return nil, s.explain(err)
	}
	// The server's hooks go on, and would be cut off in their words.
	_, _ = io.Copy(io.Discard, s.out)
	s.finish()
	return report, err
}
