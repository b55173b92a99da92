// SPDX-License-Identifier: Apache-2.0

package registry

import "sync"

const (
	// maxKeptTags bounds the tags of all lists that a Client keeps of one registry; one
	// takes some 30 bytes.
	maxKeptTags = 1_000_000
	// maxKeptLists bounds their number: a list may have no tag at all.
	maxKeptLists = 10_000
	// maxETag is the longest ETag that is worth sending back.
	maxETag = 256
)

// keptLists are whole lists that came with an ETag, so that the next pass can ask for
// one only if it changed. The zero value is ready.
type keptLists struct {
	mu           sync.Mutex
	tags         int
	byRepository map[string]keptList
}

type keptList struct {
	etag string
	tags []string // is never changed
}

func (k *keptLists) get(repository string) keptList {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byRepository[repository]
}

// put keeps a list in place of the one before; without an ETag it keeps none. Where they
// become too many, all are dropped and asked for in full once more.
func (k *keptLists) put(repository string, list keptList) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tags -= len(k.byRepository[repository].tags)
	delete(k.byRepository, repository)
	if list.etag == "" || len(list.etag) > maxETag {
		return
	}
	if k.byRepository == nil || k.tags+len(list.tags) > maxKeptTags || len(k.byRepository) >= maxKeptLists {
		k.byRepository, k.tags = map[string]keptList{}, 0
	}
	k.byRepository[repository] = list
	k.tags += len(list.tags)
}
