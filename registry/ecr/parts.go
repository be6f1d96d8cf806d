package ecr

import (
	"encoding/json"
	"fmt"

	"berth/registry"
)

// The sizes of parts, in bytes, and how many a layer has.
const (
	minPart  = 5 << 20  // but of the last
	partSize = 10 << 20 // what clients are advised to send
	maxPart  = 20 << 20
	maxParts = 4200
)

// parts is what an upload has come in. It stands in the note of the upload, as whether a part
// is too small is told only when the layer is completed: any of them may be the last.
type parts struct {
	Count int   `json:"count"`
	End   int64 `json:"end"`             // of the last that was taken whole
	Small int64 `json:"small,omitempty"` // the end of the first that is too small unless it is the last
}

func partsOf(u registry.Upload) (p parts, err error) {
	if u.Note != "" {
		err = json.Unmarshal([]byte(u.Note), &p)
	}
	if err != nil {
		err = fmt.Errorf("the note of upload %s: %w", u.ID, err)
	}
	return p, err
}

// with is the note of the upload once a part that goes up to end is in. What a fault has cut
// off counts together with what completes it.
func (p parts) with(end int64) (note string, err error) {
	if p.Small == 0 && end-p.End < minPart {
		p.Small = end
	}
	p.Count++
	p.End = end
	b, err := json.Marshal(p)
	return string(b), err
}

// tooSmall reports whether a part is, in an upload of so many bytes.
func (p parts) tooSmall(size int64) bool { return p.Small > 0 && p.Small < size }
