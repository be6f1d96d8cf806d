package s3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

// breakOff ends the body of an answer after n bytes.
func breakOff(n int64) failure {
	return func(f *faults, r *http.Request) (*http.Response, error) {
		answer, err := f.send(r)
		if err == nil {
			answer.Body = &brokenBody{io.MultiReader(io.LimitReader(answer.Body, n), broken{}), answer.Body}
		}
		return answer, err
	}
}

type brokenBody struct {
	io.Reader
	io.Closer
}

// standStill does the same without a word.
func standStill(n int64) failure {
	return func(f *faults, r *http.Request) (*http.Response, error) {
		answer, err := f.send(r)
		if err == nil {
			wait := readerFunc(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			})
			answer.Body = &brokenBody{io.MultiReader(io.LimitReader(answer.Body, n), wait), answer.Body}
		}
		return answer, err
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var readTests = []struct {
	name  string
	times int
	fault failure
	want  error
}{
	{"refused twice", 2, refuse(503, "SlowDown"), nil},
	{"refused", -1, refuse(503, "SlowDown"), blob.ErrUnavailable},
	{"not found", -1, refuse(404, "NoSuchKey"), blob.ErrNotExist},
	{"no bucket", -1, refuse(404, "NoSuchBucket"), blob.ErrUnavailable},
	{"cut", 2, cutAfter, nil},
	{"stalls", 1, stall, nil},
	{"breaks off at once", 2, breakOff(0), nil},
	{"breaks off twice", 2, breakOff(100_000), nil},
	{"always breaks off somewhere", -1, breakOff(1 << 20), nil},
	{"always breaks off at once", -1, breakOff(0), blob.ErrUnavailable},
	{"stands still", 1, standStill(100_000), nil},
}

func TestReadFaults(t *testing.T) {
	server := s3test.Start(t)
	for _, test := range readTests {
		s, f := faulty(t, server, nil)
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, b := blob.NewKey(), content(big)
			if err := writeAll(t, s, key, b); err != nil {
				t.Fatal(err)
			}
			f.set(Get, test.times, test.fault)
			r, err := s.Open(t.Context(), key, blob.Span{})
			if err == nil {
				defer r.Close()
				var got []byte
				if got, err = io.ReadAll(r); string(got) != string(b[:len(got)]) || err == nil && len(got) != len(b) {
					t.Errorf("%d other bytes", len(got))
				}
			}
			if test.want == nil && err != nil || !errors.Is(err, test.want) {
				t.Errorf("%v; want %v", err, test.want)
			}
		})
	}
}

// TestSpan reads parts of objects and counts what that takes.
func TestSpan(t *testing.T) {
	s, f := faulty(t, s3test.Start(t), nil)
	const size = 100_000
	key, b := blob.NewKey(), content(size)
	if err := writeAll(t, s, key, b); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		span     blob.Span
		from, n  int64
		requests int
	}{
		{blob.Span{}, 0, size, 1},
		{blob.Span{Offset: 10}, 10, size - 10, 1},
		{blob.Span{Offset: 10, Length: 20}, 10, 20, 1},
		{blob.Span{Length: 20}, 0, 20, 1},
		{blob.Span{Length: 20}, 0, 21, 2},
		{blob.Span{Offset: 10, Length: 20}, 0, size, 2},
		{blob.Span{Offset: size - 1, Length: 20}, size - 1, 1, 1},
		{blob.Span{Offset: size, Length: 20}, size, 0, 1},
		{blob.Span{Offset: size + 10}, 5, 5, 2},
	} {
		clear(f.seen)
		r, err := s.Open(t.Context(), key, test.span)
		if err != nil {
			t.Errorf("%+v: %v", test.span, err)
			continue
		}
		if n, err := r.Seek(0, io.SeekEnd); n != size || err != nil {
			t.Errorf("%+v: the size is %d, %v", test.span, n, err)
		}
		r.Seek(test.from, io.SeekStart)
		got := make([]byte, test.n)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != string(b[test.from:test.from+test.n]) {
			t.Errorf("%+v: %d bytes from %d: %v", test.span, test.n, test.from, err)
		}
		// This server does not say in a 416 how large the object is, so it is asked.
		beyond := 0
		if test.span.Offset >= size {
			beyond = 1
		}
		if f.seen[Get] != test.requests || f.seen[Head] != beyond {
			t.Errorf("%+v, %d bytes from %d: %v", test.span, test.n, test.from, f.seen)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, errClosed) {
			t.Error("Read after Close: no error")
		}
	}
	if r, err := s.Open(t.Context(), blob.NewKey(), blob.Span{Offset: 5}); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("Open: %v, %v; want ErrNotExist", r, err)
	}
}

func TestPresign(t *testing.T) {
	s := openStore(t, s3test.Start(t), nil)
	key, b := blob.NewKey(), content(small)
	if err := writeAll(t, s, key, b); err != nil {
		t.Fatal(err)
	}
	get := func(expires, wait time.Duration) (int, []byte) {
		url, err := s.Presign(t.Context(), key, expires)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(url, s3test.SecretKey) {
			t.Errorf("the URL has the secret key: %s", url)
		}
		time.Sleep(wait)
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		got, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, got
	}
	if status, got := get(time.Minute, 0); status != http.StatusOK || string(got) != string(b) {
		t.Errorf("%d, %d bytes", status, len(got))
	}
	// Its life is counted in whole seconds from the one in which it was signed.
	if status, got := get(time.Second, 2100*time.Millisecond); status != http.StatusForbidden {
		t.Errorf("after its time: %d, %d bytes", status, len(got))
	}
}
