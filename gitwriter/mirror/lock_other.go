// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package mirror

import (
	"errors"
	"os"
)

// lock fails: two processes could not be kept apart.
func lock(*os.File) error { return errors.New("this system can't lock files as Unix does") }
