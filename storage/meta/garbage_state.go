package meta

import (
	"context"
	"encoding/json"

	"berth/registry"
	"berth/storage/gc"
)

// gcState is where the state of garbage collection is kept.
const gcState registry.Setting = "garbage-collection"

// GCState implements [gc.Store].
func (q queries) GCState(ctx context.Context) (s gc.State, err error) {
	text, err := q.Setting(ctx, gcState)
	if err == nil {
		err = fromJSON(text, &s)
	}
	return s, err
}

// ChangeGCState implements [gc.Store].
func (db *DB) ChangeGCState(ctx context.Context, change func(*gc.State)) error {
	return db.Update(ctx, func(tx *Tx) error {
		s, err := tx.lockGCState(ctx)
		if err != nil {
			return err
		}
		change(&s)
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return tx.PutSetting(ctx, gcState, string(text))
	})
}

// lockGCState is GCState for one who changes it: others wait until the transaction ends.
func (tx *Tx) lockGCState(ctx context.Context) (s gc.State, err error) {
	// There has to be a row to lock.
	_, err = tx.exec(ctx, `INSERT INTO settings (name, value, updated_at) VALUES (?, '', ?) ON CONFLICT (name) DO NOTHING`,
		string(gcState), micros(tx.now))
	if err != nil {
		return s, err
	}
	var text string
	err = tx.run.get(ctx, `SELECT value FROM settings WHERE name = ?`+tx.dialect.change(), []any{string(gcState)}, &text)
	if err == nil {
		err = fromJSON(text, &s)
	}
	return s, err
}
