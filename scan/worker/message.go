package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"berth/registry"
	"berth/scan"

	"github.com/opencontainers/go-digest"
)

// A worker and its engine send each other JSON, a line a message.

// order is what the worker says to the engine: one of its members.
type order struct {
	Use    *useOrder `json:"use,omitempty"`
	Job    *jobOrder `json:"job,omitempty"`
	Token  string    `json:"token,omitempty"` // to go on with, in the job under way
	Answer *answer   `json:"answer,omitempty"`
}

// useOrder has the engine open a database.
type useOrder struct {
	Kind scan.DatabaseKind `json:"kind"`
	Dir  string            `json:"dir"`
}

// jobOrder has the engine look at an image.
type jobOrder struct {
	Registry   string          `json:"registry"` // its URL
	Repository registry.Name   `json:"repository"`
	Digest     digest.Digest   `json:"digest"`
	Token      string          `json:"token"`
	Inventory  json.RawMessage `json:"inventory,omitempty"` // that was made before
	Match      bool            `json:"match"`
}

// answer is what a question has led to.
type answer struct {
	ID      int64    `json:"id"`
	Keys    []string `json:"keys,omitempty"`
	Content []byte   `json:"content,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// word is what the engine says to the worker: one of its members.
type word struct {
	Ready    string    `json:"ready,omitempty"` // the name of the scanner: said first
	Used     *used     `json:"used,omitempty"`
	Done     *outcome  `json:"done,omitempty"`
	Question *question `json:"question,omitempty"`
}

// used is what has become of a useOrder.
type used struct {
	Error string `json:"error,omitempty"`
}

// outcome is what has become of a jobOrder.
type outcome struct {
	Inventory json.RawMessage `json:"inventory,omitempty"` // if it was made
	OS        string          `json:"os,omitempty"`
	Packages  int             `json:"packages,omitempty"`
	Findings  []scan.Finding  `json:"findings"` // nil if the inventory was not matched
	Failure   *scan.Failure   `json:"failure,omitempty"`
}

// question is about the cache of layers, which the worker asks the registry for: the
// engine has no credentials but the token of a job. Of Missing, Get and Put one is set.
type question struct {
	ID      int64    `json:"id"`
	Missing []string `json:"missing,omitempty"`
	Get     string   `json:"get,omitempty"`
	Put     string   `json:"put,omitempty"`
	Content []byte   `json:"content,omitempty"`
}

// maxMessage is the longest that either may send. Findings and inventory are limited by
// themselves; what is cached of a layer grows by a third in base64.
const maxMessage = scan.MaxInventory + scan.MaxFindings + 1<<20

// errLongMessage ends a conversation: whoever sends that much is broken.
var errLongMessage = fmt.Errorf("a message between worker and engine is longer than %d MiB", maxMessage>>20)

// sender writes messages. It is safe for concurrent use.
type sender struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *sender) send(message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(b) > maxMessage {
		return errLongMessage
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.w.Write(append(b, '\n'))
	return err
}

// receiver reads messages.
type receiver struct {
	r    io.Reader
	left int64 // that the message being read may still take
	dec  *json.Decoder
}

func newReceiver(r io.Reader) *receiver {
	v := &receiver{r: r}
	v.dec = json.NewDecoder(v)
	return v
}

func (v *receiver) Read(b []byte) (int, error) {
	if v.left <= 0 {
		return 0, errLongMessage
	}
	n, err := v.r.Read(b[:min(int64(len(b)), v.left)])
	v.left -= int64(n)
	return n, err
}

// receive reads a message. io.EOF means that the other side has ended.
func (v *receiver) receive(message any) error {
	v.left = maxMessage + 1<<20 // the decoder reads ahead
	err := v.dec.Decode(message)
	if errors.Is(err, io.ErrUnexpectedEOF) { // killed in the midst of it
		return io.EOF
	}
	return err
}
