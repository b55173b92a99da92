// SPDX-License-Identifier: Apache-2.0

package events

import (
	"encoding/json"
	"mime"
	"strings"
)

// pushed is a message in Pintle's own form.
type pushed struct {
	Image  string `json:"image"`
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
}

func (p pushed) event() event { return event{image: p.Image, tag: p.Tag, digest: p.Digest} }

// readGeneric. Source: docs/events.md.
func readGeneric(m message) (told, error) {
	var payload pushed
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	if payload.Image == "" {
		return told{}, errNotJSON
	}
	return one(payload.event())
}

// ownType is the type of Pintle's own form as a CloudEvent.
const ownType = "dev.pintle.image.pushed"

// cloudEvent is one in the JSON format.
type cloudEvent struct {
	SpecVersion string          `json:"specversion"`
	Type        string          `json:"type"`
	Data        json.RawMessage `json:"data"`
	DataBase64  []byte          `json:"data_base64"`
}

// readCloudEvents takes Pintle's own type, and those of registries, whose events
// may come through a broker. Source: "HTTP Protocol Binding for CloudEvents 1.0.2",
// https://github.com/cloudevents/spec, section 3: structured, batched and binary.
func readCloudEvents(m message) (told, error) {
	var batch []cloudEvent
	switch mode(m.header.Get("Content-Type")) {
	case batched:
		if err := decode(m.body, &batch); err != nil {
			return told{}, err
		}
	case structured:
		batch = make([]cloudEvent, 1)
		if err := decode(m.body, &batch[0]); err != nil {
			return told{}, err
		}
	case binary:
		batch = []cloudEvent{{SpecVersion: m.header.Get("Ce-Specversion"), Type: m.header.Get("Ce-Type"), Data: m.body}}
	}
	if len(batch) > maxEvents {
		return told{}, errNumber
	}
	var result told
	for _, e := range batch {
		if e.SpecVersion != "1.0" {
			return told{}, errNotJSON
		}
		events, err := e.events(m.host)
		if err != nil {
			return told{}, err
		}
		result.events = append(result.events, events...)
	}
	if len(result.events) > maxEvents {
		return told{}, errNumber
	}
	return result, nil
}

func (e cloudEvent) events(host string) ([]event, error) {
	data := []byte(e.Data)
	if len(data) == 0 {
		data = e.DataBase64
	}
	switch e.Type {
	case ownType:
		own, err := readGeneric(message{body: data})
		return own.events, err
	case harborCloudPush:
		var push harborPush
		if err := decode(data, &push); err != nil {
			return nil, err
		}
		result, err := push.told()
		return result.events, err
	case gridPush:
		var push acrPush
		err := decode(data, &push)
		return push.events(host), err
	}
	return nil, nil
}

// The content modes of CloudEvents over HTTP.
const (
	binary = iota
	structured
	batched
)

func mode(contentType string) int {
	kind, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && strings.HasPrefix(kind, "application/cloudevents-batch"):
		return batched
	case err == nil && strings.HasPrefix(kind, "application/cloudevents"):
		return structured
	}
	return binary
}
