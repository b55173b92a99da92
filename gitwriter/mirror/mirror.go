// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/pintle-dev/pintle/gitwriter/githubapp"
)

const (
	lookupTimeout   = time.Minute
	transferTimeout = 10 * time.Minute
	// maxPackBytes bounds what one fetch may bring.
	maxPackBytes = 2 << 30
	// MaxBlobBytes is the largest file that is read. Where the server filters,
	// larger ones are not even fetched.
	MaxBlobBytes = 4 << 20
)

// Auth is how to log in, and which servers to trust.
type Auth struct {
	// Username and Password, which may be a token, are for HTTP(S); both are empty
	// for nobody.
	Username, Password string
	// RootCAs are certificate authorities in PEM that may sign for the server,
	// besides the system's.
	RootCAs string
	// App gets tokens in place of Username and Password, where it has an ID.
	App githubapp.App
	SSH SSH
}

// Mirror is one branch of one repository. It is not safe for concurrent use:
// one pass at a time works on a repository.
type Mirror struct {
	name   string
	remote remote
	auth   Auth
	branch plumbing.ReferenceName // empty: the default branch
	store  *objects
	kept   int64 // what was in store after the last sweep, in bytes
	caps   *capability.List
	tip    plumbing.Hash // as last looked up
	head   plumbing.Hash // as last fetched
	// beside are the branches of Pintle's own, as last looked up.
	beside   map[string]plumbing.Hash
	disk     *disk // nil without one
	fromDisk bool
	warn     func(error) // nil once it was told
	log      *commitLog
	// past are trees that the head may not have. They are kept while they are few, and
	// until the head is fetched anew.
	// wholeTree is what all trees of a head took, in bytes.
	past      *objects
	wholeTree int
	steps     map[step]plumbing.Hash // what names in trees of the past stand for
	// maxCommits bounds the history that is read, maxUnpacked the bytes of one fetch.
	maxCommits  int
	maxUnpacked int64
}

// Open prepares to use the branch (empty: the default one) of a repository: an
// HTTP(S), SSH or file URL, a bare repository, or a checkout. It reads nothing yet.
// Errors are of type *Error.
func Open(repo, branch string, auth Auth) (*Mirror, error) {
	m := &Mirror{auth: auth, store: newObjects(), log: newCommitLog(), past: newObjects(), steps: map[step]plumbing.Hash{}, maxCommits: maxCommits, maxUnpacked: maxUnpackedBytes}
	if branch != "" {
		m.branch = plumbing.NewBranchReferenceName(strings.TrimPrefix(branch, "refs/heads/"))
	}
	var err error
	m.remote, m.name, err = openRemote(repo, &m.auth)
	return m, err
}

// openRemote also returns the repository's name without credentials, which it
// adds to auth where that has none.
func openRemote(repo string, auth *Auth) (remote, string, error) {
	if OverSSH(repo) {
		return openSSH(repo, *auth)
	}
	scheme, _, ok := strings.Cut(repo, "://")
	if !ok {
		r, err := newLocalRemote(repo)
		return r, repo, err
	}
	u, err := url.Parse(repo)
	if err != nil {
		// The parser's own words would repeat a password.
		return nil, "", &Error{Repository: scheme + "://…", Op: "read", Kind: NotFound, Err: errors.New("the URL is malformed")}
	}
	if u.User != nil && auth.Username == "" && auth.Password == "" {
		auth.Username = u.User.Username()
		auth.Password, _ = u.User.Password()
	}
	u.User = nil
	switch u.Scheme {
	case "file":
		r, err := newLocalRemote(u.Path)
		return r, u.Path, err
	case "http", "https":
		endpoint, err := transport.NewEndpoint(u.String())
		if err != nil {
			return nil, "", &Error{Repository: u.String(), Op: "read", Kind: NotFound, Err: err}
		}
		r, err := newHTTPRemote(endpoint, *auth)
		if err != nil {
			return nil, "", &Error{Repository: u.String(), Op: "read", Kind: Unauthorized, Err: err}
		}
		return r, u.String(), nil
	}
	return nil, "", &Error{Repository: u.String(), Op: "read", Kind: NotFound,
		Err: fmt.Errorf("the scheme %q is not supported", u.Scheme), Hint: "use https, http, ssh, file, or a path"}
}

func openSSH(repo string, auth Auth) (remote, string, error) {
	address, name, err := parseSSH(repo)
	if err != nil {
		return nil, name, &Error{Repository: name, Op: "read", Kind: NotFound, Err: err}
	}
	r, err := newSSHRemote(address, auth)
	if err != nil {
		return nil, name, &Error{Repository: name, Op: "read", Kind: Unauthorized, Err: err}
	}
	return r, name, nil
}

// SetAuth logs in with auth from the next request on, in place of what Open was
// given or found in the URL, and keeps all that was fetched. It does nothing
// where auth is what is in use, and for a repository on this machine. Where
// it fails, all stays as it was.
func (m *Mirror) SetAuth(auth Auth) error {
	if _, local := m.remote.(*localRemote); local || auth == m.auth {
		return nil
	}
	r, _, err := openRemote(m.name, &auth)
	if wrong, ok := errors.AsType[*Error](err); ok {
		wrong.Op = "log in to"
		return wrong
	}
	m.remote.close()
	m.remote, m.auth = r, auth
	return err
}

// Checkout tells whether the repository is a checkout, whose branch, index and
// files a push moves.
func (m *Mirror) Checkout() bool {
	local, ok := m.remote.(*localRemote)
	return ok && local.checkout
}

// Branch is the branch's short name, known after the first Tip.
func (m *Mirror) Branch() string { return m.branch.Short() }

// Head is the commit that the last Fetch brought.
func (m *Mirror) Head() plumbing.Hash { return m.head }

// Tip asks the server for the branch's tip: one request, no pack.
func (m *Mirror) Tip(ctx context.Context) (plumbing.Hash, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	refs, err := m.remote.advertise(ctx)
	if err != nil {
		return plumbing.ZeroHash, m.explain("read", err)
	}
	m.caps = refs.Capabilities
	if m.branch == "" {
		if m.branch = defaultBranch(refs); m.branch == "" {
			return plumbing.ZeroHash, &Error{Repository: m.name, Op: "read", Kind: NoBranch,
				Err: errors.New("the repository names no default branch"), Hint: "name one with --branch"}
		}
	}
	tip, ok := refs.References[m.branch.String()]
	if !ok {
		return plumbing.ZeroHash, &Error{Repository: m.name, Op: "read", Kind: NoBranch,
			Err: fmt.Errorf("there is no branch %q", m.branch.Short()), Hint: "name an existing one with --branch"}
	}
	m.tip = tip
	m.noteBeside(refs)
	return tip, nil
}

// defaultBranch is where the advertised HEAD points.
func defaultBranch(refs *packp.AdvRefs) plumbing.ReferenceName {
	for _, symref := range refs.Capabilities.Get(capability.SymRef) {
		if name, target, ok := strings.Cut(symref, ":"); ok && name == "HEAD" {
			return plumbing.ReferenceName(target)
		}
	}
	return ""
}

// Fetch brings the tip that Tip found: the first time without history, later
// only what is new. It does nothing where the tip has not moved.
func (m *Mirror) Fetch(ctx context.Context) error {
	if m.head == m.tip && !m.head.IsZero() {
		return nil
	}
	m.past = newObjects() // They may be the head's now, and then have to be kept.
	req := m.newRequest(m.tip)
	if m.head.IsZero() {
		req.Depth = packp.DepthCommits(1)
		m.mustSet(req, capability.Shallow)
	} else {
		req.Haves = []plumbing.Hash{m.head}
		if !m.canAsk() {
			// The head counts as shallow, so that the server does not take for
			// granted that what its ancestors held is here. Where single
			// objects can be asked for, Need brings the few that are missing.
			req.Shallows = []plumbing.Hash{m.head}
			m.mustSet(req, capability.Shallow)
		}
	}
	m.filter(req, packp.FilterBlobLimit(MaxBlobBytes+1, packp.BlobLimitPrefixNone))
	err := m.fetch(ctx, req, m.store)
	known, _ := errors.AsType[*Error](err)
	tooMuch := known != nil && known.Kind == Limit
	if err != nil && (!tooMuch || m.head.IsZero()) {
		return err
	}
	if !m.store.has(m.tip) && !m.head.IsZero() {
		// The branch was forced back to a commit that the server takes us to have, or
		// what is new since the head is more than there is without history.
		m.head = plumbing.ZeroHash
		return m.Fetch(ctx)
	}
	m.head = m.tip
	return nil
}

func (m *Mirror) newRequest(wants ...plumbing.Hash) *packp.UploadPackRequest {
	req := packp.NewUploadPackRequestFromCapabilities(m.caps)
	req.Wants = wants
	m.mustSet(req, capability.NoProgress)
	return req
}

// mustSet asks for a capability that the server offers.
func (m *Mirror) mustSet(req *packp.UploadPackRequest, c capability.Capability) {
	if m.caps.Supports(c) {
		// Set only fails for capabilities that want an argument.
		_ = req.Capabilities.Set(c)
	}
}

// filter asks the server to leave objects out, where it can.
func (m *Mirror) filter(req *packp.UploadPackRequest, f packp.Filter) {
	if m.canFilter() {
		m.mustSet(req, capability.Filter)
		req.Filter = f
	}
}

func (m *Mirror) canFilter() bool { return m.caps.Supports(capability.Filter) }

// canAsk tells whether single objects can be asked for by id.
func (m *Mirror) canAsk() bool {
	return m.canFilter() && (m.caps.Supports(capability.AllowReachableSHA1InWant) || m.caps.Supports(anySHA1))
}

// anySHA1 is uploadpack.allowAnySHA1InWant as servers advertise it.
const anySHA1 capability.Capability = "allow-any-sha1-in-want"

// fetch runs one request and keeps the objects that it brings.
func (m *Mirror) fetch(ctx context.Context, req *packp.UploadPackRequest, into *objects) error {
	return m.receive(ctx, req, func(ctx context.Context, pack io.Reader) error {
		u := newUnpacker(pack, into, m.maxUnpacked)
		u.known = m.store
		return u.unpack(ctx)
	})
}

// receive runs one request and has the pack read that it brings.
func (m *Mirror) receive(ctx context.Context, req *packp.UploadPackRequest, read func(ctx context.Context, pack io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	body, _, err := m.remote.upload(ctx, req)
	if err != nil {
		return m.explain("fetch from", err)
	}
	var pack io.Reader = body
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		pack = sideband.NewDemuxer(sideband.Sideband64k, body)
	case req.Capabilities.Supports(capability.Sideband):
		pack = sideband.NewDemuxer(sideband.Sideband, body)
	}
	limited := &io.LimitedReader{R: pack, N: maxPackBytes}
	err = errors.Join(read(ctx, limited), body.Close())
	switch {
	case limited.N <= 0:
		return &Error{Repository: m.name, Op: "fetch from", Kind: Limit, Err: fmt.Errorf("the pack is larger than %d bytes", maxPackBytes)}
	case errors.Is(err, errUnpacked):
		return &Error{Repository: m.name, Op: "fetch from", Kind: Limit, Err: fmt.Errorf("what it sends unpacks to more than %d MiB", m.maxUnpacked>>20),
			Hint: "take large files out of the branch, and let the server filter (uploadpack.allowFilter)"}
	}
	return m.explain("fetch from", err)
}

// anyTree reads the bytes of a tree of the head or of the past that was fetched.
func (m *Mirror) anyTree(id plumbing.Hash) ([]byte, error) {
	if content, ok := m.past.content(plumbing.TreeObject, id); ok {
		return content, nil
	}
	return m.rawTree(id)
}

// ErrTooLarge is returned for a blob over MaxBlobBytes.
var ErrTooLarge = fmt.Errorf("the file is larger than %d MiB", MaxBlobBytes>>20)

// Blob reads a blob that was fetched. It returns ErrTooLarge for one over
// MaxBlobBytes, fetched or not. Nobody may write into what it returns.
func (m *Mirror) Blob(id plumbing.Hash) ([]byte, error) {
	content, ok := m.store.content(plumbing.BlobObject, id)
	if !ok && m.OnDisk(id) {
		return m.readBlob(id)
	}
	if !ok || len(content) > MaxBlobBytes {
		return nil, ErrTooLarge
	}
	return content, nil
}

// Forget drops the content of a blob that will not be read again.
func (m *Mirror) Forget(id plumbing.Hash) { m.store.drop(id) }

// HeadCommit is the commit that the last Fetch brought.
func (m *Mirror) HeadCommit() (*object.Commit, error) { return m.store.commit(m.head) }
