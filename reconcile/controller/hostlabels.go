// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// maxHosts are counted one by one: whoever may write a policy names hosts, and each
	// is kept by who collects the metrics.
	maxHosts = 100
	// keepHost is how long one stays that nobody asks while there are too many.
	keepHost = time.Hour
	// otherHosts stands for those beyond.
	otherHosts = "other"
)

// hostLabels are the registries that are counted one by one. The zero value is ready.
type hostLabels struct {
	mu   sync.Mutex
	used map[string]time.Time // the last time
}

// of is the label for a host. Where that takes the place of an old one, it is gone.
func (h *hostLabels) of(host string, now time.Time) (label, gone string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.used[host]; !known && len(h.used) >= maxHosts {
		for name, used := range h.used {
			if now.Sub(used) > keepHost {
				gone = name
				break
			}
		}
		if gone == "" {
			return otherHosts, ""
		}
		delete(h.used, gone)
	}
	if h.used == nil {
		h.used = map[string]time.Time{}
	}
	h.used[host] = now
	return host, gone
}

// codeLabel is a status, or the class of one that HTTP does not know.
func codeLabel(code int) string {
	if code > 0 && http.StatusText(code) == "" {
		return strconv.Itoa(code/100) + "xx"
	}
	return strconv.Itoa(code)
}
