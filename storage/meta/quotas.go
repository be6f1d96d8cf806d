package meta

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// quotasChanged is what other processes are told.
const quotasChanged = "quotas"

// errQuotasChanged ends a transaction that has counted by quotas which are no longer those
// that there are. It is run again.
var errQuotasChanged = errors.New("there are other quotas than this transaction knows")

// selectPrefixes has them in the order in which they are locked.
const selectPrefixes = `SELECT prefix FROM quotas ORDER BY prefix`

// quotaSet is the prefixes that have a quota, as a process knows them.
type quotaSet struct {
	version  int64
	prefixes []string // in order
}

// over are the prefixes in s that cover a repository.
func (s *quotaSet) over(name registry.Name) (prefixes []string) {
	for _, p := range s.prefixes {
		if registry.UnderPrefix(name, p) {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// knownQuotas is read once, and then when a transaction finds out that it is stale or
// another process says so. What counts by it asks again when it commits.
func (db *DB) knownQuotas(ctx context.Context) (*quotaSet, error) {
	if s := db.quotas.Load(); s != nil {
		return s, nil
	}
	s := &quotaSet{}
	// The version first: one that is too old is found out.
	err := db.run.get(ctx, `SELECT quotas FROM storage_usage WHERE repository_id = 0 AND slot = 0`, nil, &s.version)
	if err == nil {
		s.prefixes, err = collect(ctx, db.run, scanOne[string], selectPrefixes)
	}
	if err == nil {
		db.quotas.Store(s)
	}
	return s, err
}

// counted calls do with the quotas there are until they are those that there are.
func (db *DB) counted(ctx context.Context, do func(*quotaSet) error) error {
	const attempts = 10
	for n := 1; ; n++ {
		known, err := db.knownQuotas(ctx)
		if err == nil {
			err = do(known)
		}
		if !errors.Is(err, errQuotasChanged) {
			return err
		}
		if n == attempts {
			return registry.ErrUnavailable.With("quotas are being changed; try again shortly")
		}
		db.quotas.Store(nil)
	}
}

// quotaHold is a quota that a transaction has to itself until it ends.
type quotaHold struct {
	used, most int64
}

// HoldQuotas is for who makes several blobs visible in a repository, some of which may be
// so already: to hold quotas comes before that.
func (tx *Tx) HoldQuotas(ctx context.Context, repo registry.Name) error {
	return tx.holdQuotas(ctx, repo)
}

// holdQuotas locks the quotas that cover repositories, so that those who count under one take
// turns. It comes before the locks that somebody who holds a quota may ask for.
func (tx *Tx) holdQuotas(ctx context.Context, names ...registry.Name) error {
	for _, p := range tx.quotas.prefixes {
		if tx.held[p] != nil || !anyUnder(names, p) {
			continue
		}
		var h quotaHold
		err := tx.run.get(ctx, `UPDATE quota_usage SET used_bytes = used_bytes WHERE prefix = ?
			RETURNING used_bytes, (SELECT max_bytes FROM quotas q WHERE q.prefix = quota_usage.prefix)`, []any{p}, &h.used, &h.most)
		if isNone(err) {
			return errQuotasChanged
		}
		if err != nil {
			return err
		}
		if tx.held == nil {
			tx.held = map[string]*quotaHold{}
		}
		tx.held[p] = &h
	}
	return nil
}

func anyUnder(names []registry.Name, prefix string) bool {
	for _, n := range names {
		if registry.UnderPrefix(n, prefix) {
			return true
		}
	}
	return false
}

// countUnderQuotas is the part of countLink that is about quotas, which the transaction
// holds. Errors: ErrQuotaExceeded.
func (tx *Tx) countUnderQuotas(ctx context.Context, l link, by int64) error {
	var refused error
	lacking := int64(0)
	for _, p := range tx.quotas.over(l.name) {
		h := tx.held[p]
		var links int64
		err := tx.run.get(ctx, `INSERT INTO quota_blobs (prefix, blob_id, links) VALUES (?, ?, ?)
			ON CONFLICT (prefix, blob_id) DO UPDATE SET links = quota_blobs.links + excluded.links RETURNING links`,
			[]any{p, l.blob, by}, &links)
		if err != nil {
			return err
		}
		switch {
		case by > 0 && links == 1:
			q := registry.Quota{Prefix: p, Bytes: h.most, Used: h.used}
			if lacks := h.used + l.size - h.most; lacks > lacking {
				lacking, refused = lacks, q.Exceeded(l.name, l.size)
			}
		case links == 0:
			_, err = tx.exec(ctx, `DELETE FROM quota_blobs WHERE prefix = ? AND blob_id = ?`, p, l.blob)
		default:
			continue
		}
		if err != nil {
			return err
		}
		h.used += by * l.size
		if _, err := tx.exec(ctx, `UPDATE quota_usage SET used_bytes = ? WHERE prefix = ?`, h.used, p); err != nil {
			return err
		}
	}
	return refused
}

const selectQuota = `SELECT q.prefix, q.max_bytes, u.used_bytes, q.created_at FROM quotas q JOIN quota_usage u ON u.prefix = q.prefix`

func scanQuota(rows *sql.Rows) (q registry.Quota, err error) {
	var created int64
	err = rows.Scan(&q.Prefix, &q.Bytes, &q.Used, &created)
	q.CreatedAt = fromMicros(created)
	return q, err
}

// Quotas lists all quotas by prefix.
func (q queries) Quotas(ctx context.Context) ([]registry.Quota, error) {
	return collect(ctx, q.run, scanQuota, selectQuota+` ORDER BY q.prefix`)
}

// QuotasOver lists the quotas that cover a repository, the one with the least room left
// first. Where there are none the database is not asked; what another process has set may
// be missing for a moment.
func (db *DB) QuotasOver(ctx context.Context, name registry.Name) ([]registry.Quota, error) {
	known, err := db.knownQuotas(ctx)
	if err != nil {
		return nil, err
	}
	var all []registry.Quota
	for _, p := range known.over(name) {
		found, err := collect(ctx, db.run, scanQuota, selectQuota+` WHERE q.prefix = ?`, p)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b registry.Quota) int { return cmp.Compare(a.Left(), b.Left()) })
	return all, nil
}

// CountedUnder reports whether a blob is counted under a prefix, so that to push it there
// once more costs nothing.
func (q queries) CountedUnder(ctx context.Context, prefix string, d digest.Digest) (bool, error) {
	return q.exists(ctx, `SELECT 1 FROM blobs b JOIN quota_blobs qb ON qb.blob_id = b.id AND qb.prefix = ? WHERE b.digest = ?`,
		prefix, string(d))
}

// SetQuota bounds the bytes under a prefix. What is there already is counted in the same
// transaction, and pushes wait for that; to change a quota costs nothing.
func (db *DB) SetQuota(ctx context.Context, prefix string, bytes int64) error {
	changed := false
	change := func(tx *Tx) error {
		n, err := tx.exec(ctx, `UPDATE quotas SET max_bytes = ? WHERE prefix = ?`, bytes, prefix)
		changed = n == 1
		return err
	}
	if err := db.Update(ctx, change); err != nil || changed {
		return err
	}
	return db.changeQuotas(ctx, func(tx *Tx) error {
		if err := change(tx); err != nil || changed { // somebody else may have set it meanwhile
			return err
		}
		if _, err := tx.exec(ctx, `INSERT INTO quotas (prefix, max_bytes, created_at) VALUES (?, ?, ?)`,
			prefix, bytes, micros(tx.now)); err != nil {
			return err
		}
		return tx.countQuota(ctx, prefix)
	})
}

// RemoveQuota takes a quota away. Errors: ErrNotSet.
func (db *DB) RemoveQuota(ctx context.Context, prefix string) error {
	return db.changeQuotas(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, `DELETE FROM quotas WHERE prefix = ?`, prefix)
		if err == nil && n == 0 {
			return registry.ErrNotSet.With("there is no quota for %s", prefix)
		}
		if err == nil {
			err = tx.uncountQuota(ctx, prefix)
		}
		return err
	})
}

// changeQuotas has change run while nobody adds to what is counted.
func (db *DB) changeQuotas(ctx context.Context, change func(*Tx) error) error {
	err := db.database.bulk(ctx, func(tx *Tx) error {
		if err := tx.stopCounting(ctx); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.notify(ctx, quotasChanged)
	})
	db.quotas.Store(nil)
	return err
}

// stopCounting waits for transactions that have written what they counted, and for those
// that count under quotas. Others will run once more after this one.
func (tx *Tx) stopCounting(ctx context.Context) error {
	if _, err := tx.exec(ctx, `UPDATE generations SET value = value + 1 WHERE name = 'quotas'`); err != nil {
		return err
	}
	// Who counts under a quota has that before they write what they counted.
	prefixes, err := collect(ctx, tx.run, scanOne[string], selectPrefixes)
	if err != nil {
		return err
	}
	for _, p := range prefixes {
		if _, err := tx.exec(ctx, `UPDATE quota_usage SET used_bytes = used_bytes WHERE prefix = ?`, p); err != nil {
			return err
		}
	}
	_, err = tx.exec(ctx, `UPDATE storage_usage SET quotas = quotas + 1 WHERE repository_id = 0`)
	return err
}

// under is the condition that the repository r is covered by a prefix, and its arguments.
func under(prefix string) (condition string, args []any) {
	if prefix == registry.RootPrefix {
		return `TRUE`, nil
	}
	// "0" comes after "/".
	return `(r.name = ? OR r.name >= ? AND r.name < ?)`, []any{prefix, prefix + "/", prefix + "0"}
}

// countQuota counts what there is under a prefix.
func (tx *Tx) countQuota(ctx context.Context, prefix string) error {
	condition, args := under(prefix)
	_, err := tx.exec(ctx, `INSERT INTO quota_blobs (prefix, blob_id, links)
		SELECT ?, rb.blob_id, COUNT(*) FROM repositories r JOIN repository_blobs rb ON rb.repository_id = r.id
		WHERE `+condition+` GROUP BY rb.blob_id`, append([]any{prefix}, args...)...)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO quota_usage (prefix, used_bytes)
		SELECT ?, COALESCE(SUM(b.size), 0) FROM quota_blobs qb JOIN blobs b ON b.id = qb.blob_id WHERE qb.prefix = ?`, prefix, prefix)
	return err
}

func (tx *Tx) uncountQuota(ctx context.Context, prefix string) error {
	_, err := tx.exec(ctx, `DELETE FROM quota_blobs WHERE prefix = ?`, prefix)
	if err == nil {
		_, err = tx.exec(ctx, `DELETE FROM quota_usage WHERE prefix = ?`, prefix)
	}
	return err
}
