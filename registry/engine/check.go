package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/time/rate"

	"berth/registry"
	"berth/storage/blob"
	"berth/storage/meta"
)

// Check is what an inspection of the registry looks at.
type Check struct {
	// Deep reads every object and compares it with its digest.
	Deep bool

	// Repair marks blobs whose objects are missing, and with Deep those whose objects are
	// damaged, as lost, so that the next push of the same bytes heals them and replaces the
	// object. One that is back, or that was misread, makes its blob whole again. What was
	// miscounted is counted anew.
	Repair bool

	// Found is called for each problem as it is found. It may end the inspection by
	// returning an error.
	Found func(Problem) error
}

// Problem is something that should not be.
type Problem struct {
	Kind       ProblemKind   `json:"kind"`
	Digest     digest.Digest `json:"digest,omitempty"`
	Repository registry.Name `json:"repository,omitempty"`
	Key        blob.Key      `json:"key,omitempty"`
	Message    string        `json:"message"`
	Repaired   bool          `json:"repaired,omitempty"` // as [Check.Repair] says
}

// ProblemKind says how bad a problem is.
type ProblemKind string

// Lost and Damaged are losses: an image cannot be pulled, and pushing it again heals
// it. Dangling is a manifest that names what its repository does not have. An Orphan
// only takes up space. Regained was lost, and all is well again. Miscounted is how much room
// something takes, so that quotas may refuse what they should not.
const (
	Lost     ProblemKind = "lost"
	Regained ProblemKind = "regained"
	Damaged  ProblemKind = "damaged"
	Dangling ProblemKind = "dangling"
	Orphan   ProblemKind = "orphan"

	Miscounted ProblemKind = "miscounted"
)

// Summary counts what an inspection has seen.
type Summary struct {
	Blobs     int   `json:"blobs"`
	Manifests int   `json:"manifests"`
	Bytes     int64 `json:"bytes"`
	Objects   int   `json:"objects"`
	Losses    int   `json:"losses"`
	Orphans   int   `json:"orphans"`
	Miscounts int   `json:"miscounts"`
	Repaired  int   `json:"repaired"`
}

// orphanAge is how long an object that no row names may just be on its way to one.
const orphanAge = time.Hour

// page is how many rows are looked at at once.
const page = 500

// Inspect compares rows with objects: every blob must have its object, every
// manifest what it names, and objects that nothing names are garbage. What is counted has to
// be what there is. The registry may be in use meanwhile.
func (e *Engine) Inspect(ctx context.Context, c Check) (Summary, error) {
	i := inspection{engine: e, check: c}
	err := i.blobs(ctx)
	if err == nil {
		err = i.manifests(ctx)
	}
	if err == nil {
		err = i.objects(ctx)
	}
	if err == nil {
		err = i.usage(ctx)
	}
	return i.summary, err
}

type inspection struct {
	engine  *Engine
	check   Check
	limit   *rate.Limiter // of what is read; nil: none
	summary Summary
}

func (i *inspection) found(p Problem) error {
	switch p.Kind {
	case Orphan:
		i.summary.Orphans++
	case Miscounted:
		i.summary.Miscounts++
	case Regained: // no loss any more
	default:
		i.summary.Losses++
	}
	if p.Repaired {
		i.summary.Repaired++
	}
	return i.check.Found(p)
}

// blobs looks for the object of each blob.
func (i *inspection) blobs(ctx context.Context) error {
	var last digest.Digest
	for {
		rows, err := i.engine.meta.Blobs(ctx, last, page)
		if err != nil {
			return err
		}
		for _, b := range rows {
			i.summary.Blobs++
			i.summary.Bytes += b.Size
			if err := i.blob(ctx, b); err != nil {
				return err
			}
			last = b.Digest
		}
		if len(rows) < page {
			return nil
		}
	}
}

func (i *inspection) blob(ctx context.Context, b meta.Blob) error {
	if b.Lost {
		return i.marked(ctx, b)
	}
	size, err := b.Size, error(nil)
	if b.Key != "" {
		size, err = i.engine.blobs.Size(ctx, b.Key)
	}
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return i.broken(ctx, b, Lost, "the object of the blob is missing")
	case err != nil:
		return err
	case size != b.Size:
		return i.broken(ctx, b, Damaged, fmt.Sprintf("the object has %d bytes instead of %d", size, b.Size))
	case !i.check.Deep:
		return nil
	}
	got, err := i.digest(ctx, b)
	if interrupted := ctx.Err(); interrupted != nil {
		return interrupted
	}
	if errors.Is(err, blob.ErrUnavailable) {
		return err
	}
	if errors.Is(err, blob.ErrNotExist) || errors.Is(err, registry.ErrBlobUnknown) {
		return i.broken(ctx, b, Lost, "the object of the blob is missing")
	}
	if err != nil {
		// It may be read another day, so it is not given up.
		return i.found(Problem{Kind: Damaged, Digest: b.Digest, Key: b.Key, Message: "the object cannot be read: " + err.Error()})
	}
	if got != b.Digest {
		return i.broken(ctx, b, Damaged, "the object's bytes have the digest "+got.String())
	}
	return nil
}

// digest reads the bytes of a blob.
func (i *inspection) digest(ctx context.Context, b meta.Blob) (digest.Digest, error) {
	content, err := i.engine.open(ctx, b, blob.Span{})
	if err != nil {
		return "", err
	}
	defer content.Close()
	var from io.Reader = content
	if i.limit != nil {
		from = slowReader{ctx, content, i.limit}
	}
	return b.Digest.Algorithm().FromReader(from)
}

// broken tells of a blob whose object is not what it should be.
func (i *inspection) broken(ctx context.Context, b meta.Blob, kind ProblemKind, message string) error {
	p := Problem{Kind: kind, Digest: b.Digest, Key: b.Key, Message: message}
	if !i.check.Repair || kind == Damaged && !i.check.Deep {
		now, err := i.engine.meta.FindBlob(ctx, b.Digest)
		if errors.Is(err, registry.ErrBlobUnknown) || err == nil && now.Key != b.Key {
			return nil // collected meanwhile, or healed
		}
		return errors.Join(err, i.found(p))
	}
	marked, err := i.engine.lose(ctx, b)
	if err != nil || !marked {
		return err // not marked: a push has healed it meanwhile, or it has been collected
	}
	// A damaged object stays until a push has replaced it: that it was read so may be the
	// fault of this machine.
	p.Repaired = true
	p.Message += "; the blob is marked as lost, push it again"
	return i.found(p)
}

// marked tells of a blob that is marked as lost, and looks whether its object is back.
func (i *inspection) marked(ctx context.Context, b meta.Blob) error {
	p := Problem{Kind: Lost, Digest: b.Digest, Key: b.Key, Message: "the blob is marked as lost; push it again"}
	got, err := i.digest(ctx, b)
	if interrupted := ctx.Err(); interrupted != nil {
		return interrupted
	}
	if err != nil || got != b.Digest {
		return i.found(p)
	}
	p.Message = "the blob is marked as lost, but its object is there; --repair takes it back"
	if i.check.Repair {
		err := i.engine.meta.Update(ctx, func(tx *meta.Tx) (err error) {
			p.Repaired, err = tx.RegainBlob(ctx, b)
			return err
		})
		if err != nil || !p.Repaired {
			return err
		}
		p.Kind, p.Message = Regained, "the blob was marked as lost, but its object is there; it is taken back"
	}
	return i.found(p)
}

// manifests looks for what each manifest names.
func (i *inspection) manifests(ctx context.Context) error {
	var last registry.Name
	for {
		names, err := i.engine.meta.Repositories(ctx, last, page)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := i.repository(ctx, name); err != nil {
				return err
			}
			last = name
		}
		if len(names) < page {
			return nil
		}
	}
}

func (i *inspection) repository(ctx context.Context, name registry.Name) error {
	r, err := i.engine.meta.Repository(ctx, name)
	if errors.Is(err, registry.ErrNameUnknown) {
		return nil // deleted since it was listed
	}
	if err != nil {
		return err
	}
	var last digest.Digest
	for {
		rows, err := i.engine.meta.Manifests(ctx, r, last, page)
		if err != nil {
			return err
		}
		for _, d := range rows {
			if err := i.manifest(ctx, name, d); err != nil {
				return err
			}
			last = d
		}
		if len(rows) < page {
			return nil
		}
	}
}

func (i *inspection) manifest(ctx context.Context, repo registry.Name, d digest.Digest) error {
	m, err := i.engine.meta.ArchivedManifest(ctx, repo, d)
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrNameUnknown) {
		return nil // deleted since it was listed
	}
	if err != nil {
		return err
	}
	i.summary.Manifests++
	if got := d.Algorithm().FromBytes(m.Bytes); got != d {
		return i.found(Problem{Kind: Damaged, Digest: d, Repository: repo, Message: "the manifest's bytes have the digest " + got.String()})
	}
	c, err := registry.ParseManifest(m.MediaType, m.Bytes)
	if err != nil {
		return i.found(Problem{Kind: Damaged, Digest: d, Repository: repo, Message: err.Error()})
	}
	if i.engine.opts.AllowSparse(repo) {
		return nil
	}
	return i.references(ctx, repo, d, c)
}

// references looks for what a manifest names.
func (i *inspection) references(ctx context.Context, repo registry.Name, d digest.Digest, c registry.Content) error {
	needed := make([]digest.Digest, 0, len(c.Layers)+1)
	if c.Config != nil {
		needed = append(needed, c.Config.Digest)
	}
	for _, layer := range c.Layers {
		if registry.Distributable(layer) {
			needed = append(needed, layer.Digest)
		}
	}
	for _, n := range needed {
		if err := i.reference(ctx, repo, d, n, false); err != nil {
			return err
		}
	}
	for _, child := range c.Manifests {
		if err := i.reference(ctx, repo, d, child.Digest, true); err != nil {
			return err
		}
	}
	return nil
}

func (i *inspection) reference(ctx context.Context, repo registry.Name, by, d digest.Digest, manifest bool) error {
	_, err := i.engine.meta.Blob(ctx, repo, d)
	if manifest && errors.Is(err, registry.ErrBlobUnknown) {
		_, err = i.engine.meta.ArchivedManifest(ctx, repo, d)
	}
	if !errors.Is(err, registry.ErrBlobUnknown) && !errors.Is(err, registry.ErrManifestUnknown) {
		return err
	}
	// It may have been deleted together with the manifest since that was read.
	_, err = i.engine.meta.ArchivedManifest(ctx, repo, by)
	if errors.Is(err, registry.ErrManifestUnknown) || errors.Is(err, registry.ErrNameUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	return i.found(Problem{
		Kind: Dangling, Digest: by, Repository: repo,
		Message: fmt.Sprintf("the manifest names %s, which the repository does not have", d),
	})
}

// objects looks for objects that nothing names. The keys that something does name
// are all held in memory meanwhile: some 80 bytes for each blob.
func (i *inspection) objects(ctx context.Context) error {
	var suspects []blob.Object
	for object, err := range i.engine.blobs.All(ctx) {
		if err != nil {
			return err
		}
		i.summary.Objects++
		if time.Since(object.ChangedAt) >= orphanAge {
			suspects = append(suspects, object)
		}
	}
	// Rows are read after objects: an upload that ends meanwhile is a blob by then.
	named := make(map[blob.Key]struct{}, len(suspects))
	err := i.engine.meta.ObjectKeys(ctx, func(key blob.Key) { named[key] = struct{}{} })
	if err != nil {
		return err
	}
	for _, object := range suspects {
		if _, ok := named[object.Key]; ok {
			continue
		}
		if object.Committed {
			if _, err := i.engine.blobs.Size(ctx, object.Key); errors.Is(err, blob.ErrNotExist) {
				continue // deleted since it was listed, together with the job that named it
			}
		}
		err := i.found(Problem{
			Kind: Orphan, Key: object.Key,
			Message: fmt.Sprintf("nothing names this object of %d bytes", object.Size),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
