// SPDX-License-Identifier: Apache-2.0

package events

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// readDockerHub. Source: Docker, "Webhooks",
// https://docs.docker.com/docker-hub/repos/manage/webhooks/. There is one kind of
// event; callback_url is never called.
func readDockerHub(m message) (told, error) {
	var payload struct {
		PushData struct {
			Tag string `json:"tag"`
		} `json:"push_data"`
		Repository struct {
			RepoName string `json:"repo_name"`
		} `json:"repository"`
	}
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	if payload.PushData.Tag == "" {
		return told{}, nil
	}
	return one(event{repository: payload.Repository.RepoName, tag: payload.PushData.Tag})
}

// readQuay. Source: Red Hat Quay, "Use Red Hat Quay", "Repository notifications",
// repository push. Older servers send updated_tags as an object of tags and layers,
// as https://gist.github.com/jakedt/7533338 has it. The other events have no such
// key.
func readQuay(m message) (told, error) {
	var payload struct {
		Repository  string          `json:"repository"`
		UpdatedTags json.RawMessage `json:"updated_tags"`
	}
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	if len(payload.UpdatedTags) == 0 {
		return told{}, nil
	}
	var tags []string
	if err := json.Unmarshal(payload.UpdatedTags, &tags); err != nil {
		var old map[string]string
		if err := json.Unmarshal(payload.UpdatedTags, &old); err != nil {
			return told{}, errNotJSON
		}
		tags = slices.Sorted(maps.Keys(old))
	}
	if len(tags) > maxEvents {
		return told{}, errNumber
	}
	var result told
	for _, tag := range tags {
		result.events = append(result.events, event{repository: payload.Repository, tag: tag})
	}
	return result, nil
}

// githubPackage is under another name in each of two events. Source: GitHub,
// "Webhook events and payloads", package and registry_package,
// https://docs.github.com/en/webhooks/webhook-events-and-payloads, with the
// examples in github.com/octokit/webhooks.
type githubPackage struct {
	Name        string `json:"name"`
	Ecosystem   string `json:"ecosystem"`
	PackageType string `json:"package_type"`
	Owner       struct {
		Login string `json:"login"`
	} `json:"owner"`
	PackageVersion struct {
		Version           string `json:"version"`
		PackageURL        string `json:"package_url"`
		ContainerMetadata struct {
			Tag struct {
				Name string `json:"name"`
			} `json:"tag"`
		} `json:"container_metadata"`
	} `json:"package_version"`
}

// readGitHub. A push without a tag gives a hint too, because not every event that
// moves a tag names it.
func readGitHub(m message) (told, error) {
	name := m.header.Get("X-Github-Event")
	if name != "package" && name != "registry_package" {
		return told{}, nil
	}
	var payload struct {
		Action          string        `json:"action"`
		Package         githubPackage `json:"package"`
		RegistryPackage githubPackage `json:"registry_package"`
	}
	if err := decode(m.body, &payload); err != nil {
		return told{}, err
	}
	pushed := payload.Package
	if name == "registry_package" {
		pushed = payload.RegistryPackage
	}
	if payload.Action != "published" && payload.Action != "updated" || !pushed.isContainer() {
		return told{}, nil
	}
	return one(event{
		image:  pushed.image(m.host),
		tag:    pushed.PackageVersion.ContainerMetadata.Tag.Name,
		digest: pushed.PackageVersion.Version,
	})
}

func (p githubPackage) isContainer() bool {
	for _, kind := range []string{p.PackageType, p.Ecosystem} {
		if strings.EqualFold(kind, "container") || strings.EqualFold(kind, "docker") {
			return true
		}
	}
	return false
}

// image is what package_url has before its colon, in the lower case that the
// registry has and the owner's name need not.
func (p githubPackage) image(host string) string {
	url := strings.ToLower(p.PackageVersion.PackageURL)
	if url == "" {
		return host + "/" + strings.ToLower(p.Owner.Login+"/"+p.Name)
	}
	if colon := strings.LastIndexByte(url, ':'); colon > strings.LastIndexByte(url, '/') {
		url = url[:colon]
	}
	return url
}
