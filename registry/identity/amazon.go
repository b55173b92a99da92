// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/smithy-go"
	"github.com/google/go-containerregistry/pkg/authn"
)

// ecrHost has the account, -fips, the region and the partition of a private registry.
// It is the pattern of github.com/awslabs/amazon-ecr-credential-helper
// (ecr-login/api/client.go, v0.12.0), in lower case and without the partitions that
// are cut off from the internet. public.ecr.aws wants no login.
var ecrHost = regexp.MustCompile(`^([0-9]{12})\.dkr[.-]ecr(-fips)?\.([a-z]{2}[a-z0-9-]{3,30})\.(amazonaws\.(?:com(?:\.cn)?|eu)|on\.(?:aws|amazonwebservices\.com\.cn))$`)

// amazon is Amazon ECR. A login is for all registries of a region that the identity
// may use, for 12 hours:
// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
func amazon() cloud {
	return cloud{
		flag: "ecr", name: "Amazon ECR",
		realm: func(host string) string {
			parts := ecrHost.FindStringSubmatch(host)
			if parts == nil {
				return ""
			}
			return strings.Join(parts[2:], " ")
		},
		logIn: logInToECR,
		explain: func(err error) string {
			if answer, ok := errors.AsType[smithy.APIError](err); ok {
				return fmt.Sprintf("AWS answers %q", answer.ErrorCode())
			}
			return ""
		},
	}
}

func logInToECR(ctx context.Context, host string) (*login, error) {
	parts := ecrHost.FindStringSubmatch(host)
	options := []func(*config.LoadOptions) error{config.WithRegion(parts[3])}
	if parts[2] != "" {
		options = append(options, config.WithUseFIPSEndpoint(aws.FIPSEndpointStateEnabled))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	answer, err := ecr.NewFromConfig(loaded).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return nil, err
	}
	if len(answer.AuthorizationData) != 1 {
		return nil, fmt.Errorf("the answer has %d logins", len(answer.AuthorizationData))
	}
	data := answer.AuthorizationData[0]
	decoded, err := base64.StdEncoding.DecodeString(aws.ToString(data.AuthorizationToken))
	user, password, found := strings.Cut(string(decoded), ":")
	if err != nil || !found {
		return nil, errors.New("the answer has no login")
	}
	return &login{authn.AuthConfig{Username: user, Password: password}, aws.ToTime(data.ExpiresAt)}, nil
}
