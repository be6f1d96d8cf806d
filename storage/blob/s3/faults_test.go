package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

// faults makes requests of a kind fail.
type faults struct {
	next http.RoundTripper

	mu    sync.Mutex
	kind  Kind
	times int // how many more
	fault failure
	seen  map[Kind]int // requests that reached the server
}

type failure func(f *faults, r *http.Request) (*http.Response, error)

func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := callOf(r.Context()).kind
	f.mu.Lock()
	fail := f.fault != nil && kind == f.kind && f.times != 0
	if fail {
		f.times--
	}
	f.mu.Unlock()
	if fail {
		return f.fault(f, r)
	}
	return f.send(r)
}

func (f *faults) send(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.seen[callOf(r.Context()).kind]++
	f.mu.Unlock()
	return f.next.RoundTrip(r)
}

// set makes the next requests of a kind fail; negative times means all.
func (f *faults) set(kind Kind, times int, fault failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind, f.times, f.fault = kind, times, fault
}

// faulty returns a store whose requests can be made to fail.
func faulty(t testing.TB, server *s3test.Server, change func(*Options)) (*Store, *faults) {
	f := &faults{seen: make(map[Kind]int)}
	s := openStore(t, server, func(o *Options) {
		o.Timeout = 2 * time.Second // of which a busy machine takes some
		o.Transport = func(next http.RoundTripper) http.RoundTripper {
			f.next = next
			return f
		}
		if change != nil {
			change(o)
		}
	})
	return s, f
}

var errCable = errors.New("somebody pulled the cable")

func answer(r *http.Request, status int, code string) *http.Response {
	body := fmt.Sprintf("<Error><Code>%s</Code><Message>no</Message></Error>", code)
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r, Header: make(http.Header),
		ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func refuse(status int, code string) failure {
	return func(_ *faults, r *http.Request) (*http.Response, error) { return answer(r, status, code), nil }
}

func cutBefore(*faults, *http.Request) (*http.Response, error) { return nil, errCable }

func cutAfter(f *faults, r *http.Request) (*http.Response, error) {
	if answer, err := f.send(r); err == nil {
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	return nil, errCable
}

// cutAmid sends half a body.
func cutAmid(f *faults, r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return nil, errCable
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, r.ContentLength/2), broken{}))
	return f.send(r)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errCable }

// stall answers nothing.
func stall(_ *faults, r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func wrongETag(f *faults, r *http.Request) (*http.Response, error) {
	answer, err := f.send(r)
	if err == nil {
		answer.Header.Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	}
	return answer, err
}

// swallow says that it stored what it did not.
func swallow(_ *faults, r *http.Request) (*http.Response, error) {
	a := answer(r, http.StatusOK, "")
	a.Body, a.ContentLength = http.NoBody, 0
	a.Header.Set("ETag", `"d41d8cd98f00b204e9800998ecf8427e"`)
	return a, nil
}

const (
	small = 1000
	big   = 11<<20 + 7
)

var faultTests = []struct {
	name  string
	size  int
	kind  Kind
	times int
	fault failure
	want  error
}{
	{"put refused twice", small, Put, 2, refuse(503, "SlowDown"), nil},
	{"put failed twice", small, Put, 2, refuse(500, "InternalError"), nil},
	{"put refused", small, Put, -1, refuse(503, "SlowDown"), blob.ErrUnavailable},
	{"put cut before", small, Put, 1, cutBefore, nil},
	{"put cut amid", small, Put, 1, cutAmid, nil},
	{"put cut after", small, Put, 1, cutAfter, nil},
	{"put always cut after", small, Put, -1, cutAfter, nil}, // it is there all the same
	{"put always cut before", small, Put, -1, cutBefore, blob.ErrUnavailable},
	{"put stalls", small, Put, 1, stall, nil},
	{"put knows no condition", small, Put, 1, refuse(501, "NotImplemented"), nil},
	{"put forbidden", small, Put, -1, refuse(403, "AccessDenied"), blob.ErrUnavailable},
	{"put skewed", small, Put, -1, refuse(403, "RequestTimeTooSkewed"), blob.ErrUnavailable},
	{"put without a bucket", small, Put, -1, refuse(404, "NoSuchBucket"), blob.ErrUnavailable},
	{"put full", small, Put, -1, refuse(507, "InsufficientStorage"), blob.ErrFull},
	{"put over quota", small, Put, -1, refuse(403, "QuotaExceeded"), blob.ErrFull},

	{"create refused twice", big, Begin, 2, refuse(503, "SlowDown"), nil},
	{"create refused", big, Begin, -1, refuse(503, "SlowDown"), blob.ErrUnavailable},
	{"create cut before", big, Begin, 1, cutBefore, nil},
	{"create cut after", big, Begin, 1, cutAfter, nil},
	{"create always cut after", big, Begin, -1, cutAfter, blob.ErrUnavailable},
	{"create stalls", big, Begin, 1, stall, nil},

	{"part refused twice", big, Part, 2, refuse(503, "SlowDown"), nil},
	{"part refused", big, Part, -1, refuse(503, "SlowDown"), blob.ErrUnavailable},
	{"part cut before", big, Part, 1, cutBefore, nil},
	{"part cut amid", big, Part, 2, cutAmid, nil},
	{"part cut after", big, Part, 1, cutAfter, nil},
	{"part stalls", big, Part, 1, stall, nil},
	{"part full", big, Part, -1, refuse(507, "XMinioStorageFull"), blob.ErrFull},
	{"part with the wrong ETag", big, Part, 1, wrongETag, blob.ErrLost},
	{"part swallowed", big, Part, 1, swallow, blob.ErrLost},
	{"part of no upload", big, Part, -1, refuse(404, "NoSuchUpload"), blob.ErrLost},

	{"complete refused twice", big, Complete, 2, refuse(503, "SlowDown"), nil},
	{"complete fails with 200", big, Complete, 2, refuse(200, "InternalError"), nil},
	{"complete refused", big, Complete, -1, refuse(503, "SlowDown"), blob.ErrUnavailable},
	{"complete cut before", big, Complete, 1, cutBefore, nil},
	{"complete cut after", big, Complete, 1, cutAfter, nil},
	{"complete always cut after", big, Complete, -1, cutAfter, nil},
	{"complete always cut before", big, Complete, -1, cutBefore, blob.ErrUnavailable},
	{"complete stalls", big, Complete, 1, stall, nil},
}

func TestFaults(t *testing.T) {
	server := s3test.Start(t)
	for _, sums := range []bool{true, false} {
		for _, test := range faultTests {
			if !sums && strings.HasSuffix(test.name, "stalls") {
				continue // takes long and tells nothing new
			}
			s, f := faulty(t, server, func(o *Options) { o.NoChecksum = !sums })
			t.Run(fmt.Sprint(test.name, ", checksums: ", sums), func(t *testing.T) {
				t.Parallel()
				testFault(t, s, f, test.size, test.want, func() { f.set(test.kind, test.times, test.fault) })
			})
		}
	}
}

func testFault(t *testing.T, s *Store, f *faults, size int, want error, begin func()) {
	key, b := blob.NewKey(), content(size)
	begin()
	err := writeAll(t, s, key, b)
	f.set("", 0, nil)
	if want == nil && err != nil || !errors.Is(err, want) {
		t.Fatalf("%v; want %v", err, want)
	}
	for _, word := range []error{blob.ErrFull, blob.ErrLost, blob.ErrUnavailable, blob.ErrNotExist, blob.ErrYield} {
		if errors.Is(err, word) && word != want {
			t.Errorf("%v is also %v", err, word)
		}
	}
	if err == nil {
		check(t, s, key, b)
		s.work.Wait()
		for u, err := range s.uploads(t.Context(), "") {
			t.Errorf("after Commit there is the upload %s, %v", u.UploadID, err)
		}
	} else if _, err := s.Size(t.Context(), key); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("Size: %v; want ErrNotExist", err)
	}
	if err := s.Discard(t.Context(), key, nil); err != nil {
		t.Errorf("Discard: %v", err)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Errorf("Delete: %v", err)
	}
	checkEmpty(t, s)
	if s.pool.free != s.pool.limit || s.pool.least < 0 {
		t.Errorf("%d bytes of memory are free, at least %d were; want %d", s.pool.free, s.pool.least, s.pool.limit)
	}
}

// content is bytes that differ from place to place and may not be changed.
func content(n int) []byte { return allContent()[:n:n] }

var allContent = sync.OnceValue(func() []byte {
	b := make([]byte, 64<<20)
	rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return b
})

func writeAll(t testing.TB, s *Store, key blob.Key, b []byte) error {
	w, err := s.Create(t.Context(), key)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Commit(t.Context())
}

func check(t testing.TB, s *Store, key blob.Key, want []byte) {
	t.Helper()
	r, err := s.Open(t.Context(), key, blob.Span{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, want) {
		t.Fatalf("%d bytes, %v; want %d others", len(b), err, len(want))
	}
}

// checkEmpty fails if anything is left in the bucket.
func checkEmpty(t testing.TB, s *Store) {
	t.Helper()
	for o, err := range s.All(t.Context()) {
		t.Errorf("All: %+v, %v", o, err)
	}
}
