// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"io"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// decodeRefs reads what git-upload-pack and git-receive-pack say first.
func decodeRefs(out io.Reader) (*packp.AdvRefs, error) {
	refs := packp.NewAdvRefs()
	err := refs.Decode(out)
	if errors.Is(err, packp.ErrEmptyAdvRefs) || err == nil && refs.IsEmpty() {
		return nil, transport.ErrEmptyRemoteRepository
	}
	if err != nil {
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities)
	return refs, nil
}

// encodeUpload writes a request at once, without a question in between.
func encodeUpload(in io.Writer, req *packp.UploadPackRequest) error {
	if err := req.UploadRequest.Encode(in); err != nil {
		return err
	}
	if err := req.UploadHaves.Encode(in, false); err != nil {
		return err
	}
	_, err := io.WriteString(in, "0009done\n")
	return err
}

// decodeReport reads what git-receive-pack says last: nil where it says nothing,
// and an error where it did not take the push.
func decodeReport(req *packp.ReferenceUpdateRequest, out io.Reader) (*packp.ReportStatus, error) {
	if req.Capabilities.Supports(capability.Sideband64k) {
		demux := sideband.NewDemuxer(sideband.Sideband64k, out)
		demux.Progress = req.Progress
		out = demux
	}
	report := packp.NewReportStatus()
	if err := report.Decode(out); err != nil {
		return nil, err
	}
	return report, report.Error()
}
