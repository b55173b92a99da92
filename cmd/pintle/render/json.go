// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"unicode"
)

// JSON writes a value as indented JSON with a final newline. Lists that hold
// nothing are written as [], never as null. Control characters beyond those
// that JSON forbids are escaped too, so that the output is safe to look at.
func JSON(w io.Writer, value any) error {
	return writeJSON(w, value, "  ")
}

// JSONLine is JSON on one line.
func JSONLine(w io.Writer, value any) error {
	return writeJSON(w, value, "")
}

func writeJSON(w io.Writer, value any, indent string) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(withEmptyLists(reflect.ValueOf(value)).Interface()); err != nil {
		return fmt.Errorf("cannot write JSON: %w", err)
	}
	if _, err := w.Write(escapeInvisible(text.Bytes())); err != nil {
		return fmt.Errorf("cannot write JSON: %w", err)
	}
	return nil
}

// escapeInvisible writes characters that may steer a terminal as \uXXXX. They
// can only stand inside strings, where this changes nothing for a parser.
func escapeInvisible(text []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(text))
	for _, r := range string(text) {
		if r > unicode.MaxASCII && r <= 0xFFFF && !unicode.IsPrint(r) || r == 0x7F {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.Bytes()
}

// withEmptyLists is a copy of the value in which every nil list that JSON
// would show is an empty one. Maps are left as they are.
func withEmptyLists(value reflect.Value) reflect.Value {
	switch value.Kind() {
	case reflect.Pointer:
		if value.IsNil() {
			return value
		}
		pointer := reflect.New(value.Type().Elem())
		pointer.Elem().Set(withEmptyLists(value.Elem()))
		return pointer
	case reflect.Interface:
		if value.IsNil() {
			return value
		}
		return withEmptyLists(value.Elem())
	case reflect.Struct:
		filled := reflect.New(value.Type()).Elem()
		filled.Set(value)
		for field := range value.NumField() {
			if info := value.Type().Field(field); info.IsExported() && info.Tag.Get("json") != "-" {
				filled.Field(field).Set(withEmptyLists(value.Field(field)))
			}
		}
		return filled
	case reflect.Slice:
		list := reflect.MakeSlice(value.Type(), value.Len(), value.Len())
		for i := range value.Len() {
			list.Index(i).Set(withEmptyLists(value.Index(i)))
		}
		return list
	default:
		return value
	}
}
