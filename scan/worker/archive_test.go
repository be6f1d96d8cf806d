package worker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
)

// archive packs files as the layer of a database.
func archive(files ...tarFile) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range files {
		kind := f.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		size := int64(len(f.content))
		if kind != tar.TypeReg {
			size = 0
		}
		w.WriteHeader(&tar.Header{Name: f.name, Typeflag: kind, Mode: 0o644, Size: size, Linkname: f.link})
		if size > 0 {
			io.WriteString(w, f.content)
		}
	}
	w.Close()
	z.Close()
	return b.Bytes()
}

type tarFile struct {
	name, content string
	kind          byte
	link          string
}

// database is the layer of a database with this content.
func database(content string) []byte {
	return archive(tarFile{name: "trivy.db", content: content}, tarFile{name: "metadata.json", content: "{}"})
}
