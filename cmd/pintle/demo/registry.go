// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// imageRegistry is a registry in memory on a free port of 127.0.0.1.
type imageRegistry struct {
	host   string // 127.0.0.1:PORT
	server *http.Server
}

func startRegistry(ctx context.Context) (*imageRegistry, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot start a registry: %w", err)
	}
	server := &http.Server{
		Handler:           registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: time.Minute,
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Printf("the registry of the demo has stopped: %v", err)
		}
	}()
	return &imageRegistry{host: listener.Addr().String(), server: server}, nil
}

func (r *imageRegistry) close() error { return r.server.Close() }

// image is the repository that the story is about.
func (r *imageRegistry) image() string { return r.host + "/acme/podinfo" }

// push publishes an image that differs from every other by its version, and
// returns its digest.
func (r *imageRegistry) push(ctx context.Context, tag string) (string, error) {
	reference, err := name.NewTag(r.image()+":"+tag, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("cannot push %s: %w", tag, err)
	}
	image, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"org.opencontainers.image.version": tag}})
	if err != nil {
		return "", fmt.Errorf("cannot make the image %s: %w", tag, err)
	}
	if err := remote.Write(reference, image, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("cannot push %s: %w", reference, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("cannot make the image %s: %w", tag, err)
	}
	return digest.String(), nil
}
