// Package transfer takes registries from one place to another: objects from store to
// store, rows from database to database, and rows to a file and back.
//
// Objects keep their keys, so what has been copied can be told from what has not, and
// a transfer that was cut off goes on where it was. Rows are copied last, of one
// moment and as a whole: until then the registry at the destination is empty.
package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"time"

	"berth/storage/blob"
	"berth/storage/meta"
)

// Place is where a registry is.
type Place struct {
	Database *meta.DB
	Blobs    blob.Store
}

// Summary counts what a transfer has done.
type Summary struct {
	Objects int64            `json:"objects"` // that are at the destination now
	Copied  int64            `json:"copied"`  // of them, by this transfer
	Bytes   int64            `json:"bytes"`   // that were copied
	Rows    map[string]int64 `json:"rows"`    // by table
}

// Move copies the registry at from to the empty database and the store of to. from may
// be in use meanwhile; what is written there after the rows were read stays behind.
// Each object is compared with its digest on its way, and the rows once they are
// there. Called again, it copies what is missing.
// Errors: registry.ErrNotEmpty, [LostError].
func Move(ctx context.Context, from, to Place, parallel int, log *slog.Logger) (Summary, error) {
	c := copier{from: from.Blobs, to: to.Blobs, parallel: parallel, log: log}
	if err := to.Database.MustBeEmpty(ctx); err != nil {
		return c.summary, err
	}
	hold := "migrate-" + time.Now().UTC().Format(stamp)
	if err := from.Database.AddHold(ctx, hold, longest); err != nil {
		return c.summary, err
	}
	err := c.move(ctx, from.Database, to.Database)
	return c.summary, errors.Join(err, release(ctx, from.Database, hold))
}

func (c *copier) move(ctx context.Context, from, to *meta.DB) error {
	// Most objects are copied before the snapshot, which then is open only for as long as
	// it takes to copy what has been pushed meanwhile.
	if err := c.copyAll(ctx, pages{from}); err != nil {
		return err
	}
	c.begin()
	return from.Snapshot(ctx, func(s *meta.Snapshot) error {
		if err := c.copyAll(ctx, pages{s}); err != nil {
			return err
		}
		return c.moveRows(ctx, s, to)
	})
}

// stamp is how names tell the time.
const stamp = "20060102T150405.000Z"

// longest is how long the hold of a transfer lasts, should its process die before it can
// release it.
const longest = 7 * 24 * time.Hour

// release ends a hold when all is copied, or nothing will be.
func release(ctx context.Context, db *meta.DB, hold string) error {
	err := db.ReleaseHold(context.WithoutCancel(ctx), hold)
	if errors.Is(err, meta.ErrHoldUnknown) {
		return nil // it took so long that the hold has expired
	}
	return err
}

// moveRows fills a database and compares it with where the rows are from.
func (c *copier) moveRows(ctx context.Context, from *meta.Snapshot, to *meta.DB) error {
	sums := map[string]string{}
	c.summary.Rows = map[string]int64{}
	err := to.Fill(ctx, func(insert func(meta.Table, []any) error) error {
		for _, t := range meta.Tables() {
			sum, n, err := digestRows(ctx, from, t, func(row []any) error { return insert(t, row) })
			if err != nil {
				return err
			}
			sums[t.Name], c.summary.Rows[t.Name] = sum, n
		}
		return nil
	})
	if err != nil {
		return err
	}
	return to.Snapshot(ctx, func(s *meta.Snapshot) error {
		for _, t := range meta.Tables() {
			sum, _, err := digestRows(ctx, s, t, func([]any) error { return nil })
			if err != nil {
				return err
			}
			if sum != sums[t.Name] {
				return fmt.Errorf("the rows of %s are not at the destination what they are at the source; is the destination in use?", t.Name)
			}
		}
		return nil
	})
}

// digestRows hands every row of a table to each, and says what they are together.
func digestRows(ctx context.Context, s *meta.Snapshot, t meta.Table, each func([]any) error) (sum string, n int64, err error) {
	h := sha256.New()
	err = s.Rows(ctx, t, func(row []any) error {
		n++
		if err := addRow(h, row); err != nil {
			return err
		}
		return each(row)
	})
	return hex.EncodeToString(h.Sum(nil)), n, err
}

func addRow(h hash.Hash, row []any) error {
	line, err := json.Marshal(row)
	h.Write(append(line, '\n'))
	return err
}
