// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// quiet is how long work may take before a progress line appears.
const quiet = 2 * time.Second

// Progress shows on w, which must be a terminal, that work goes on and for how
// long: nothing for the first two seconds, then one line that counts seconds.
// The line is wiped by the returned function, which must be called, and which
// returns when nothing more will be written.
func Progress(w io.Writer, doing string) (stop func()) {
	started := time.Now()
	done := make(chan struct{})
	var finished sync.WaitGroup
	finished.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		shown := false
		for {
			select {
			case <-done:
				if shown {
					show(w, "")
				}
				return
			case <-ticker.C:
				if taken := time.Since(started); taken >= quiet {
					show(w, fmt.Sprintf("%s… %d s", doing, int(taken.Seconds())))
					shown = true
				}
			}
		}
	})
	return sync.OnceFunc(func() {
		close(done)
		finished.Wait()
	})
}

// show replaces the line. A terminal that has gone away is no reason to stop.
func show(w io.Writer, line string) {
	_, _ = io.WriteString(w, "\r\x1b[K"+line)
}
