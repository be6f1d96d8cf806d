package s3

import (
	"context"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"

	"berth/storage/blob"
)

// A bucket keeps a few files beside its objects, such as backups. They have names that
// people give them, at <prefix>/files/<name>.

// filePart is how much of a file is in memory at once, in bytes.
const filePart = 16 << 20

func (s *Store) file(name string) string {
	return strings.TrimSuffix(s.prefix, "blobs/") + "files/" + name
}

// PutFile stores what r has to its end, or nothing.
func (s *Store) PutFile(ctx context.Context, name string, r io.Reader) error {
	o := s.client.putOptions()
	o.PartSize = filePart
	ctx = (&call{kind: Put}).with(ctx)
	_, err := s.client.Client.PutObject(ctx, s.client.bucket, s.file(name), r, -1, o)
	return fault(ctx, "put a file", err)
}

// OpenFile opens a file. Errors: blob.ErrNotExist.
func (s *Store) OpenFile(ctx context.Context, name string) (io.ReadCloser, error) {
	ctx = (&call{kind: Get}).with(ctx)
	content, _, _, err := s.client.GetObject(ctx, s.client.bucket, s.file(name), minio.GetObjectOptions{})
	if err != nil {
		return nil, fault(ctx, "open a file", err)
	}
	return content, nil
}

// Files lists the names of all files.
func (s *Store) Files(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithCancel((&call{kind: List}).with(ctx))
	defer cancel() // or the lister would wait for somebody to take what it found
	var names []string
	prefix := s.file("")
	for o := range s.client.Client.ListObjects(ctx, s.client.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return nil, fault(ctx, "list files", o.Err)
		}
		names = append(names, strings.TrimPrefix(o.Key, prefix))
	}
	return names, nil
}

var _ blob.Files = (*Store)(nil)
