// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/pintle-dev/pintle/registry"
)

// registryFlags are what an operator says of registries, to all commands that ask some.
type registryFlags struct {
	mirrors []string
	private []string
}

func (r *registryFlags) bind(flags *pflag.FlagSet) {
	flags.StringArrayVar(&r.mirrors, "registry-mirror", nil, "`HOST=MIRROR[/PREFIX]`: ask the mirror for the images of a registry, under their own names (repeatable)")
	flags.StringArrayVar(&r.private, "allow-private", nil, "registry `HOST[:PORT]`, or range of addresses, that may be at a private address in a cluster (repeatable)")
}

// asking is how registries are asked.
func (r *registryFlags) asking() (asking registry.Options, err error) {
	if asking.Mirrors, err = registry.ParseMirrors(r.mirrors); err != nil {
		return asking, usageError{fmt.Errorf("--registry-mirror %w", err)}
	}
	if asking.AllowPrivate, err = registry.ParsePrivate(r.private); err != nil {
		return asking, usageError{fmt.Errorf("--allow-private %w", err)}
	}
	asking.InCluster = os.Getenv("KUBERNETES_SERVICE_HOST") != "" // Kubernetes sets it in each container
	return asking, nil
}
