package main

import (
	"context"
	"testing"
	"time"

	"berth/registry/engine"
	"berth/storage/blob"
	"berth/storage/blob/mem"
	"berth/storage/blob/s3"
	"berth/storage/blob/s3/s3test"
	"berth/storage/meta"
)

// TestServerDiscardsStrays expires uploads through the store that a server has, which
// measures what it does: a multipart upload that no row names goes.
func TestServerDiscardsStrays(t *testing.T) {
	server := s3test.Start(t)
	opts, err := s3.ParseURL(server.URL(server.Bucket(t)))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := s3.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close(context.WithoutCancel(t.Context()))
	w, err := bucket.Create(t.Context(), blob.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(make([]byte, 6<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Suspend(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, err := meta.Open(t.Context(), "sqlite:"+t.TempDir()+"/berth.db", meta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e := engine.New(db, newMetrics().store(bucket), engine.Options{})
	if err := e.ExpireUploads(t.Context(), time.Now().Add(time.Hour), false, func(engine.Expired) {}); err != nil {
		t.Error(err)
	}
	for o, err := range bucket.Unfinished(t.Context()) {
		t.Errorf("there is still %+v (%v)", o, err)
	}
}

// TestMeteredStoreOfOthers has nothing to sweep in a store that is no [blob.Sweeper].
func TestMeteredStoreOfOthers(t *testing.T) {
	s := newMetrics().store(mem.New()).(blob.Sweeper)
	for o, err := range s.Unfinished(t.Context()) {
		t.Errorf("%+v, %v", o, err)
	}
}
