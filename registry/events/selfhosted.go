// SPDX-License-Identifier: Apache-2.0

package events

import "strings"

// harborPush is the same in both of Harbor's formats.
type harborPush struct {
	Resources []struct {
		Digest string `json:"digest"`
		Tag    string `json:"tag"`
	} `json:"resources"`
	Repository struct {
		FullName string `json:"repo_full_name"`
	} `json:"repository"`
}

// The event types of a push in Harbor's two formats.
const (
	harborDefaultPush = "PUSH_ARTIFACT"
	harborCloudPush   = "harbor.artifact.pushed"
)

// readHarbor. Source: Harbor, "Configure Webhook Notifications",
// https://goharbor.io/docs/latest/working-with-projects/project-configuration/configure-webhooks/.
// resource_url has the host that Harbor was told it has, which need not be the one
// that policies name.
func readHarbor(m message) (told, error) {
	var payload struct {
		Type      string     `json:"type"`
		EventData harborPush `json:"event_data"` // of the format Default
		Data      harborPush `json:"data"`       // of the format CloudEvents
	}
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	switch payload.Type {
	case harborDefaultPush:
		return payload.EventData.told()
	case harborCloudPush:
		return payload.Data.told()
	}
	return told{}, nil
}

// told has what was pushed without a tag too: its digest stands there, which is no
// tag and so gives no hint.
func (p harborPush) told() (told, error) {
	if len(p.Resources) > maxEvents {
		return told{}, errNumber
	}
	var result told
	for _, resource := range p.Resources {
		if resource.Tag != "" {
			result.events = append(result.events, event{repository: p.Repository.FullName, tag: resource.Tag, digest: resource.Digest})
		}
	}
	return result, nil
}

// readGitea. Source: Gitea 1.26, modules/structs/hook.go (PackagePayload) and
// services/webhook/deliver.go; its documentation,
// https://docs.gitea.com/usage/webhooks, has the headers and the push event alone.
// A version of a container is a tag, or the digest of what has none, which gives no
// hint.
func readGitea(m message) (told, error) {
	if m.header.Get("X-Gitea-Event") != "package" {
		return told{}, nil
	}
	var payload struct {
		Action  string `json:"action"`
		Package struct {
			Owner struct {
				Login string `json:"login"`
			} `json:"owner"`
			Type    string `json:"type"`
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"package"`
	}
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	pushed := payload.Package
	if payload.Action != "created" || pushed.Type != "container" || pushed.Version == "" {
		return told{}, nil
	}
	return one(event{repository: strings.ToLower(pushed.Owner.Login + "/" + pushed.Name), tag: pushed.Version})
}

// readGitLab. Its webhooks have no event for the container registry
// (https://gitlab.com/gitlab-org/gitlab/-/issues/15385), so there are two ways: the
// notifications of a registry of one's own, and the end of a pipeline, which may
// have pushed any image of its project. Source: GitLab, "Webhook events", pipeline
// events, https://docs.gitlab.com/user/project/integrations/webhook_events/.
func readGitLab(m message) (told, error) {
	switch m.header.Get("X-Gitlab-Event") {
	case "":
		return readDistribution(m)
	case "Pipeline Hook":
	default:
		return told{}, nil
	}
	var payload struct {
		Attributes struct {
			Status string `json:"status"`
		} `json:"object_attributes"`
		Project struct {
			Path string `json:"path_with_namespace"`
		} `json:"project"`
	}
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	if payload.Attributes.Status != "success" {
		return told{}, nil
	}
	return one(event{repository: strings.ToLower(payload.Project.Path), below: true})
}

// readDistribution. Source: CNCF Distribution, "Work with notifications",
// https://distribution.github.io/distribution/about/notifications/. What is pushed
// by digest, such as blobs and the parts of an index, moves no tag.
func readDistribution(m message) (told, error) {
	var envelope struct {
		Events []struct {
			Action string `json:"action"`
			Target struct {
				Digest     string `json:"digest"`
				Repository string `json:"repository"`
				Tag        string `json:"tag"`
			} `json:"target"`
		} `json:"events"`
	}
	if err := decode(m.body, &envelope); err != nil {
		return told{}, err
	}
	if len(envelope.Events) > maxEvents {
		return told{}, errNumber
	}
	var result told
	for _, e := range envelope.Events {
		if e.Action == "push" && e.Target.Tag != "" {
			result.events = append(result.events, event{repository: e.Target.Repository, tag: e.Target.Tag, digest: e.Target.Digest})
		}
	}
	return result, nil
}
