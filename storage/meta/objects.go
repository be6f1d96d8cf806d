package meta

import (
	"context"
	"database/sql"
	"encoding/json"

	"berth/storage/blob"
	"berth/storage/queue"
)

// IsObject reports whether the bytes of a blob lie in the object key. It looks at all
// blobs, and is asked only after a push went wrong.
func (q queries) IsObject(ctx context.Context, key blob.Key) (bool, error) {
	return q.exists(ctx, `SELECT 1 FROM blobs WHERE object_key = ? LIMIT 1`, string(key))
}

// ObjectKeys lists the keys under which blobs and uploads lie, or lay before they were
// lost, and those of objects that are about to be deleted, for checks that walk the
// whole store. Keys go from uploads to blobs to jobs, and in this order they are read,
// so that none slips through.
func (q queries) ObjectKeys(ctx context.Context, each func(blob.Key)) error {
	placed := func(place string) error {
		var b Blob
		b.setPlace(place)
		each(b.Key)
		return nil
	}
	removed := func(payload string) error {
		var o Objects
		err := json.Unmarshal([]byte(payload), &o)
		for _, key := range o.Keys {
			each(key)
		}
		return err
	}
	err := walkPages(ctx, q, placed, "", `SELECT id, object_key FROM uploads WHERE id > ? ORDER BY id LIMIT ?`)
	if err == nil {
		err = walkPages(ctx, q, placed, "",
			`SELECT digest, object_key FROM blobs WHERE digest > ? AND object_key <> '' ORDER BY digest LIMIT ?`)
	}
	if err == nil {
		err = walkPages(ctx, q, removed, int64(0),
			`SELECT id, payload FROM jobs WHERE id > ? AND kind = '`+DeleteObjects+`' ORDER BY id LIMIT ?`)
	}
	return err
}

// walkPages walks the pages of a query, each of which follows the last entry of the one
// before, and calls each with the second column.
func walkPages[L any](ctx context.Context, q queries, each func(string) error, last L, query string) error {
	const page = 1000
	for n := page; n == page; {
		found, err := collect(ctx, q.run, func(rows *sql.Rows) (s string, err error) {
			return s, rows.Scan(&last, &s)
		}, query, last, page)
		if err != nil {
			return err
		}
		for _, s := range found {
			if err := each(s); err != nil {
				return err
			}
		}
		n = len(found)
	}
	return nil
}

// DeleteObjects is the kind of the jobs that remove objects which no row names any more.
// Their payload is [Objects].
const DeleteObjects = "delete-objects"

// Objects is the payload of DeleteObjects.
type Objects struct {
	Keys []blob.Key `json:"keys"`
}

// DeleteObjects has objects removed after the transaction in which their last names go,
// and not before the holds end that have seen them (see [queries.Held]).
func (tx *Tx) DeleteObjects(ctx context.Context, keys []blob.Key) error {
	if len(keys) == 0 {
		return nil
	}
	return tx.Enqueue(ctx, queue.NewJob{Kind: DeleteObjects, Payload: Objects{keys}})
}
