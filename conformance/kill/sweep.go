package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// sweep is what lies in the bucket when there are no uploads any more.
type sweep struct {
	objects int
	orphans int
	parts   []string // files of unfinished multipart uploads
}

func (s sweep) String() string {
	return fmt.Sprintf("%d objects in the bucket, %d orphans, %d files of unfinished multipart uploads", s.objects, s.orphans, len(s.parts))
}

// swept looks into the folder of the bucket: what lies there and is not known is lost space.
func (r *registry) swept(known fsckReport) (s sweep, err error) {
	s.orphans = known.Orphans
	folder := r.cluster.S3.Folder()
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		path, err = filepath.Rel(folder, path)
		if strings.HasPrefix(path, ".sgwtmp") {
			s.parts = append(s.parts, path)
		} else {
			s.objects++
		}
		return err
	})
	if err == nil && (len(s.parts) > 0 || known.Orphans > 0 || s.objects != known.Objects) {
		err = fmt.Errorf("violation: all uploads were given up, and in the bucket are %d objects, of which berth fsck sees %d, %d of them orphans, "+
			"and %d files of unfinished multipart uploads: %s",
			s.objects, known.Objects, known.Orphans, len(s.parts), strings.Join(s.parts, ", "))
	}
	return s, err
}
