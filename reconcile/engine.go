// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/registry"
)

// GitAuth is how to log in to the repository over HTTP(S).
type GitAuth = mirror.Auth

// Config says what an engine works on.
type Config struct {
	// Repo is a URL, a bare repository or a checkout.
	Repo string
	// Branch is empty for the default branch.
	Branch string
	// PoliciesPath is a local file or folder with policies; empty for those in
	// the repository itself.
	PoliciesPath string
	// Policies are those of a cluster, which then count instead of all documents;
	// nil without one.
	Policies Policies
	// Resolutions answers for the registries where policies have schedules and
	// logins of their own; policies that it does not know yet are left out of a
	// pass. nil asks them in each pass, as Registry says.
	Resolutions *Resolutions
	// Paths are the folders and files that may be read and written; empty for all.
	Paths []string
	// Dates makes messages name dates in place of ages, so that they do not change
	// from pass to pass.
	Dates    bool
	Git      GitAuth
	Registry registry.Options
	// CacheDir is a folder that keeps what is read of the repository for the next
	// process; empty for none. Warn is told where that fails, and may be nil.
	CacheDir string
	Warn     func(error)
	// Pace says when to write, and how much at once.
	Pace Pace
	// Commits says how commits look.
	Commits Commits
	// Now is the clock; nil for the system's.
	Now func() time.Time
	// PullRequests propose what is due in place of pushing it to the branch; nil pushes.
	PullRequests *PullRequests
	// Validator is shared by the engines of a process; nil makes a new one.
	Validator *document.Validator
}

// Engine keeps one manifest repository at what its policies pick. It lives as
// long as its process and remembers what it has read. It is safe for concurrent
// use; passes run one after the other.
type Engine struct {
	config    Config
	validator *document.Validator
	registry  *registry.Client
	repo      *gitwriter.Repository

	mu       sync.Mutex
	set      *policySet // as read last
	bound    *bound     // by that set; nil once it is another
	quiet    *quiet     // nil where something may be to do
	parsed   map[string]parsed
	compiled map[string]compiled
	rankings rankings

	selections selections
	requests   requests
}

// Open prepares an engine; it reads nothing yet.
func Open(config Config) (*Engine, error) {
	if config.Validator == nil {
		var err error
		if config.Validator, err = document.NewValidator(); err != nil {
			return nil, fmt.Errorf("cannot read the schema of policies: %w", err)
		}
	}
	config.Commits = config.Commits.withDefaults()
	if config.Now == nil {
		config.Now = time.Now
	}
	isDocument := document.MayMatter
	if config.PoliciesPath != "" {
		isDocument = func([]byte) bool { return false }
	}
	repo, err := gitwriter.Open(config.Repo, config.Branch, config.Git, config.Paths, isDocument)
	if err != nil {
		return nil, err
	}
	if config.CacheDir != "" {
		repo.Keep(config.CacheDir, config.Warn)
	}
	repo.SetKeys(config.Commits.Keys)
	return &Engine{
		config: config, validator: config.Validator, registry: registry.New(config.Registry), repo: repo,
		parsed: map[string]parsed{}, compiled: map[string]compiled{}, rankings: rankings{}, selections: selections{},
	}, nil
}

// Close lets go of what is kept on disk. No pass may follow.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.repo.Close()
}

// Use changes who logs in and how commits look, without forgetting what was read:
// credentials are rotated.
func (e *Engine) Use(auth GitAuth, commits Commits) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.config.Commits.Keys != commits.Keys {
		e.quiet = nil // Other entries count.
	}
	e.config.Commits = commits.withDefaults()
	e.repo.SetKeys(commits.Keys)
	return e.repo.SetAuth(auth)
}

// Keep changes the pace, which a pass with nothing to write does not mind.
func (e *Engine) Keep(pace Pace) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.config.Pace = pace
}

// Branch is the branch's short name, known after the first pass.
func (e *Engine) Branch() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.repo.Branch()
}

// Plan finds out what a sync would do, and writes nothing.
func (e *Engine) Plan(ctx context.Context) (*Report, error) {
	return e.pass(ctx, task{})
}

// Sync moves what is due, and pushes it. Where somebody else pushes first, it
// decides again on the new tip.
func (e *Engine) Sync(ctx context.Context) (*Report, error) {
	return e.pass(ctx, task{write: true})
}

// BySchedule is the cause of an entry that nobody asked for.
const BySchedule = ledger.CauseSchedule

// ByEvent is the cause of an entry that an event of a source led to.
func ByEvent(source string) string { return "event/" + source }

// SyncDue is Sync for some policies, named <namespace>/<name>, alone. Each has the
// cause that its entries are to tell.
func (e *Engine) SyncDue(ctx context.Context, due map[string]string) (*Report, error) {
	only := make(map[string]bool, len(due))
	for name := range due {
		only[name] = true
	}
	return e.pass(ctx, task{write: true, only: only, causes: due})
}

// Schedule is when a policy is to be looked at.
type Schedule struct {
	// Cron is spec.schedule.
	Cron string
	// Image is spec.image.
	Image string
	// Spec is other text after any change to the policy, such as a pin, which is
	// not to wait for the next time.
	Spec string
}

// Schedules returns the schedule of every policy, named <namespace>/<name>.
func (e *Engine) Schedules(ctx context.Context) (map[string]Schedule, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.repo.Update(ctx); err != nil {
		return nil, err
	}
	set, err := e.policies(ctx)
	if err != nil {
		return nil, err
	}
	if set.schedules == nil {
		if set.schedules, err = schedulesOf(set); err != nil {
			return nil, err
		}
	}
	return maps.Clone(set.schedules), nil
}

func schedulesOf(set *policySet) (map[string]Schedule, error) {
	schedules := make(map[string]Schedule, len(set.policies))
	for name, p := range set.policies {
		text, err := json.Marshal(p.spec)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
		schedules[name] = Schedule{Cron: p.spec.Schedule, Image: p.spec.Image, Spec: string(text)}
	}
	return schedules, nil
}
