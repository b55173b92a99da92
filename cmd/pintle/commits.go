// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/signing"
	"github.com/pintle-dev/pintle/reconcile"
)

// commitFlags say how commits look, as spec.commit does in a cluster. Nothing in the
// repository can.
type commitFlags struct {
	author, grouping, template             string
	signingKey, passphraseFile, trustedKey string
	writes                                 bool
}

// bindTrusted is for each command that reads the ledger.
func (c *commitFlags) bindTrusted(flags *pflag.FlagSet) {
	flags.StringVar(&c.trustedKey, "trusted-keys", "", "`file` with public keys, OpenPGP or SSH: entries count only if one of them signed them, or the key that signs")
}

// bindGrouping is for those that move many policies, or show what would be.
func (c *commitFlags) bindGrouping(flags *pflag.FlagSet) {
	flags.StringVar(&c.grouping, "grouping", string(reconcile.ByImage), "what one commit holds: Image, Policy or All")
}

// bindTemplate is for those that make commits, or show what they would be.
func (c *commitFlags) bindTemplate(flags *pflag.FlagSet) {
	flags.StringVar(&c.template, "message-template", "", "`file` with a text/template of the commit messages")
}

// bindMaking is for those that make commits.
func (c *commitFlags) bindMaking(flags *pflag.FlagSet) {
	c.writes = true
	flags.StringVar(&c.author, "author", "", "`'NAME <E-MAIL>'` of the commits (default: Pintle <noreply@pintle.dev>)")
	flags.StringVar(&c.signingKey, "signing-key", "", "`file` with the private key that signs the commits, OpenPGP in ASCII armour or of ssh-keygen")
	flags.StringVar(&c.passphraseFile, "signing-passphrase-file", "", "file with the passphrase of --signing-key")
}

// commits is what the flags say.
func (c *commitFlags) commits() (commits reconcile.Commits, err error) {
	commits.Grouping = reconcile.Grouping(c.grouping)
	if !slices.Contains([]reconcile.Grouping{"", reconcile.ByImage, reconcile.ByPolicy, reconcile.AllInOne}, commits.Grouping) {
		return commits, usageError{fmt.Errorf("--grouping is %q: it must be Image, Policy or All", c.grouping)}
	}
	if c.author != "" {
		author, err := mail.ParseAddress(c.author)
		if err != nil || author.Name == "" || strings.ContainsFunc(author.Name, func(r rune) bool { return unicode.IsControl(r) || r == '<' || r == '>' }) {
			return commits, usageError{fmt.Errorf("--author is %q: write it as in 'Fleet Bot <bot@example.com>'", c.author)}
		}
		commits.Author = reconcile.Signature{Name: author.Name, Email: author.Address}
	}
	if c.template != "" {
		text, err := readSmall(c.template)
		if err != nil {
			return commits, usageError{fmt.Errorf("--message-template: %w", err)}
		}
		if commits.Template, err = gitwriter.NewTemplate(string(text)); err != nil {
			return commits, usageError{fmt.Errorf("--message-template: the template %w", err)}
		}
	}
	commits.Keys, err = c.keys()
	return commits, err
}

// keys are those of the flags, or nil.
func (c *commitFlags) keys() (*signing.Keys, error) {
	if c.signingKey == "" && c.trustedKey == "" {
		if c.passphraseFile != "" {
			return nil, usageError{errors.New("--signing-passphrase-file is of no use without --signing-key")}
		}
		return nil, nil //nolint:nilnil // commits are not signed, and that is well
	}
	keys := &signing.Keys{}
	if c.trustedKey != "" {
		text, err := readSmall(c.trustedKey)
		if err != nil {
			return nil, usageError{fmt.Errorf("--trusted-keys: %w", err)}
		}
		if keys.Others, err = signing.NewTrusted(text); err != nil {
			return nil, usageError{fmt.Errorf("--trusted-keys: they %w", err)}
		}
	}
	if c.signingKey == "" {
		if c.writes {
			return nil, usageError{errors.New("--trusted-keys needs --signing-key here: what is written without would not count")}
		}
		return keys, nil
	}
	passphrase := ""
	if c.passphraseFile != "" {
		text, err := readSmall(c.passphraseFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--signing-passphrase-file: %w", err)}
		}
		passphrase, _, _ = strings.Cut(string(text), "\n")
		passphrase = strings.TrimSuffix(passphrase, "\r")
	}
	private, err := readSmall(c.signingKey)
	if err != nil {
		return nil, usageError{fmt.Errorf("--signing-key: %w", err)}
	}
	if keys.Own, err = signing.NewKey(private, []byte(passphrase)); err != nil {
		return nil, usageError{fmt.Errorf("--signing-key: the key %w", err)}
	}
	return keys, nil
}

// readSmall reads a file that can't be meant if it is large.
func readSmall(path string) ([]byte, error) {
	const most = 1 << 20
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && len(content) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return content, errors.Join(err, file.Close())
}
