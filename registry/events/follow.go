// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"slices"
	"time"
)

// readEvery is how often the files of the endpoints are read: a Secret that is mounted
// takes longer to change.
const readEvery = 10 * time.Second

// Follow reads the file of the endpoints and those with secrets again and again, until
// the context ends, and takes what changed. While they can't be read, it goes on with
// what it has, and complains once.
func (rc *Receiver) Follow(ctx context.Context, file string, complain func(error)) {
	var used []Endpoint
	said := ""
	for {
		endpoints, err := Load(file)
		if err == nil && !slices.Equal(endpoints, used) {
			err, used = rc.Use(endpoints), endpoints
		}
		switch {
		case err == nil:
			said = ""
		case err.Error() != said:
			said = err.Error()
			complain(err)
		}
		select {
		case <-time.After(readEvery):
		case <-ctx.Done():
			return
		}
	}
}
