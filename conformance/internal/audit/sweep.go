package audit

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Bucket is what lies in a bucket.
type Bucket struct {
	Objects int
	Parts   []string // files of unfinished multipart uploads
}

func (b Bucket) String() string {
	return fmt.Sprintf("%d objects in the bucket, %d files of unfinished multipart uploads", b.Objects, len(b.Parts))
}

// Swept looks into the folder of a bucket after all uploads were given up and fsck has made its report: what lies there
// and is not known is lost space, which is an error.
func (d Data) Swept(known Report) (b Bucket, err error) {
	err = filepath.WalkDir(d.Objects, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		path, err = filepath.Rel(d.Objects, path)
		switch {
		case !strings.HasPrefix(path, ".sgwtmp"): // where versitygw keeps them
			b.Objects++
		case strings.Contains(path, ".inprogress/"):
			// versitygw was killed when it had made an object of these parts, and forgets them.
		default:
			b.Parts = append(b.Parts, path)
		}
		return err
	})
	if err == nil && (len(b.Parts) > 0 || known.Orphans > 0 || b.Objects != known.Objects) {
		err = fmt.Errorf("violation: all uploads were given up, and there are %s; berth fsck sees %d, of them %d orphans: %v %s",
			b, known.Objects, known.Orphans, known.Problems, strings.Join(b.Parts, ", "))
	}
	return b, err
}
