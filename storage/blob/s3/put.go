package s3

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
)

// putObject stores a whole object. S3 is asked not to replace one: a request of a
// process that was paused or cut off may arrive late, when another has taken over and
// committed more.
func (s *Store) putObject(ctx context.Context, name string, b *body, crc uint32) error {
	fresh := !s.unconditional.Load()
	err := s.client.put(ctx, name, b, crc, fresh)
	if err != nil && fresh && is(err, http.StatusNotImplemented, "NotImplemented") {
		s.unconditional.Store(true)
		err = s.client.put(ctx, name, b, crc, false)
	}
	if err == nil {
		return nil
	}
	there := is(err, http.StatusPreconditionFailed, "PreconditionFailed")
	if answered(err) && !there {
		return fault(ctx, "store "+name, err)
	}
	switch is, found := s.isBytes(name, b, crc); {
	case found == nil && is:
		return nil // stored, but the answer was lost
	case found == nil:
		return fmt.Errorf("%w: %s holds something else: %w", blob.ErrLost, name, err)
	case there && !errors.Is(found, blob.ErrNotExist):
		return found
	case there:
		return fmt.Errorf("%w: %s: it was there and is gone: %w", blob.ErrUnavailable, name, err)
	}
	return fault(ctx, "store "+name, err)
}

// look asks what is in the bucket under name, after a request whose time may be up.
func (s *Store) look(name string) (minio.ObjectInfo, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	return s.client.head(ctx, name)
}

// isBytes reports whether the object consists of b.
func (s *Store) isBytes(name string, b *body, crc uint32) (bool, error) {
	info, err := s.look(name)
	if err != nil || info.Size != b.size {
		return false, err
	}
	if !s.client.noChecksum && info.ChecksumCRC32C != "" {
		return info.ChecksumCRC32C == encodeCRC(crc), nil
	}
	h := md5.New()
	for _, c := range b.chunks() {
		h.Write(c)
	}
	return info.ETag == hex.EncodeToString(h.Sum(nil)), nil
}

// isObject reports whether the object was made of the parts of u. ours says that an
// earlier attempt of ours may have completed it: then the right size is enough if the
// server tells neither a checksum nor an ETag that can be computed here.
func (s *Store) isObject(u *upload, ours bool) (bool, error) {
	info, err := s.look(u.name)
	if err != nil {
		return false, err
	}
	if info.Size != u.bytes {
		return false, nil
	}
	if sum, _, found := strings.Cut(info.ChecksumCRC32C, "-"); found && u.sums {
		return sum == u.compositeCRC(), nil
	}
	if info.ETag == u.compositeETag() {
		return true, nil
	}
	return ours, nil
}

// compositeCRC is how S3 sums up the checksums of the parts.
func (u *upload) compositeCRC() string {
	h := crc32.New(castagnoli)
	for _, p := range u.parts {
		h.Write(binary.BigEndian.AppendUint32(nil, p.crc))
	}
	return encodeCRC(h.Sum32())
}

// compositeETag is the ETag of the object where those of parts are their MD5, as they are
// on AWS but for some kinds of encryption; otherwise it is that of nothing.
func (u *upload) compositeETag() string {
	h := md5.New()
	for _, p := range u.parts {
		sum, err := hex.DecodeString(p.etag)
		if err != nil || len(sum) != md5.Size {
			return ""
		}
		h.Write(sum)
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(u.parts))
}
