// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"net/http"
	"net/url"
	"time"
)

// UseProxy sends a mirror's requests through a proxy, as HTTPS_PROXY does.
func UseProxy(m *Mirror, proxy string) {
	u, err := url.Parse(proxy)
	if err != nil {
		panic(err)
	}
	if r, ok := m.remote.(*httpRemote); ok {
		r.wire.Proxy = http.ProxyURL(u)
	}
}

// Names lists the names in the bytes of a tree.
func Names(tree []byte) ([]string, error) {
	var names []string
	for e, err := range rawEntries(tree) {
		if err != nil {
			return nil, err
		}
		names = append(names, string(e.name))
	}
	return names, nil
}

// KeepFor sets how long a connection over SSH waits for another command.
func KeepFor(m *Mirror, patience time.Duration) {
	if r, ok := m.remote.(*sshRemote); ok {
		r.waiting.patience = patience
	}
}

// IdleFor sets how long a connection over SSH may be silent.
func IdleFor(m *Mirror, idle time.Duration) {
	if r, ok := m.remote.(*sshRemote); ok {
		r.dialer.idle = idle
	}
}

// AnswerWithin sets how long a server over SSH may take for what needs no git.
func AnswerWithin(m *Mirror, patience time.Duration) {
	if r, ok := m.remote.(*sshRemote); ok {
		r.answers = patience
	}
}

// HangUp ends the connections that wait.
func HangUp(m *Mirror) { m.remote.close() }
