// SPDX-License-Identifier: Apache-2.0

package reconcile

// OpenBeside is Open with the compiled schema of another engine, which takes
// longer to make than all the rest. It shares nothing else.
func OpenBeside(other *Engine, config Config) (*Engine, error) {
	config.Validator = other.validator
	return Open(config)
}

// TextOf is what a request says.
var TextOf = textOf
