// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"errors"
	"fmt"
	"net"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Reason says what a caller can do about an [Error].
type Reason string

// The reasons of an [Error]. Unavailable is worth another try; the others stay
// until somebody changes something.
const (
	NotFound    Reason = "NotFound"    // there is no such object
	Forbidden   Reason = "Forbidden"   // Pintle may not read it
	Invalid     Reason = "Invalid"     // it does not hold what it should
	Unavailable Reason = "Unavailable" // the Kubernetes API gives no answer, or not now
)

// Error says why an object gives no login.
type Error struct {
	Namespace string
	Kind      string // "Secret" or "ServiceAccount"
	Name      string
	// Field is what names the object, such as "spec.registry.secretRef".
	Field  string
	Reason Reason
	// Err is the cause where Reason does not say it all: of Invalid and
	// Unavailable. Its text repeats nothing that a Secret holds.
	Err error
}

func (e *Error) Error() string {
	object := fmt.Sprintf("%s %s/%s, which %s names", e.Kind, e.Namespace, e.Name, e.Field)
	switch e.Reason {
	case NotFound:
		return fmt.Sprintf("cannot read %s: it does not exist: create it, or name another", object)
	case Forbidden:
		return fmt.Sprintf("cannot read %s: Pintle may not read %ss in the namespace %s: bind the ClusterRole pintle-credentials there: "+
			"kubectl create rolebinding pintle-credentials --namespace %s --clusterrole pintle-credentials --serviceaccount pintle-system:pintle-controller",
			object, e.Kind, e.Namespace, e.Namespace)
	case Invalid:
		return fmt.Sprintf("cannot use %s: %v", object, e.Err)
	default:
		return fmt.Sprintf("cannot read %s: %v", object, e.Err)
	}
}

func (e *Error) Unwrap() error { return e.Err }

// explain gives the reason of an error that the Kubernetes API or the way to it
// made.
func explain(err error) (Reason, error) {
	switch {
	case apierrors.IsNotFound(err):
		return NotFound, nil
	case apierrors.IsForbidden(err):
		return Forbidden, nil
	}
	// The text of other errors is not repeated: a decoder's may quote what it read.
	text := "the Kubernetes API gives no answer"
	var network *net.OpError
	switch said := apierrors.ReasonForError(err); {
	case errors.Is(err, context.Canceled):
		text = "the question was given up"
	case errors.Is(err, context.DeadlineExceeded):
		text += " in time"
	case said != "":
		text = fmt.Sprintf("the Kubernetes API answers %s", said)
	case errors.As(err, &network):
		text += ": " + network.Error()
	}
	return Unavailable, &quiet{text: text, cause: err}
}

// quiet has the cause for errors.Is, and a text of its own.
type quiet struct {
	text  string
	cause error
}

func (q *quiet) Error() string { return q.text }
func (q *quiet) Unwrap() error { return q.cause }
