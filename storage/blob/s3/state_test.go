package s3

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"

	"berth/storage/blob"
	"berth/storage/blob/s3/s3test"
)

var stateTests = []state{
	{},
	{tail: []byte("tail")},
	{strays: true, tail: []byte{0}},
	{upload: "id", sums: true, parts: []part{{"d41d8cd98f00b204e9800998ecf8427e", 1}, {"D41D8CD98F00B204E9800998ECF8427E", 2}}},
	{upload: "id", parts: []part{{etag: "no digits"}, {etag: strings.Repeat("x", 300)}}, tail: []byte("tail")},
	{upload: strings.Repeat("x", 200), sums: true, strays: true, parts: make2000(), tail: bytes.Repeat([]byte("tail"), 100_000)},
}

func make2000() []part {
	parts := make([]part, 2000)
	for i := range parts {
		parts[i] = part{"d41d8cd98f00b204e9800998ecf8427e", uint32(i)}
	}
	return parts
}

func TestState(t *testing.T) {
	for i, s := range stateTests {
		b := s.encode()
		got, err := decodeState(b)
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if len(got.tail) == 0 {
			got.tail = nil
		}
		if !reflect.DeepEqual(got, s) {
			t.Errorf("%d has become %+v", i, got)
		}
		if size := len(b) - len(s.tail) - len(s.upload) - 21*len(s.parts); i != 4 && size > 40 {
			t.Errorf("%d: %d bytes too many", i, size)
		}
		for _, n := range []int{0, 1, 5, len(b) / 2, len(b) - 1} {
			if _, err := decodeState(b[:n]); !errors.Is(err, errState) {
				t.Errorf("%d: the first %d bytes: %v", i, n, err)
			}
			broken := bytes.Clone(b)
			broken[n] ^= 0x10
			if _, err := decodeState(broken); !errors.Is(err, errState) {
				t.Errorf("%d: byte %d changed: %v", i, n, err)
			}
		}
	}
}

func TestBadState(t *testing.T) {
	s := openStore(t, s3test.Start(t), nil)
	for _, b := range [][]byte{{}, []byte("state"), make([]byte, 100)} {
		if w, err := s.Resume(t.Context(), blob.NewKey(), b); err == nil || errors.Is(err, blob.ErrLost) {
			t.Errorf("Resume from %q: %v, %v", b, w, err)
		}
		if err := s.Discard(t.Context(), blob.NewKey(), b); err == nil {
			t.Errorf("Discard of %q: no error", b)
		}
	}
}

func FuzzState(f *testing.F) {
	for _, s := range stateTests {
		b := s.encode()
		f.Add(b[:len(b)-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// The check is put right, or nothing else would ever be reached.
		b = binary.BigEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))
		s, err := decodeState(b)
		if err != nil {
			return
		}
		again, err := decodeState(s.encode())
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%+v has become %+v, %v", s, again, err)
		}
	})
}
