package fs

import (
	"context"
	"sync/atomic"
	"testing"

	"berth/storage/blob"
)

// BenchmarkLayer is what a push does to the store for each layer.
func BenchmarkLayer(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	piece := make([]byte, 256<<10)
	const size = 16 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		key := blob.NewKey()
		write(b, s, key, piece, size)
		b.StopTimer()
		if err := s.Delete(context.Background(), key); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkSmall is eight clients who push configs.
func BenchmarkSmall(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	piece := make([]byte, 4<<10)
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for left.Add(-1) >= 0 {
				write(b, s, blob.NewKey(), piece, len(piece))
			}
		}()
	}
	for range 8 {
		<-done
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkOpen is what a pull asks of the store before sendfile.
func BenchmarkOpen(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	key := blob.NewKey()
	write(b, s, key, make([]byte, 4<<10), 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		r, err := s.Open(context.Background(), key, blob.Span{})
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func write(b *testing.B, s *Store, key blob.Key, piece []byte, size int) {
	w, err := s.Create(context.Background(), key)
	if err != nil {
		b.Error(err)
		return
	}
	defer w.Close()
	for range size / len(piece) {
		if _, err := w.Write(piece); err != nil {
			b.Error(err)
			return
		}
	}
	if err := w.Commit(context.Background()); err != nil {
		b.Error(err)
	}
}
