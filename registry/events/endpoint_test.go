// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/registry/events"
)

func TestNewChecksEndpoints(t *testing.T) {
	const long = "/x/" + unguessable
	for name, c := range map[string]struct {
		source events.Source
		change func(*events.Endpoint)
		want   string // part of the message; empty: it is taken
	}{
		"an unknown source":         {events.Harbor, func(e *events.Endpoint) { e.Source = "nexus" }, `source "nexus" is unknown: it is one of acr, artifact-registry,`},
		"no path":                   {events.Harbor, func(e *events.Endpoint) { e.Path = "" }, "path has to start with /"},
		"a path without slash":      {events.Harbor, func(e *events.Endpoint) { e.Path = "harbor" }, "path has to start with /"},
		"a path up":                 {events.Harbor, func(e *events.Endpoint) { e.Path = "/a/../b" }, "path has to start with /"},
		"a path with two slashes":   {events.Harbor, func(e *events.Endpoint) { e.Path = "/a//b" }, "path has to start with /"},
		"an escape in a path":       {events.Harbor, func(e *events.Endpoint) { e.Path = "/a%20b" }, "path has to start with /"},
		"no host":                   {events.Harbor, func(e *events.Endpoint) { e.Host = "" }, "host is missing"},
		"a URL as host":             {events.Harbor, func(e *events.Endpoint) { e.Host = "https://x.example.com" }, "is no HOST[:PORT]"},
		"an image as host":          {events.Harbor, func(e *events.Endpoint) { e.Host = "ghcr.io/acme" }, "is no HOST[:PORT]"},
		"a word as host":            {events.Harbor, func(e *events.Endpoint) { e.Host = "registry" }, "is no HOST[:PORT]"},
		"Docker Hub elsewhere":      {events.DockerHub, func(e *events.Endpoint) { e.Host = "quay.io" }, "is not docker.io"},
		"Docker Hub by its name":    {events.DockerHub, func(e *events.Endpoint) { e.Host = "docker.io" }, ""},
		"GitHub Enterprise":         {events.GitHub, func(e *events.Endpoint) { e.Host = "containers.github.example.com" }, ""},
		"no secret":                 {events.Harbor, func(e *events.Endpoint) { e.Secret = "" }, "the secret is missing"},
		"a short secret":            {events.Generic, func(e *events.Endpoint) { e.Secret = "0123456789abcde" }, "less than 16 characters"},
		"no secret, but a path":     {events.Harbor, func(e *events.Endpoint) { e.Secret, e.Path = "", long }, "the secret is missing"},
		"a useless secret":          {events.Quay, func(e *events.Endpoint) { e.Secret = secret }, "quay signs nothing"},
		"a short path":              {events.Quay, func(e *events.Endpoint) { e.Path = "/" + unguessable[:31] }, "at least 32 random characters"},
		"a path of two parts":       {events.DockerHub, func(e *events.Endpoint) { e.Path = "/" + unguessable[:16] + "/" + unguessable[:16] }, "at least 32 random characters"},
		"a path of few letters":     {events.DockerHub, func(e *events.Endpoint) { e.Path = "/" + strings.Repeat("abcdefg", 10) }, "at least 32 random characters"},
		"ACR by its path":           {events.ACR, func(e *events.Endpoint) { e.Secret, e.Path = "", long }, ""},
		"ACR by a short path":       {events.ACR, func(e *events.Endpoint) { e.Secret = "" }, "at least 32 random characters"},
		"a header for GitHub":       {events.GitHub, func(e *events.Endpoint) { e.Header = "X-Other" }, "header is not for github"},
		"no name of a header":       {events.ECR, func(e *events.Endpoint) { e.Header = "X: y" }, "is no name of a header"},
		"an audience for Harbor":    {events.Harbor, func(e *events.Endpoint) { e.Audience = "x" }, "not for harbor"},
		"no audience":               {events.ArtifactRegistry, func(e *events.Endpoint) { e.Audience = "" }, "audience is missing"},
		"no email":                  {events.ArtifactRegistry, func(e *events.Endpoint) { e.Email = "" }, "email is missing"},
		"a secret for Pub/Sub":      {events.ArtifactRegistry, func(e *events.Endpoint) { e.Secret = secret }, "a secret is of no use"},
		"Google's issuer":           {events.ArtifactRegistry, func(*events.Endpoint) {}, ""},
		"an issuer without keys":    {events.ArtifactRegistry, func(e *events.Endpoint) { e.Issuer = "https://x.example.com" }, "issuer and keys go together"},
		"keys in plain HTTP":        {events.ArtifactRegistry, func(e *events.Endpoint) { e.Issuer, e.Keys = "x", "http://x.example.com/keys" }, "keys has to be a URL that starts with https://"},
		"keys with a password":      {events.ArtifactRegistry, func(e *events.Endpoint) { e.Issuer, e.Keys = "x", "https://a:b@x.example.com/" }, "keys has to be a URL that starts with https://"},
		"GitLab's signing token":    {events.GitLab, func(e *events.Endpoint) { e.Secret = standardSecret }, ""},
		"a broken signing token":    {events.GitLab, func(e *events.Endpoint) { e.Secret = "whsec_not base64 at all" }, "no signing token"},
		"a too short signing token": {events.GitLab, func(e *events.Endpoint) { e.Secret = "whsec_MDEyMzQ1Njc4OWFi" }, "no signing token"},
	} {
		e := endpoint(c.source)
		c.change(&e)
		_, err := events.New([]events.Endpoint{e}, func([]events.Hint) {})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "endpoint 1: ") {
			t.Errorf("%s: the error is %v, want endpoint 1: … %s", name, err, c.want)
			continue
		}
		for _, hidden := range []string{e.Secret, e.Path} {
			if len(hidden) > 8 && strings.Contains(err.Error(), hidden) {
				t.Errorf("%s: the error tells a secret: %v", name, err)
			}
		}
	}
	same := []events.Endpoint{endpoint(events.Harbor), endpoint(events.Harbor)}
	if _, err := events.New(same, nil); err == nil || err.Error() != "endpoint 2: path is that of another endpoint: each needs its own" {
		t.Errorf("two with one path: %v", err)
	}
}
