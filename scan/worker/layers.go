package worker

import (
	"context"
	"errors"
	"fmt"

	"berth/scan"
)

// layers is the cache of layers as an engine sees it: it asks its worker.
type layers struct{ e *engine }

var _ scan.LayerCache = layers{}

// Missing says which of keys are not there.
func (l layers) Missing(ctx context.Context, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	a, err := l.e.ask(ctx, question{Missing: keys})
	return a.Keys, err
}

// Layer returns what is kept of a layer.
func (l layers) Layer(ctx context.Context, key string) ([]byte, error) {
	a, err := l.e.ask(ctx, question{Get: key})
	return a.Content, err
}

// PutLayer keeps what was found in a layer.
func (l layers) PutLayer(ctx context.Context, key string, content []byte) error {
	if len(content) > scan.MaxLayer {
		return fmt.Errorf("what was found in a layer takes %d MiB, of which %d are kept at most", len(content)>>20, scan.MaxLayer>>20)
	}
	_, err := l.e.ask(ctx, question{Put: key, Content: content})
	return err
}

// ask puts a question to the worker and waits for the answer.
func (e *engine) ask(ctx context.Context, q question) (answer, error) {
	reply := make(chan answer, 1)
	e.mu.Lock()
	e.asked++
	q.ID = e.asked
	e.waiting[q.ID] = reply
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.waiting, q.ID)
		e.mu.Unlock()
	}()
	if err := e.out.send(word{Question: &q}); err != nil {
		return answer{}, err
	}
	select {
	case <-ctx.Done():
		return answer{}, ctx.Err()
	case a := <-reply:
		if a.Error == "" {
			return a, nil
		}
		err := errors.New(a.Error)
		e.mu.Lock()
		e.failed = err
		e.mu.Unlock()
		return a, err
	}
}

// answered passes an answer to whoever has asked.
func (e *engine) answered(a answer) {
	e.mu.Lock()
	reply := e.waiting[a.ID]
	e.mu.Unlock()
	if reply != nil {
		reply <- a // there is one answer to a question, and room for it
	}
}

// reply answers a question of an engine from the cache.
func reply(ctx context.Context, cache scan.LayerCache, q question) (a answer) {
	a.ID = q.ID
	var err error
	switch {
	case len(q.Missing) > 0:
		a.Keys, err = cache.Missing(ctx, q.Missing)
	case q.Get != "":
		a.Content, err = cache.Layer(ctx, q.Get)
	case q.Put != "":
		err = cache.PutLayer(ctx, q.Put, q.Content)
	default:
		err = errors.New("the engine has asked for nothing")
	}
	if err != nil {
		a.Error = plain(err)
	}
	return a
}
