package s3

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
)

// state is what a suspended object needs to go on, in this process or another. The
// bytes it is kept as are
//
//	version  1 byte
//	flags    1 byte
//	upload   the ID, with its length before it; only if there is an upload
//	parts    their number, their size together, and of each the ETag and, if the upload has checksums, the CRC-32C
//	tail     the bytes that are in no part yet
//	check    CRC-32C of all that
//
// Lengths and numbers are uvarints. Most ETags are 32 hexadecimal digits and are kept
// as 16 bytes, so a part takes 21.
type state struct {
	upload string // empty if there is none
	sums   bool   // the upload has checksums
	strays bool   // the upload may have a twin that nobody knows
	parts  []part
	bytes  int64 // of the parts
	tail   []byte
}

const stateVersion = 1

const (
	flagUpload = 1 << iota
	flagSums
	flagStrays
	allFlags = 1<<iota - 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s state) encode() []byte {
	b := make([]byte, 0, 64+len(s.upload)+24*len(s.parts)+len(s.tail))
	b = append(b, stateVersion, s.flags())
	if s.upload != "" {
		b = appendString(b, s.upload)
		b = binary.AppendUvarint(b, uint64(len(s.parts)))
		b = binary.AppendUvarint(b, uint64(s.bytes))
		for _, p := range s.parts {
			b = appendETag(b, p.etag)
			if s.sums {
				b = binary.BigEndian.AppendUint32(b, p.crc)
			}
		}
	}
	b = append(b, s.tail...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func (s state) flags() (f byte) {
	if s.upload != "" {
		f |= flagUpload
	}
	if s.sums {
		f |= flagSums
	}
	if s.strays {
		f |= flagStrays
	}
	return f
}

// decodeState answers errState for whatever encode does not make.
func decodeState(b []byte) (s state, err error) {
	if len(b) < 6 {
		return state{}, errState
	}
	b, check := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(b, castagnoli) != check || b[0] != stateVersion || b[1]&^allFlags != 0 {
		return state{}, errState
	}
	flags, d := b[1], decoder{b: b[2:]}
	s.sums, s.strays = flags&flagSums != 0, flags&flagStrays != 0
	if flags&flagUpload != 0 {
		s.upload = d.string()
		n := d.uvarint()
		s.bytes = int64(d.uvarint())
		if d.bad || s.upload == "" || n > maxParts || s.bytes < 0 {
			return state{}, errState
		}
		for range n {
			p := part{etag: d.etag()}
			if s.sums {
				p.crc = d.uint32()
			}
			if d.bad {
				return state{}, errState
			}
			s.parts = append(s.parts, p)
		}
	}
	s.tail = d.b
	if d.bad || int64(len(s.tail)) >= partSize(len(s.parts)+1) {
		return state{}, errState
	}
	return s, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendETag begins with a zero where 16 bytes follow; no ETag is empty.
func appendETag(b []byte, etag string) []byte {
	if raw, err := hex.DecodeString(etag); err == nil && len(raw) == 16 && hex.EncodeToString(raw) == etag {
		return append(append(b, 0), raw...)
	}
	return appendString(b, etag)
}

// decoder takes values off the front of b. After the first that is not there, bad is
// set and all others are empty.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.take(uint64(n))
	return v
}

func (d *decoder) uint32() uint32 {
	b := d.take(4)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

func (d *decoder) etag() string {
	n := d.uvarint()
	if n == 0 {
		return hex.EncodeToString(d.take(16))
	}
	return string(d.take(n))
}
