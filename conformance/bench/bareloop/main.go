// Command bareloop is the least that a registry must do, and nothing else. On a disk it hashes what arrives, writes it,
// syncs it, gives it its name and hands it out again with sendfile; with -s3 it hashes what arrives and hands it to
// minio-go in parts. No authentication, no database, no checks; manifests are files in any case.
//
// The benchmark measures berth against it, so that a budget is a ratio and holds on any machine.
package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"hash"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/gorilla/mux"
)

// upload is a blob that arrives.
type upload struct {
	bytes sink
	hash  hash.Hash
}

// store is where blobs go.
type store interface {
	create(id string) (sink, error)
	open(name string) (content io.ReadCloser, size int64, err error)
}

// sink takes the bytes of one blob.
type sink interface {
	io.Writer
	settle(name string) error // makes them durable under that name
}

// loop keeps manifests as files below dir.
type loop struct {
	dir     string
	blobs   store
	uploads sync.Map // id to *upload
}

func main() {
	addr := flag.String("addr", "127.0.0.1:5000", "`address` to listen on")
	dir := flag.String("data", "bareloop-data", "`folder` for the files")
	endpoint := flag.String("s3", "", "keep blobs on the S3 server at this `host:port`, in the bucket and with the keys of the environment")
	flag.Parse()

	l := &loop{dir: *dir, blobs: files(*dir)}
	if *endpoint != "" {
		var err error
		if l.blobs, err = newBucket(*endpoint); err != nil {
			log.Fatal(err)
		}
	}
	r := mux.NewRouter()
	r.HandleFunc("/v2/", func(http.ResponseWriter, *http.Request) {})
	r.HandleFunc("/v2/{name:.+}/blobs/uploads/", l.handle(l.post)).Methods("POST")
	r.HandleFunc("/v2/{name:.+}/blobs/uploads/{id}", l.handle(l.patch)).Methods("PATCH")
	r.HandleFunc("/v2/{name:.+}/blobs/uploads/{id}", l.handle(l.put)).Methods("PUT")
	r.HandleFunc("/v2/{name:.+}/blobs/{digest}", l.handle(l.getBlob)).Methods("GET")
	r.HandleFunc("/v2/{name:.+}/manifests/{reference}", l.handle(l.putManifest)).Methods("PUT")
	r.HandleFunc("/v2/{name:.+}/manifests/{reference}", l.handle(l.getManifest)).Methods("GET", "HEAD")
	for _, d := range []string{"uploads", "blobs", "manifests"} {
		if err := os.MkdirAll(filepath.Join(l.dir, d), 0o755); err != nil {
			log.Fatal(err)
		}
	}
	log.Fatal(http.ListenAndServe(*addr, r))
}

// handle turns an error into status 500.
func (l *loop) handle(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

func (l *loop) post(w http.ResponseWriter, r *http.Request) error {
	id := rand.Text()
	s, err := l.blobs.create(id)
	if err != nil {
		return err
	}
	l.uploads.Store(id, &upload{s, sha256.New()})
	w.Header().Set("Location", r.URL.Path+id)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// receive appends the body of a request to its upload.
func (l *loop) receive(r *http.Request) (*upload, error) {
	v, ok := l.uploads.Load(mux.Vars(r)["id"])
	if !ok {
		return nil, os.ErrNotExist
	}
	u := v.(*upload)
	_, err := io.Copy(io.MultiWriter(u.bytes, u.hash), r.Body)
	return u, err
}

func (l *loop) patch(w http.ResponseWriter, r *http.Request) error {
	if _, err := l.receive(r); err != nil {
		return err
	}
	w.Header().Set("Location", r.URL.Path)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (l *loop) put(w http.ResponseWriter, r *http.Request) error {
	u, err := l.receive(r)
	if err != nil {
		return err
	}
	defer l.uploads.Delete(mux.Vars(r)["id"])
	if "sha256:"+hex.EncodeToString(u.hash.Sum(nil)) != r.URL.Query().Get("digest") {
		return os.ErrInvalid
	}
	if err := u.bytes.settle(r.URL.Query().Get("digest")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (l *loop) getBlob(w http.ResponseWriter, r *http.Request) error {
	content, size, err := l.blobs.open(mux.Vars(r)["digest"])
	if err != nil {
		return err
	}
	defer content.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, err = io.Copy(w, content) // sendfile, of a file
	return err
}

func (l *loop) putManifest(w http.ResponseWriter, r *http.Request) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	dir := filepath.Join(l.dir, "manifests", mux.Vars(r)["name"])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(l.dir, "uploads"), "")
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := settle(f, dir, mux.Vars(r)["reference"]); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (l *loop) getManifest(w http.ResponseWriter, r *http.Request) error {
	b, err := os.ReadFile(filepath.Join(l.dir, "manifests", mux.Vars(r)["name"], mux.Vars(r)["reference"]))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Header().Set("Docker-Content-Digest", "sha256:"+hex.EncodeToString(sum[:]))
	_, err = w.Write(b)
	return err
}
