// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/containers/azcontainerregistry"
	"github.com/google/go-containerregistry/pkg/authn"
)

// acrHost is NAME.azurecr.io, and the same in China and for the US government. A name
// has 5 to 50 letters and digits, and a label of the domain behind a dash if that is
// wanted:
// https://learn.microsoft.com/azure/container-registry/container-registry-get-started-azure-cli
// https://learn.microsoft.com/azure/container-registry/container-registry-concepts
var acrHost = regexp.MustCompile(`^[a-z0-9]{5,50}(?:-[a-z0-9]{1,40})?\.azurecr\.(?:io|cn|us)$`)

const (
	// acrScope is what an identity asks a token for, that a registry takes.
	acrScope = "https://containerregistry.azure.net/.default"
	// acrLife is less than the three hours for which a registry's refresh token is good:
	// https://learn.microsoft.com/azure/container-registry/container-registry-authentication
	acrLife = 2 * time.Hour
)

// azure is Azure Container Registry. A login is for one registry.
func azure() cloud {
	return cloud{
		flag: "acr", name: "Azure Container Registry",
		realm: func(host string) string { return acrHost.FindString(host) },
		logIn: logInToACR,
		explain: func(err error) string {
			answer, ok := errors.AsType[*azcore.ResponseError](err)
			refusal, failed := errors.AsType[*azidentity.AuthenticationFailedError](err)
			switch {
			case ok:
				return fmt.Sprintf("Azure answers %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
			case failed && refusal.RawResponse != nil:
				return fmt.Sprintf("Microsoft Entra answers %d %s", refusal.RawResponse.StatusCode, http.StatusText(refusal.RawResponse.StatusCode))
			}
			return ""
		},
	}
}

// logInToACR gives the identity's token to the registry, for a refresh token of its own:
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
func logInToACR(ctx context.Context, host string) (*login, error) {
	identity, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, err
	}
	token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{acrScope}})
	if err != nil {
		return nil, err
	}
	client, err := azcontainerregistry.NewAuthenticationClient("https://"+host, nil)
	if err != nil {
		return nil, err
	}
	asked := time.Now()
	answer, err := client.ExchangeAADAccessTokenForACRRefreshToken(ctx, azcontainerregistry.PostContentSchemaGrantTypeAccessToken, host,
		&azcontainerregistry.AuthenticationClientExchangeAADAccessTokenForACRRefreshTokenOptions{AccessToken: &token.Token})
	if err != nil {
		return nil, err
	}
	if answer.RefreshToken == nil {
		return nil, errors.New("the answer has no token")
	}
	return &login{authn.AuthConfig{IdentityToken: *answer.RefreshToken}, asked.Add(acrLife)}, nil
}
