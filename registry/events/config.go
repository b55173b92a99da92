// SPDX-License-Identifier: Apache-2.0

package events

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxFile bounds the file of endpoints and those with secrets.
	maxFile = 1 << 20
	// maxEndpoints bounds the endpoints of a file.
	maxEndpoints = 1000
)

// Load reads endpoints, and their secrets, from a YAML file as docs/events.md has
// it. Errors name the line.
func Load(file string) ([]Endpoint, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the endpoints: %w", err)
	}
	endpoints, err := parse(text, filepath.Dir(file))
	at := (*lineError)(nil)
	if errors.As(err, &at) {
		return nil, fmt.Errorf("cannot read the endpoints: %s:%d: %w", file, at.line, at.err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the endpoints: %s: %w", file, err)
	}
	return endpoints, nil
}

// lineError is of a line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }

func wrong(at *yaml.Node, format string, args ...any) error {
	return &lineError{at.Line, fmt.Errorf(format, args...)}
}

// parse reads the file. Files with secrets are beside it, in folder.
func parse(text []byte, folder string) ([]Endpoint, error) {
	var document yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: it needs a list under endpoints")
	} else if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file has more than one document")
	}
	root := document.Content[0]
	var list *yaml.Node
	err := eachKey(root, func(key, value *yaml.Node) error {
		if key.Value != "endpoints" {
			return wrong(key, "unknown key %q: the only one here is endpoints", key.Value)
		}
		list = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 || len(list.Content) > maxEndpoints {
		return nil, wrong(root, "endpoints has to be a list of 1 to %d", maxEndpoints)
	}
	var endpoints []Endpoint
	paths := map[string]bool{}
	for _, node := range list.Content {
		endpoint, err := parseEndpoint(node, folder)
		if err != nil {
			return nil, err
		}
		if paths[endpoint.Path] {
			return nil, wrong(node, "%w", errSamePath)
		}
		paths[endpoint.Path] = true
		endpoints = append(endpoints, endpoint)
	}
	return endpoints, nil
}

func parseEndpoint(node *yaml.Node, folder string) (Endpoint, error) {
	var e Endpoint
	var source, secretFile string
	fields := map[string]*string{
		"source": &source, "path": &e.Path, "host": &e.Host, "secretFile": &secretFile, "header": &e.Header,
		"audience": &e.Audience, "email": &e.Email, "issuer": &e.Issuer, "keys": &e.Keys,
	}
	err := eachKey(node, func(key, value *yaml.Node) error {
		field := fields[key.Value]
		switch {
		case field == nil:
			return wrong(key, "unknown key %q: an endpoint has source, path, host, secretFile, header, audience, email, issuer and keys", key.Value)
		case value.Kind != yaml.ScalarNode || value.Tag == "!!null":
			return wrong(value, "%s has to be text", key.Value)
		}
		*field = value.Value
		if key.Value != "secretFile" {
			return nil
		}
		if !filepath.IsAbs(secretFile) {
			secretFile = filepath.Join(folder, secretFile)
		}
		secret, err := readFile(secretFile)
		if err != nil {
			return wrong(value, "cannot read the secret: %w", err)
		}
		e.Secret = strings.TrimRight(string(secret), "\r\n")
		return nil
	})
	if err != nil {
		return e, err
	}
	e.Source = Source(source)
	if source == "" {
		return e, wrong(node, "source is missing: it is one of %s", strings.Join(Sources(), ", "))
	}
	if _, err := newRoute(e); err != nil {
		return e, wrong(node, "%w", err)
	}
	return e, nil
}

// eachKey goes through a mapping, each key of which may be there once.
func eachKey(node *yaml.Node, do func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return wrong(node, "there has to be a mapping here")
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if seen[key.Value] {
			return wrong(key, "%s is there twice", key.Value)
		}
		seen[key.Value] = true
		if err := do(key, value); err != nil {
			return err
		}
	}
	return nil
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than 1 MiB", name)
	}
	return text, err
}
