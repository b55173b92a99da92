// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/pintle-dev/pintle/registry"
	"github.com/pintle-dev/pintle/registry/identity"
)

// registryFlags are what an operator says of registries, to all commands that ask some.
type registryFlags struct {
	mirrors []string
	private []string
	clouds  []string
}

func (r *registryFlags) bind(flags *pflag.FlagSet) {
	flags.StringArrayVar(&r.mirrors, "registry-mirror", nil, "`HOST=MIRROR[/PREFIX]`: ask the mirror for the images of a registry, under their own names (repeatable)")
	flags.StringArrayVar(&r.private, "allow-private", nil, "registry `HOST[:PORT]`, or range of addresses, that may be at a private address in a cluster (repeatable)")
	flags.StringSliceVar(&r.clouds, "cloud-identity", nil, "log in to the registries of these `clouds` (ecr, gar, acr) with the identity that this machine has there, where there is no other login")
}

// asking is how registries are asked.
func (r *registryFlags) asking() (asking registry.Options, err error) {
	if asking.Mirrors, err = registry.ParseMirrors(r.mirrors); err != nil {
		return asking, usageError{fmt.Errorf("--registry-mirror %w", err)}
	}
	if asking.AllowPrivate, err = registry.ParsePrivate(r.private); err != nil {
		return asking, usageError{fmt.Errorf("--allow-private %w", err)}
	}
	if len(r.clouds) > 0 {
		if asking.Ambient, err = identity.New(r.clouds); err != nil {
			return asking, usageError{fmt.Errorf("--cloud-identity %w", err)}
		}
	}
	asking.InCluster = os.Getenv("KUBERNETES_SERVICE_HOST") != "" // Kubernetes sets it in each container
	return asking, nil
}
