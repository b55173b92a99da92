// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/oauth2"
	googleauth "golang.org/x/oauth2/google"
)

// googleHost is a host of Artifact Registry, LOCATION-docker.pkg.dev, or one of the four
// of gcr.io:
// https://cloud.google.com/artifact-registry/docs/docker/names
// https://cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo
var googleHost = regexp.MustCompile(`^(?:[a-z][a-z0-9-]{1,40}-docker\.pkg\.dev|(?:us\.|eu\.|asia\.)?gcr\.io)$`)

const (
	// cloudPlatform is the scope of the tokens; what they open is up to the roles:
	// https://cloud.google.com/artifact-registry/docs/access-control
	cloudPlatform = "https://www.googleapis.com/auth/cloud-platform"
	// tokenUser is for access tokens:
	// https://cloud.google.com/artifact-registry/docs/docker/authentication#token
	tokenUser = "oauth2accesstoken"
)

// google is Google Artifact Registry. A login is for all of it.
func google() cloud {
	return cloud{
		flag: "gar", name: "Google Artifact Registry",
		realm: func(host string) string {
			if !googleHost.MatchString(host) {
				return ""
			}
			return "all"
		},
		logIn: logInToGoogle,
		explain: func(err error) string {
			if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response != nil {
				return fmt.Sprintf("Google answers %d %s", answer.Response.StatusCode, http.StatusText(answer.Response.StatusCode))
			}
			return ""
		},
	}
}

// logInToGoogle looks for the identity anew each time: go-containerregistry's keychain
// looks once, and stays without one if the metadata service was late.
func logInToGoogle(ctx context.Context, _ string) (*login, error) {
	found, err := googleauth.FindDefaultCredentials(ctx, cloudPlatform)
	if err != nil {
		return nil, err
	}
	token, err := found.TokenSource.Token()
	if err != nil {
		return nil, err
	}
	return &login{authn.AuthConfig{Username: tokenUser, Password: token.AccessToken}, token.Expiry}, nil
}
