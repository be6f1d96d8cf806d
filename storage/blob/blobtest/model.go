package blobtest

import (
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"berth/storage/blob"
)

// testModel does whatever comes to its mind to a store and to a map and compares.
func testModel(t *testing.T, s blob.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{Store: s, t: t, objects: make(map[blob.Key]*modelObject)}
		rt.Repeat(map[string]func(*rapid.T){
			"create":  m.create,
			"write":   m.write,
			"suspend": m.suspend,
			"resume":  m.resume,
			"close":   m.close,
			"commit":  m.commit,
			"discard": m.discard,
			"delete":  m.delete,
			"read":    m.read,
			"all":     m.all,
		})
		m.end(rt)
	})
}

// model is a store beside what it should hold.
type model struct {
	blob.Store
	t       *testing.T // for its context
	keys    []blob.Key // in the order of creation, so that a run can be repeated
	objects map[blob.Key]*modelObject
}

// modelObject is in one of four states: being written (writer is set), at rest (there
// are suspended states, or none if it was closed at once), committed, gone.
type modelObject struct {
	writer    blob.Writer
	bytes     []byte
	states    []suspended
	committed bool
	gone      bool
}

type suspended struct {
	state []byte
	size  int
}

// pick draws a key whose object is as it should be for an action.
func (m *model) pick(rt *rapid.T, fit func(*modelObject) bool) (blob.Key, *modelObject) {
	var keys []int
	for i, key := range m.keys {
		if fit(m.objects[key]) {
			keys = append(keys, i)
		}
	}
	if len(keys) == 0 {
		rt.Skip()
	}
	key := m.keys[rapid.SampledFrom(keys).Draw(rt, "object")]
	return key, m.objects[key]
}

func beingWritten(o *modelObject) bool { return o.writer != nil }
func atRest(o *modelObject) bool       { return o.writer == nil }
func resumable(o *modelObject) bool    { return o.writer == nil && len(o.states) > 0 }

func (m *model) create(rt *rapid.T) {
	key := blob.NewKey()
	w, err := m.Create(m.t.Context(), key)
	if err != nil {
		rt.Fatalf("Create: %v", err)
	}
	m.keys = append(m.keys, key)
	m.objects[key] = &modelObject{writer: w}
}

func (m *model) write(rt *rapid.T) {
	_, o := m.pick(rt, beingWritten)
	b := content(rapid.IntRange(0, 10_000).Draw(rt, "bytes"))
	if n, err := o.writer.Write(b); n != len(b) || err != nil {
		rt.Fatalf("Write of %d bytes: %d, %v", len(b), n, err)
	}
	o.bytes = append(o.bytes, b...)
}

func (m *model) suspend(rt *rapid.T) {
	_, o := m.pick(rt, beingWritten)
	state, err := o.writer.Suspend(m.t.Context())
	if err != nil {
		rt.Fatalf("Suspend: %v", err)
	}
	o.writer = nil
	o.states = append(o.states, suspended{state, len(o.bytes)})
}

func (m *model) resume(rt *rapid.T) {
	key, o := m.pick(rt, resumable)
	i := rapid.IntRange(0, len(o.states)-1).Draw(rt, "state")
	w, err := m.Resume(m.t.Context(), key, o.states[i].state)
	if err != nil {
		rt.Fatalf("Resume: %v", err)
	}
	o.writer = w
	o.bytes = o.bytes[:o.states[i].size]
	o.states = o.states[:i+1]
}

func (m *model) close(rt *rapid.T) {
	_, o := m.pick(rt, beingWritten)
	if err := o.writer.Close(); err != nil {
		rt.Fatalf("Close: %v", err)
	}
	o.writer = nil
	o.gone = len(o.states) == 0
}

func (m *model) commit(rt *rapid.T) {
	_, o := m.pick(rt, beingWritten)
	if err := o.writer.Commit(m.t.Context()); err != nil {
		rt.Fatalf("Commit: %v", err)
	}
	o.writer, o.states, o.committed = nil, nil, true
}

func (m *model) discard(rt *rapid.T) {
	key, o := m.pick(rt, atRest)
	var state []byte
	if n := len(o.states); n > 0 && rapid.Bool().Draw(rt, "state known") {
		state = o.states[n-1].state
	}
	if err := m.Discard(m.t.Context(), key, state); err != nil {
		rt.Fatalf("Discard: %v", err)
	}
	if !o.committed {
		o.states, o.gone = nil, true
	}
}

func (m *model) delete(rt *rapid.T) {
	key, o := m.pick(rt, atRest)
	if err := m.Delete(m.t.Context(), key); err != nil {
		rt.Fatalf("Delete: %v", err)
	}
	if o.committed {
		o.committed, o.gone = false, true
	}
}

func (m *model) read(rt *rapid.T) {
	key, o := m.pick(rt, func(*modelObject) bool { return true })
	if !o.committed {
		if _, err := m.Open(m.t.Context(), key, blob.Span{}); !errors.Is(err, blob.ErrNotExist) {
			rt.Fatalf("Open: %v; want ErrNotExist", err)
		}
		return
	}
	if err := compare(m.t.Context(), m, key, o.bytes); err != nil {
		rt.Fatal(err)
	}
	r, err := m.Open(m.t.Context(), key, blob.Span{})
	if err != nil {
		rt.Fatalf("Open: %v", err)
	}
	defer r.Close()
	at := rapid.IntRange(0, len(o.bytes)).Draw(rt, "offset")
	if _, err := r.Seek(int64(at), io.SeekStart); err != nil {
		rt.Fatalf("Seek: %v", err)
	}
	if err := same(r, o.bytes[at:]); err != nil {
		rt.Fatalf("from %d: %v", at, err)
	}
}

// all compares the objects of this run; others may be there from runs before.
func (m *model) all(rt *rapid.T) {
	want := make(map[blob.Key]bool)
	for key, o := range m.objects {
		want[key] = o.committed
	}
	for o, err := range m.All(m.t.Context()) {
		if err != nil {
			rt.Fatalf("All: %v", err)
		}
		is := m.objects[o.Key]
		switch {
		case is == nil:
			continue
		case is.gone:
			rt.Fatalf("All: %+v is gone", o)
		case is.committed != o.Committed:
			rt.Fatalf("All: %+v; committed should be %v", o, is.committed)
		case is.committed && o.Size != int64(len(is.bytes)):
			rt.Fatalf("All: %+v; size should be %d", o, len(is.bytes))
		}
		want[o.Key] = false
	}
	if slices.Contains(slices.Collect(maps.Values(want)), true) {
		rt.Fatal("All does not have every committed object")
	}
}

// end commits what is left half done, compares everything, and leaves nothing.
func (m *model) end(rt *rapid.T) {
	ctx := m.t.Context()
	for _, key := range m.keys {
		o := m.objects[key]
		if n := len(o.states); o.writer == nil && n > 0 {
			w, err := m.Resume(ctx, key, o.states[n-1].state)
			if err != nil {
				rt.Fatalf("Resume: %v", err)
			}
			o.writer, o.bytes = w, o.bytes[:o.states[n-1].size]
		}
		if o.writer != nil {
			if err := o.writer.Commit(ctx); err != nil {
				rt.Fatalf("Commit: %v", err)
			}
			o.writer, o.states, o.committed = nil, nil, true
		}
		if o.committed {
			if err := compare(ctx, m, key, o.bytes); err != nil {
				rt.Fatal(err)
			}
		}
		if err := m.Delete(ctx, key); err != nil {
			rt.Fatalf("Delete: %v", err)
		}
	}
}
