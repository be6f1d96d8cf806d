// Command bareloop is the least that a registry on a disk must do, and nothing else: it hashes what arrives, writes it,
// syncs it, gives it its name and hands it out again with sendfile. No authentication, no database, no checks.
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
	file *os.File
	hash hash.Hash
}

// loop keeps everything as files below dir.
type loop struct {
	dir     string
	uploads sync.Map // id to *upload
}

func main() {
	addr := flag.String("addr", "127.0.0.1:5000", "`address` to listen on")
	dir := flag.String("data", "bareloop-data", "`folder` for the files")
	flag.Parse()

	l := &loop{dir: *dir}
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
	f, err := os.Create(filepath.Join(l.dir, "uploads", id))
	if err != nil {
		return err
	}
	l.uploads.Store(id, &upload{f, sha256.New()})
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
	_, err := io.Copy(io.MultiWriter(u.file, u.hash), r.Body)
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
	if err := settle(u.file, filepath.Join(l.dir, "blobs"), r.URL.Query().Get("digest")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (l *loop) getBlob(w http.ResponseWriter, r *http.Request) error {
	f, err := os.Open(filepath.Join(l.dir, "blobs", mux.Vars(r)["digest"]))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(st.Size(), 10))
	_, err = io.Copy(w, f) // sendfile
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

// settle makes a file durable under its name.
func settle(f *os.File, dir, name string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
