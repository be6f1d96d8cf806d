package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"berth/registry"
	"berth/scan"
	"berth/scan/remote"

	"github.com/opencontainers/go-digest"
)

// Engine does what a worker says over in, one thing after the other, and answers over out.
// It returns when in ends, in the midst of whatever it is doing: the process should end
// then, because nobody is there any more to look after it.
func Engine(ctx context.Context, s scan.Scanner, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := &engine{scanner: s, out: sender{w: out}, waiting: map[int64]chan answer{}}
	if err := e.out.send(word{Ready: s.Name()}); err != nil {
		return err
	}
	orders := make(chan order)
	broken := make(chan error, 1)
	go func() { broken <- e.work(ctx, orders) }()
	ended := make(chan error, 1)
	go func() { ended <- e.listen(ctx, newReceiver(in), orders) }()
	select {
	case err := <-broken:
		return err
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
}

// engine is the state of an Engine.
type engine struct {
	scanner scan.Scanner
	out     sender

	mu      sync.Mutex
	puller  *remote.Puller // of the job under way
	asked   int64          // the id of the last question
	waiting map[int64]chan answer
	failed  error // why the cache of layers did not work, in the job under way
}

// listen passes on what the worker says, until it ends.
func (e *engine) listen(ctx context.Context, in *receiver, orders chan<- order) error {
	for {
		var o order
		if err := in.receive(&o); err != nil {
			return err
		}
		switch {
		case o.Answer != nil:
			e.answered(*o.Answer)
		case o.Token != "":
			e.setToken(o.Token)
		default:
			select {
			case orders <- o:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// work does orders until nobody listens any more.
func (e *engine) work(ctx context.Context, orders <-chan order) error {
	for {
		var o order
		select {
		case o = <-orders:
		case <-ctx.Done():
			return ctx.Err()
		}
		var w word
		switch {
		case o.Use != nil:
			w.Used = new(used)
			if err := e.scanner.Use(o.Use.Kind, o.Use.Dir); err != nil {
				w.Used.Error = plain(err)
			}
		case o.Job != nil:
			done := e.do(ctx, *o.Job)
			w.Done = &done
		}
		if err := e.out.send(w); err != nil {
			return err
		}
		if o.Job != nil && o.Job.Inventory == nil {
			debug.FreeOSMemory() // of this image; the next one begins as a new engine would
		}
	}
}

// do looks at an image.
func (e *engine) do(ctx context.Context, job jobOrder) outcome {
	puller, err := remote.NewPuller(job.Registry, 0)
	if err != nil {
		return failure(err, nil)
	}
	puller.SetToken(job.Token)
	e.mu.Lock()
	e.puller, e.failed = puller, nil
	e.mu.Unlock()

	var o outcome
	inventory := job.Inventory
	if inventory == nil {
		i, err := e.inventory(ctx, puller, job)
		if err != nil {
			return failure(err, errors.Join(puller.Failed(), e.cacheFailure()))
		}
		if len(i.CycloneDX) > scan.MaxInventory {
			return failure(fmt.Errorf("the inventory is larger than %d MiB", scan.MaxInventory>>20), nil)
		}
		inventory = i.CycloneDX
		o = outcome{Inventory: i.CycloneDX, OS: i.OS, Packages: i.Packages}
	}
	if !job.Match {
		return o
	}
	findings, err := e.scanner.Match(ctx, inventory)
	switch {
	case errors.Is(err, scan.ErrNoDatabase) && o.Inventory != nil:
		return o
	case errors.Is(err, scan.ErrNoDatabase):
		return failure(err, err)
	case err != nil:
		return failure(err, nil)
	}
	if b, err := json.Marshal(findings); err != nil || len(b) > scan.MaxFindings {
		return failure(fmt.Errorf("there are %d findings, which take more than %d MiB", len(findings), scan.MaxFindings>>20), nil)
	}
	o.Findings = append([]scan.Finding{}, findings...) // none is not the same as not looked for
	return o
}

func (e *engine) inventory(ctx context.Context, puller *remote.Puller, job jobOrder) (scan.Inventory, error) {
	manifest, mediaType, err := puller.Manifest(ctx, job.Repository, job.Digest)
	if err != nil {
		return scan.Inventory{}, err
	}
	return e.scanner.Inventory(ctx, scan.Image{
		Repository: job.Repository,
		Digest:     job.Digest,
		MediaType:  mediaType,
		Manifest:   manifest,
		Open: func(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
			return puller.Blob(ctx, job.Repository, d)
		},
	}, layers{e})
}

// failure is an outcome without anything. outside is what went wrong that is not the
// image's fault, and may go better the next time; nil if nothing did.
func failure(err, outside error) outcome {
	f := scan.Failure{Reason: plain(err), Permanent: true}
	switch {
	case outside != nil:
		f = scan.Failure{Reason: plain(outside)}
	case errors.Is(err, scan.ErrNothingFound):
		f.Unsupported = true
	case errors.Is(err, syscall.EFBIG):
		f.Reason = "it needed more room on the disk than it may have"
	case errors.Is(err, syscall.ENOSPC):
		f = scan.Failure{Reason: "the disk of the worker is full"}
	case errors.Is(err, context.Canceled):
		f.Permanent = false
	}
	return outcome{Failure: &f}
}

// maxReason is the longest that is told of an error, in bytes.
const maxReason = 2 << 10

// plain is an error without the code that clients of a registry go by, and not too long.
func plain(err error) string {
	text := err.Error()
	var e *registry.Error
	if errors.As(err, &e) {
		text = strings.Replace(text, string(e.Code)+": ", "", 1)
	}
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
}

func (e *engine) setToken(token string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.puller != nil {
		e.puller.SetToken(token)
	}
}

// cacheFailure is why the cache of layers did not work, if it did not.
func (e *engine) cacheFailure() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}
