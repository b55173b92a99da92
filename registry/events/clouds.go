// SPDX-License-Identifier: Apache-2.0

package events

import (
	"bytes"
	"regexp"

	"github.com/pintle-dev/pintle/registry"
)

// acrPush is in ACR's own webhooks and in Event Grid's events.
type acrPush struct {
	Action string `json:"action"`
	Target struct {
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"target"`
	Request struct {
		Host string `json:"host"`
	} `json:"request"`
}

// The types of Event Grid's events that mean something here.
const (
	gridPush       = "Microsoft.ContainerRegistry.ImagePushed"
	gridValidation = "Microsoft.EventGrid.SubscriptionValidationEvent"
	// maxCode bounds the code that is sent back to Event Grid.
	maxCode = 256
)

// readACR takes ACR's webhooks, and Event Grid's events in both of its schemas.
// Sources: Microsoft, "Azure Container Registry webhook reference",
// https://learn.microsoft.com/azure/container-registry/container-registry-webhook-reference,
// "Azure Container Registry as an Event Grid source",
// https://learn.microsoft.com/azure/event-grid/event-schema-container-registry, and
// "Endpoint validation with Event Grid event schema",
// https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema.
// The validation's code is sent back; its validationUrl is never called.
func readACR(m message) (told, error) {
	type grid struct {
		acrPush

		EventType string `json:"eventType"` // of the Event Grid schema
		Type      string `json:"type"`      // of CloudEvents
		Data      struct {
			acrPush

			ValidationCode string `json:"validationCode"`
		} `json:"data"`
	}
	var batch []grid
	if trimmed := bytes.TrimLeft(m.body, " \t\r\n"); bytes.HasPrefix(trimmed, []byte("[")) {
		if err := decode(m.body, &batch); err != nil {
			return told{}, err
		}
	} else {
		batch = make([]grid, 1)
		if err := decode(m.body, &batch[0]); err != nil {
			return told{}, err
		}
	}
	if len(batch) > maxEvents {
		return told{}, errNumber
	}
	var result told
	for _, e := range batch {
		code := e.Data.ValidationCode
		switch {
		case e.EventType == gridValidation && code != "" && len(code) <= maxCode:
			result.reply = map[string]string{"validationResponse": code}
		case e.EventType == gridPush || e.Type == gridPush:
			result.events = append(result.events, e.Data.events(m.host)...)
		case e.EventType == "" && e.Type == "":
			result.events = append(result.events, e.events(m.host)...)
		}
	}
	return result, nil
}

// events is none for another registry of the same subscription, or without a tag.
func (p acrPush) events(host string) []event {
	if p.Action != "push" || p.Target.Tag == "" || p.Request.Host != "" && p.Request.Host != host {
		return nil
	}
	return []event{{repository: p.Target.Repository, tag: p.Target.Tag, digest: p.Target.Digest}}
}

// ecrHost takes the account and region out of the host of a private registry.
// Source: Amazon, "Amazon ECR private registry",
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html.
var ecrHost = regexp.MustCompile(`^(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.`)

// readECR. Sources: Amazon, "Amazon ECR events and EventBridge",
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html, and
// "API destinations as targets",
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html.
func readECR(m message) (told, error) {
	var payload struct {
		DetailType string `json:"detail-type"`
		Account    string `json:"account"`
		Region     string `json:"region"`
		Detail     struct {
			Result     string `json:"result"`
			Action     string `json:"action-type"`
			SyncStatus string `json:"sync-status"` // of a pull-through cache
			Repository string `json:"repository-name"`
			Tag        string `json:"image-tag"`
			Digest     string `json:"image-digest"`
		} `json:"detail"`
	}
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	if of := ecrHost.FindStringSubmatch(m.host); of != nil && (of[1] != payload.Account || of[2] != payload.Region) {
		return told{}, nil // another registry of the same event bus
	}
	detail := payload.Detail
	pushed := payload.DetailType == "ECR Image Action" && detail.Action == "PUSH" && detail.Result == "SUCCESS"
	cached := payload.DetailType == "ECR Pull Through Cache Action" && detail.SyncStatus == "SUCCESS"
	if !pushed && !cached || detail.Tag == "" {
		return told{}, nil
	}
	return one(event{repository: detail.Repository, tag: detail.Tag, digest: detail.Digest})
}

// readArtifactRegistry. Sources: Google Cloud, "Configure Pub/Sub notifications",
// https://cloud.google.com/artifact-registry/docs/configure-notifications, and
// "Push subscriptions", https://cloud.google.com/pubsub/docs/push. An upload
// without a tag, and a deletion, have none.
func readArtifactRegistry(m message) (told, error) {
	var push struct {
		Message struct {
			Data []byte `json:"data"` // base64 in JSON
		} `json:"message"`
	}
	if err := decode(m.body, &push); err != nil {
		return told{}, err
	}
	var change struct {
		Action string `json:"action"`
		Digest string `json:"digest"`
		Tag    string `json:"tag"`
	}
	if err := decode(push.Message.Data, &change); err != nil {
		return told{}, err
	}
	if change.Action != "INSERT" || change.Tag == "" {
		return told{}, nil
	}
	tagged, err := registry.SplitReference(change.Tag)
	if err != nil || tagged.Tag == "" {
		return told{}, nil //nolint:nilerr // as hints does with such names
	}
	result := event{image: tagged.Name, tag: tagged.Tag}
	if pushed, err := registry.SplitReference(change.Digest); err == nil {
		result.digest = pushed.Digest
	}
	return one(result)
}
