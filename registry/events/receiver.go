// SPDX-License-Identifier: Apache-2.0

package events

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/pintle-dev/pintle/registry"
)

const (
	// maxBody bounds the body of a request.
	maxBody = 1 << 20
	// bodyTimeout bounds the time that a body takes to come.
	bodyTimeout = 10 * time.Second
	// atOnce bounds the requests to one endpoint whose bodies are read at the
	// same time, and with them the memory.
	atOnce = 16
	// perSecond and burst bound the requests to one endpoint. distribution tells
	// of each blob by a request of its own, and waits where one is refused.
	perSecond, burst = 50, 200
)

// refusal is an answer to a request that is not taken.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

var (
	errUnknown  = refusal{http.StatusNotFound, "there is nothing here"}
	errMethod   = refusal{http.StatusMethodNotAllowed, "events come by POST"}
	errOverrun  = refusal{http.StatusTooManyRequests, "too many requests: try again later"}
	errType     = refusal{http.StatusUnsupportedMediaType, "the body has to be JSON, and not compressed"}
	errSize     = refusal{http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB"}
	errNumber   = refusal{http.StatusRequestEntityTooLarge, "the request has more than 100 events"}
	errBroken   = refusal{http.StatusBadRequest, "the body did not come whole"}
	errNotJSON  = refusal{http.StatusBadRequest, "the body is not the JSON that this source sends"}
	errTooDeep  = refusal{http.StatusBadRequest, "the JSON is nested too deep"}
	errNoOrigin = refusal{http.StatusBadRequest, "WebHook-Request-Origin is missing, or no name of a host"}
)

// Receiver is the http.Handler of all endpoints. Make it with New.
type Receiver struct {
	doors   atomic.Pointer[doors]
	notify  func([]Hint)
	observe func(source Source, result string)
}

// doors are by hidden path.
type doors map[[sha256.Size]byte]*door

// door is what stands before a route.
type door struct {
	*route

	limit  *rate.Limiter
	places chan struct{}
}

// New makes a receiver. It calls notify, from many requests at once, with the hints
// of each request that has some, before it answers: notify may not wait, so that
// senders do not. Inbox.Put does not.
func New(endpoints []Endpoint, notify func([]Hint)) (*Receiver, error) {
	receiver := &Receiver{notify: notify, observe: func(Source, string) {}}
	return receiver, receiver.Use(endpoints)
}

// Use takes other endpoints in place of those so far; after an error these stay. What
// an endpoint may send does not begin anew.
func (rc *Receiver) Use(endpoints []Endpoint) error {
	var before doors
	if p := rc.doors.Load(); p != nil {
		before = *p
	}
	all := doors{}
	for i, endpoint := range endpoints {
		at := hidden(endpoint.Path)
		route, err := newRoute(endpoint)
		if err == nil && all[at] != nil {
			err = errSamePath
		}
		if err != nil {
			return fmt.Errorf("endpoint %d: %w", i+1, err)
		}
		all[at] = &door{route: route, limit: rate.NewLimiter(perSecond, burst), places: make(chan struct{}, atOnce)}
		if known := before[at]; known != nil {
			all[at].limit, all[at].places = known.limit, known.places
		}
	}
	rc.doors.Store(&all)
	return nil
}

// Observe has each answer told, by who asked (empty where the path is of no endpoint)
// and what came of it, as docs/operations.md lists. It is for before the first request.
func (rc *Receiver) Observe(observe func(source Source, result string)) { rc.observe = observe }

var errSamePath = errors.New("path is that of another endpoint: each needs its own")

// ServeHTTP is part of http.Handler. It answers 202 where there are hints, and 204
// to a genuine event without any, such as a ping or a deletion.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	door, source := (*rc.doors.Load())[hidden(r.URL.Path)], Source("")
	if door != nil {
		source = door.source
	}
	hints, reply, err := receive(w, r, door)
	rc.observe(source, result(hints, err))
	if err != nil {
		refuse(w, err)
		return
	}
	if len(hints) > 0 {
		rc.notify(hints)
	}
	switch {
	case reply != nil:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(reply); err != nil {
			return // the sender has gone
		}
	case len(hints) > 0:
		w.WriteHeader(http.StatusAccepted)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// refusalOf is what an error means to the sender.
func refusalOf(err error) refusal {
	answer := refusal{http.StatusInternalServerError, "the event cannot be read"}
	errors.As(err, &answer)
	return answer
}

// result is the word for what came of a request.
func result(hints []Hint, err error) string {
	switch {
	case err == nil && len(hints) > 0:
		return "taken"
	case err == nil:
		return "no_reason"
	}
	switch refusalOf(err).status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "no_proof"
	case http.StatusNotFound:
		return "no_endpoint"
	case http.StatusTooManyRequests:
		return "too_many"
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusServiceUnavailable:
		return "no_keys"
	default:
		return "malformed"
	}
}

func refuse(w http.ResponseWriter, err error) {
	answer := refusalOf(err)
	switch answer.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="events"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, answer.text, answer.status)
}

// receive does the cheap checks first, and reads no body for those who fail them.
func receive(w http.ResponseWriter, r *http.Request, door *door) (hints []Hint, reply map[string]string, err error) {
	if door == nil {
		return nil, nil, errUnknown
	}
	if r.Method == http.MethodOptions && door.kind.handshake {
		if !door.limit.Allow() {
			return nil, nil, errOverrun
		}
		return nil, nil, consent(w, r)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", door.kind.allow())
		return nil, nil, errMethod
	}
	// Strangers do not use up what the source may send.
	if err := door.proof.headers(r); err != nil {
		return nil, nil, err
	}
	if !door.limit.Allow() {
		return nil, nil, errOverrun
	}
	select {
	case door.places <- struct{}{}:
		defer func() { <-door.places }()
	default:
		return nil, nil, errOverrun
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, nil, err
	}
	if err := door.proof.body(r.Header, body); err != nil {
		return nil, nil, err
	}
	told, err := door.kind.read(message{header: r.Header, body: body, host: door.host})
	return door.hints(told.events), told.reply, err
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if encoding := r.Header.Get("Content-Encoding"); err != nil || encoding != "" && encoding != "identity" ||
		kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return nil, errType
	}
	if r.ContentLength > maxBody {
		return nil, errSize
	}
	// Not every ResponseWriter can; the server's own limits hold then.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, errSize
	}
	if err != nil {
		return nil, errBroken
	}
	return body, nil
}

// hints keeps what names an image of the endpoint's host. A name or tag that the
// grammar does not allow is nothing to look at, and a fault of the source that
// sending again would not heal.
func (rt *route) hints(events []event) []Hint {
	var hints []Hint
	seen := map[Hint]bool{}
	for _, event := range events {
		name := event.image
		if name == "" {
			name = rt.host + "/" + event.repository
		}
		image, err := registry.Canonical(name)
		if err != nil || !strings.HasPrefix(image, rt.host+"/") {
			continue
		}
		hint := Hint{Source: rt.source, Image: image, Below: event.below, Tag: event.tag}
		if ref, err := registry.SplitReference(image + ":" + event.tag); event.tag != "" && (err != nil || ref.Tag != event.tag) {
			continue
		}
		if _, err := registry.SplitReference(image + "@" + event.digest); err == nil {
			hint.Digest = event.digest
		}
		if !seen[hint] {
			seen[hint] = true
			hints = append(hints, hint)
		}
	}
	return hints
}

// origin is a host name, as the handshake has it.
var origin = regexp.MustCompile(`^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$`)

// consent answers the question of a CloudEvents sender whether it may send here.
// It proves nothing of the sender, and gives nothing. Source: "HTTP 1.1 Web Hooks
// for Event Delivery 1.0.2", section 4, https://github.com/cloudevents/spec.
func consent(w http.ResponseWriter, r *http.Request) error {
	asks := r.Header.Get("Webhook-Request-Origin")
	if !origin.MatchString(asks) {
		return errNoOrigin
	}
	w.Header().Set("Allow", http.MethodPost)
	w.Header().Set("Webhook-Allowed-Origin", asks)
	w.Header().Set("Webhook-Allowed-Rate", strconv.Itoa(perSecond*60))
	return nil
}
