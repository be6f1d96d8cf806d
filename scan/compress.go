package scan

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
)

// compress packs inventories, findings and layers for the [Store]. The fastest level takes a
// quarter of the time of the usual one, and its result is a fifth larger.
func compress(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// expand takes compress back, unless that makes more than limit bytes.
func expand(kept []byte, limit int64) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(kept))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = errTooLarge
	}
	return content, err
}

// keepFindings packs findings for the [Store].
func keepFindings(findings []Finding) ([]byte, error) {
	b, err := json.Marshal(findings)
	if err != nil {
		return nil, err
	}
	return compress(b)
}

// readFindings takes keepFindings back. What was kept may be somewhat larger than what a
// worker may send.
func readFindings(kept []byte) ([]Finding, error) {
	b, err := expand(kept, 2*MaxFindings)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	err = json.Unmarshal(b, &findings)
	return findings, err
}

// errTooLarge says that something unpacks to more than a store should have.
var errTooLarge = errors.New("it is larger than is allowed")
