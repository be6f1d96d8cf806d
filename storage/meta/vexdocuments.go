package meta

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/scan"
	"berth/scan/vex"
	"berth/storage/queue"
)

var _ vex.Store = (*DB)(nil)

// EnqueueVEX has the VEX documents of a manifest read.
func (tx *Tx) EnqueueVEX(ctx context.Context, r Repository, d digest.Digest) error {
	return tx.Enqueue(ctx, queue.NewJob{
		Kind: scan.VEXJob, Key: string(r.Name) + "@" + string(d), Payload: scan.VEXPayload{Repository: r.Name, Digest: d},
	})
}

// TagsOf implements [vex.Store].
func (db *DB) TagsOf(ctx context.Context, repo registry.Name, d digest.Digest) ([]registry.Tag, error) {
	r, err := db.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	return db.ImageTags(ctx, r, d)
}

// PutVEX implements [vex.Store].
func (db *DB) PutVEX(ctx context.Context, repo registry.Name, manifest digest.Digest, documents []scan.VEXDocument) error {
	return db.Update(ctx, func(tx *Tx) error {
		r, err := tx.Repository(ctx, repo)
		if err != nil {
			return err
		}
		if _, err := tx.ManifestID(ctx, r, manifest); err != nil {
			return err
		}
		if err := tx.dropVEX(ctx, r, manifest); err != nil {
			return err
		}
		for _, x := range documents {
			if err := tx.putVEX(ctx, r, x); err != nil {
				return err
			}
		}
		return nil
	})
}

// Limits on the documents of an image. Each pull that a gate may stop looks at them, and reads
// what they say when it has not been so since they changed.
const (
	maxVEXDocuments  = 1000
	maxVEXStatements = 32 << 20 // characters of JSON
)

func (tx *Tx) putVEX(ctx context.Context, r Repository, x scan.VEXDocument) error {
	statements, err := json.Marshal(append([]scan.VEXStatement{}, x.Statements...))
	if err != nil {
		return err
	}
	if x.Error == "" {
		var documents, size int64
		err := tx.run.get(ctx, `SELECT count(*), coalesce(sum(length(v.statements)), 0) FROM vex_documents v`+countingVEX,
			[]any{r.ID, string(x.Subject)}, &documents, &size)
		if err != nil {
			return err
		}
		if documents >= maxVEXDocuments || size+int64(len(statements)) > maxVEXStatements {
			x.Error, statements = "the documents of the image before it say as much as is gone by: delete some, and push it again", []byte("[]")
		}
	}
	_, err = tx.exec(ctx, `INSERT INTO vex_documents
		(repository_id, digest, blob, subject, tag, format, document_id, author, issued_at, read_at, error, statements)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repository_id, digest, blob) DO NOTHING`,
		r.ID, string(x.Digest), string(x.Blob), string(x.Subject), string(x.Tag), x.Format, x.ID, x.Author, optionalMicros(x.IssuedAt),
		micros(tx.now), x.Error, string(statements))
	return err
}

// dropVEX forgets what the documents of a manifest say.
func (tx *Tx) dropVEX(ctx context.Context, r Repository, d digest.Digest) error {
	_, err := tx.exec(ctx, `DELETE FROM vex_documents WHERE repository_id = ? AND digest = ?`, r.ID, string(d))
	return err
}

// VEXDocuments lists the documents of a repository, those that count for nothing too: up to
// limit, after the document after. Errors: ErrNameUnknown.
func (q queries) VEXDocuments(ctx context.Context, repo registry.Name, after scan.VEXDocument, limit int) ([]scan.VEXDocument, error) {
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return nil, err
	}
	return collect(ctx, q.run, scanVEX, selectVEX(true)+` WHERE v.repository_id = ? AND (v.digest, v.blob) > (?, ?)
		ORDER BY v.digest, v.blob LIMIT ?`, r.ID, string(after.Digest), string(after.Blob), limit)
}

// listing is how many indexes that list an image are looked at for VEX documents.
const listing = 100

// VEX implements [scan.RuleStore].
func (q queries) VEX(ctx context.Context, repo registry.Name, d digest.Digest, whole bool) (documents []scan.VEXDocument, indexes []digest.Digest, err error) {
	r, err := q.Repository(ctx, repo)
	if err != nil {
		return nil, nil, err
	}
	indexes, err = collect(ctx, q.run, scanOne[digest.Digest], `SELECT m.digest FROM manifest_children e JOIN manifests m ON m.id = e.manifest_id
		WHERE e.repository_id = ? AND e.digest = ? ORDER BY m.digest LIMIT ?`, r.ID, string(d), listing)
	if err != nil {
		return nil, nil, err
	}
	for _, subject := range append([]digest.Digest{d}, indexes...) {
		found, err := q.vexOf(ctx, r, subject, whole)
		if err != nil {
			return nil, nil, err
		}
		documents = append(documents, found...)
	}
	return documents, indexes, nil
}

// vexOf returns the documents that refer to an image or index and count: those that belong to
// a tag as long as that is theirs.
func (q queries) vexOf(ctx context.Context, r Repository, subject digest.Digest, whole bool) ([]scan.VEXDocument, error) {
	return collect(ctx, q.run, scanVEX, selectVEX(whole)+countingVEX+` ORDER BY v.digest, v.blob`, r.ID, string(subject))
}

// countingVEX is the condition of [queries.vexOf].
const countingVEX = ` WHERE v.repository_id = ? AND v.subject = ? AND v.error = ''
	AND (v.tag = '' OR EXISTS (SELECT 1 FROM tags t JOIN manifests m ON m.id = t.manifest_id
		WHERE t.repository_id = v.repository_id AND t.name = v.tag AND m.digest = v.digest))`

// selectVEX selects documents v, without their statements unless whole is set.
func selectVEX(whole bool) string {
	statements := `''`
	if whole {
		statements = `v.statements`
	}
	return `SELECT v.digest, v.blob, v.subject, v.tag, v.format, v.document_id, v.author, v.issued_at, v.read_at, v.error, ` + statements + `
		FROM vex_documents v`
}

func scanVEX(rows *sql.Rows) (x scan.VEXDocument, err error) {
	var issued *int64
	var read int64
	var statements string
	err = rows.Scan(&x.Digest, &x.Blob, &x.Subject, &x.Tag, &x.Format, &x.ID, &x.Author, &issued, &read, &x.Error, &statements)
	x.IssuedAt, x.ReadAt = optionalTime(issued), fromMicros(read)
	if err == nil {
		err = fromJSON(statements, &x.Statements)
	}
	return x, err
}
