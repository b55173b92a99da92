// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/credentials"
)

// trouble are the errors of Secrets that are as people make them.
func trouble(t *testing.T) string {
	t.Helper()
	var said strings.Builder
	note := func(err error) {
		t.Helper()
		if err == nil {
			t.Fatal("got no error")
		}
		fmt.Fprintln(&said, err)
	}
	var many []string
	for i := range 33 {
		many = append(many, fmt.Sprintf("pull-%d", i))
	}
	for _, api := range []credentials.Getter{
		cluster(),
		failing{apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "pull", errors.New("no"))},
		failing{errors.New("no")},
		cluster(opaque("pull", nil)),
		cluster(pullSecret("pull", `{"ghcr.io":{},"quay.io":{"auth":"!"}}`)),
		cluster(pullSecret("pull", `{"ghcr.io":{}}`)),
	} {
		_, err := credentials.Registry(t.Context(), api, "prod", pull())
		note(err)
	}
	_, err := credentials.Registry(t.Context(), cluster(account("default", many...)), "prod", &v1alpha1.RegistryAccess{ServiceAccountName: "default"})
	note(err)
	const key = "-----BEGIN PRIVATE KEY-----\nbTRya2Vy\n-----END PRIVATE KEY-----\n"
	for _, data := range []map[string]string{
		{"username": "pintle"}, {"githubAppID": "7"}, {"token": "t"}, {corev1.SSHAuthPrivateKey: "k"}, {"password": "t", "ca.crt": "x"}, {"password": "t", "ca.crt": key},
	} {
		_, err := credentials.Git(t.Context(), cluster(opaque("git", data)), "prod", webURL, git())
		note(err)
	}
	for _, data := range []map[string]string{{"password": "t"}, {"identity": "k"}} {
		_, err := credentials.Git(t.Context(), cluster(opaque("git", data)), "prod", sshURL, git())
		note(err)
	}
	return said.String()
}

// The errors that docs/credentials.md explains are those that are said.
func TestPageExplainsErrors(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "credentials.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n## What errors say\n")
	section, _, _ := strings.Cut(rest, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1)
	said := trouble(t)
	if got, want := len(rows), strings.Count(said, "\n"); got != want {
		t.Errorf("%d errors are explained, of %d", got, want)
	}
	for _, row := range rows {
		if !strings.Contains(said, row[1]) {
			t.Errorf("nothing says %q any more", row[1])
		}
	}
}
