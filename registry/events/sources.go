// SPDX-License-Identifier: Apache-2.0

package events

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Source is who sends events. It is part of an entry's cause, as event/<source>.
type Source string

// The sources. docs/events.md says how each is set up.
const (
	DockerHub        Source = "docker-hub"
	GitHub           Source = "github"
	Quay             Source = "quay"
	Harbor           Source = "harbor"
	Gitea            Source = "gitea"
	GitLab           Source = "gitlab"
	Distribution     Source = "distribution"
	ACR              Source = "acr"
	ECR              Source = "ecr"
	ArtifactRegistry Source = "artifact-registry"
	CloudEvents      Source = "cloudevents"
	Generic          Source = "generic"
)

const (
	// maxEvents bounds the events of one request.
	maxEvents = 100
	// maxDepth bounds the nesting of JSON. GitHub's has the deepest, of 8.
	maxDepth = 32
	// maxObjects bounds the objects of one request: of 100 events, GitHub's have most.
	maxObjects = 5000
	// dockerHub is the canonical host of Docker Hub.
	dockerHub = "index.docker.io"
)

// kind is what is special to a source.
type kind struct {
	host      string // the only one, or the usual one
	secret    need
	header    bool // its user may choose the header with the secret
	handshake bool // it may ask by OPTIONS whether it may send
	proof     func(Endpoint) (proof, error)
	read      func(message) (told, error)
}

// message is a request that was found genuine.
type message struct {
	header http.Header
	body   []byte
	host   string // of the endpoint
}

// told is what a message says.
type told struct {
	events []event
	reply  map[string]string // what the source wants to read, or nil
}

// event is one image that was pushed, under image or repository.
type event struct {
	image      string // with its host
	repository string // below the host of the endpoint
	below      bool
	tag        string
	digest     string
}

var kinds = map[Source]kind{
	DockerHub:        {host: dockerHub, secret: unsigned, read: readDockerHub},
	GitHub:           {host: "ghcr.io", proof: byHexSignature("X-Hub-Signature-256", "sha256="), read: readGitHub},
	Quay:             {host: "quay.io", secret: unsigned, read: readQuay},
	Harbor:           {proof: byToken, read: readHarbor},
	Gitea:            {proof: byHexSignature("X-Gitea-Signature", ""), read: readGitea},
	GitLab:           {proof: byGitLab, read: readGitLab},
	Distribution:     {header: true, proof: byToken, read: readDistribution},
	ACR:              {secret: maySign, header: true, handshake: true, proof: byToken, read: readACR},
	ECR:              {header: true, proof: byToken, read: readECR},
	ArtifactRegistry: {secret: identified, read: readArtifactRegistry},
	CloudEvents:      {secret: maySign, header: true, handshake: true, proof: byToken, read: readCloudEvents},
	Generic:          {proof: byPintle, read: readGeneric},
}

// Sources are all that there are, sorted.
func Sources() []string {
	var names []string
	for source := range kinds {
		names = append(names, string(source))
	}
	slices.Sort(names)
	return names
}

func byToken(e Endpoint) (proof, error) { return newToken(e.header(), e.Secret), nil }

func byHexSignature(header, prefix string) func(Endpoint) (proof, error) {
	return func(e Endpoint) (proof, error) { return hexSignature(header, prefix, e.Secret), nil }
}

// byGitLab tells its two kinds of secrets apart.
func byGitLab(e Endpoint) (proof, error) {
	if strings.HasPrefix(e.Secret, standardPrefix) {
		return standardSignature(e.Secret)
	}
	return newToken("X-Gitlab-Token", e.Secret), nil
}

func byPintle(e Endpoint) (proof, error) {
	s := hexSignature("X-Pintle-Signature", "sha256=", e.Secret)
	s.before, s.stamp = []string{"X-Pintle-Timestamp"}, "X-Pintle-Timestamp"
	return s, nil
}

// decode reads JSON. The depth is looked at first, because encoding/json goes down
// ten thousand levels.
func decode(body []byte, into any) error {
	deepest, objects := shape(body)
	switch {
	case deepest > maxDepth:
		return errTooDeep
	case objects > maxObjects:
		return errNumber
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errNotJSON
	}
	return nil
}

// shape is how deep brackets are nested, in what may be JSON, and how many objects
// there are: to decode one takes hundreds of times its bytes.
func shape(body []byte) (deepest, objects int) {
	level, quoted, escaped := 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
			if c == '{' {
				objects++
			}
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest, objects
}

// one is what most messages tell of.
func one(e event) (told, error) { return told{events: []event{e}}, nil }
