package main

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// cutPatch begins to send n bytes and breaks off. Content-Range keeps them from being taken after what is sent next,
// should the registry come to read them only then. It may refuse the chunk before the client has broken off.
func (u *upload) cutPatch(n int) error {
	cut := 1 + u.client.rng.IntN(n-1)
	header := map[string]string{
		"Content-Type":  octets["Content-Type"],
		"Content-Range": fmt.Sprintf("%d-%d", u.low, u.low+n-1),
	}
	a, err := u.client.call(request{
		kind:   "PATCH cut off",
		method: http.MethodPatch,
		path:   u.path,
		header: header,
		body:   u.content.bytes()[u.low : u.low+n],
		cut:    cut,
		judge:  func(a response) verdict { return u.judgeRefusal(a, true) },
	})
	if err == nil && a.status == http.StatusNotFound {
		return errGone
	}
	u.high = u.low + cut
	u.torn = u.torn || u.several() && errors.Is(err, errNoAnswer)
	u.busy = true
	return err
}

// maxReading is how long the registry may be busy with a chunk that was cut off.
const maxReading = 10 * time.Second

// findRange finds out where the upload stands after a chunk was cut off. The registry may still be reading that, so
// only a chunk that it takes makes certain.
func (u *upload) findRange() error {
	for try, began := 0, time.Now(); u.high > u.low; try++ {
		offset, err := u.ask()
		if err != nil {
			return err
		}
		if offset == 0 {
			offset = try % 2
		}
		if offset+minChunk > u.content.size {
			return errGone // the end had arrived, and there is nothing left to make certain with
		}
		taken, err := u.send(offset, minChunk, false)
		if err != nil || taken {
			return err
		}
		if time.Since(began) > maxReading {
			return fmt.Errorf("violation: upload %s takes no chunk for %v after one was cut off", u.path, maxReading)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// ask asks how far the upload has come.
func (u *upload) ask() (offset int, err error) {
	a, err := u.client.call(request{
		kind:   "GET upload",
		method: http.MethodGet,
		path:   u.path,
		judge: func(a response) verdict {
			if a.status == http.StatusNotFound && (u.shaky || u.torn) {
				return no() // a chunk that was cut off has found out
			}
			var fault string
			if offset, fault = u.offsetIn(a); fault != "" {
				return wrong("%s", fault)
			}
			return done()
		},
	})
	if err == nil && a.status == http.StatusNotFound {
		err = errGone
	}
	return offset, err
}

// offsetIn reads where the upload stands from an answer that says so.
func (u *upload) offsetIn(a response) (offset int, fault string) {
	if a.status != http.StatusNoContent {
		return 0, unexpected(a).fault
	}
	var last int
	if _, err := fmt.Sscanf(a.header.Get("Range"), "0-%d", &last); err != nil {
		return 0, fmt.Sprintf("the range %q is none", a.header.Get("Range"))
	}
	if offset = last + 1; offset == 1 {
		offset = 0
	}
	if offset < u.low || offset > u.high {
		return 0, fmt.Sprintf("the upload stands at byte %d, not between %d and %d", offset, u.low, u.high)
	}
	return offset, ""
}

// check looks at the upload after a kill: it stands where it was acknowledged, or what ended it was done.
func (u *upload) check() error {
	known, most := false, u.high
	var offset int
	_, err := u.client.call(request{
		kind:   "GET upload",
		method: http.MethodGet,
		path:   u.path,
		judge: func(a response) verdict {
			if a.status == http.StatusNotFound && (u.ending != nil || u.shaky || u.torn) {
				return no()
			}
			known = true
			var fault string
			if offset, fault = u.offsetIn(a); fault != "" {
				return wrong("%s", fault)
			}
			return done()
		},
	})
	if err != nil {
		return err
	}
	switch {
	case known:
		if u.low, u.high = offset, offset; offset == 0 {
			u.high = min(most, 1)
		}
		u.shaky = u.shaky || u.ending != nil
	case u.shaky || u.torn:
		u.end() // its bytes were lost, or it was ended: what it touches tells
	default:
		u.end()
		u.client.model.happened(u.ending) // an upload that is gone has become its blob, if it was to
	}
	u.ending = nil
	return nil
}
