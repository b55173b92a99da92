// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Getter reads one object; the API reader of a controller-runtime manager is one.
// Its caching client would list and watch, which Pintle has no right to.
type Getter interface {
	Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error
}

// reader reads the objects of one namespace.
type reader struct {
	getter    Getter
	namespace string
}

// found is a Secret that was read, and what named it.
type found struct {
	*corev1.Secret

	field string
}

func (r reader) secret(ctx context.Context, field, name string) (found, error) {
	secret := &corev1.Secret{}
	if err := r.getter.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}, secret); err != nil {
		return found{}, r.failed("Secret", field, name, err)
	}
	s := found{Secret: secret, field: field}
	// The names are those that were asked for, whatever comes back.
	s.Namespace, s.Name = r.namespace, name
	size := 0
	for _, value := range s.Data {
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		return found{}, s.invalid(errors.New("it is larger than a Secret may be"))
	}
	return s, nil
}

func (r reader) serviceAccount(ctx context.Context, field, name string) (*corev1.ServiceAccount, error) {
	account := &corev1.ServiceAccount{}
	if err := r.getter.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}, account); err != nil {
		return nil, r.failed("ServiceAccount", field, name, err)
	}
	return account, nil
}

func (r reader) failed(kind, field, name string, err error) error {
	reason, cause := explain(err)
	return &Error{Namespace: r.namespace, Kind: kind, Name: name, Field: field, Reason: reason, Err: cause}
}

// invalid says what is wrong with a Secret. Nothing of its data may be in err.
func (s found) invalid(err error) error {
	return &Error{Namespace: s.Namespace, Kind: "Secret", Name: s.Name, Field: s.field, Reason: Invalid, Err: err}
}
