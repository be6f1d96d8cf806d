package meta

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"berth/registry"
)

const selectTemplate = `SELECT prefix, document, created_at, updated_at FROM creation_templates`

func scanTemplate(rows *sql.Rows) (t registry.CreationTemplate, err error) {
	var prefix, document string
	var created, updated int64
	if err := rows.Scan(&prefix, &document, &created, &updated); err != nil {
		return t, err
	}
	err = json.Unmarshal([]byte(document), &t)
	t.Prefix, t.CreatedAt, t.UpdatedAt = prefix, fromMicros(created), fromMicros(updated)
	return t, err
}

// CreationTemplate returns the template with a prefix. Errors: ErrNotSet.
func (q queries) CreationTemplate(ctx context.Context, prefix string) (registry.CreationTemplate, error) {
	found, err := collect(ctx, q.run, scanTemplate, selectTemplate+` WHERE prefix = ?`, prefix)
	if err == nil && len(found) == 0 {
		err = registry.ErrNotSet
	}
	if err != nil {
		return registry.CreationTemplate{}, err
	}
	return found[0], nil
}

// CreationTemplates lists templates after last.
func (q queries) CreationTemplates(ctx context.Context, last string, limit int) ([]registry.CreationTemplate, error) {
	return collect(ctx, q.run, scanTemplate, selectTemplate+` WHERE prefix > ? ORDER BY prefix LIMIT ?`, last, limit)
}

// TemplateFor finds the template for a repository that comes about by cause.
// Errors: ErrNotSet.
func (q queries) TemplateFor(ctx context.Context, name registry.Name, cause string) (registry.CreationTemplate, error) {
	for _, prefix := range registry.TemplatePrefixes(name) {
		t, err := q.CreationTemplate(ctx, prefix)
		if err == nil && t.IsFor(cause) || err != nil && !errors.Is(err, registry.ErrNotSet) {
			return t, err
		}
	}
	return registry.CreationTemplate{}, registry.ErrNotSet
}

// AddCreationTemplate adds a template. Errors: ErrNameTaken.
func (tx *Tx) AddCreationTemplate(ctx context.Context, t registry.CreationTemplate) (registry.CreationTemplate, error) {
	document, err := json.Marshal(t)
	if err != nil {
		return t, err
	}
	n, err := tx.exec(ctx, `INSERT INTO creation_templates (prefix, document, created_at, updated_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		t.Prefix, string(document), micros(tx.now), micros(tx.now))
	if err == nil && n == 0 {
		err = registry.ErrNameTaken
	}
	if err != nil {
		return t, err
	}
	return tx.CreationTemplate(ctx, t.Prefix)
}

// LockCreationTemplate returns a template that nobody else changes until the transaction
// ends. Errors: ErrNotSet.
func (tx *Tx) LockCreationTemplate(ctx context.Context, prefix string) (registry.CreationTemplate, error) {
	n, err := tx.exec(ctx, `UPDATE creation_templates SET updated_at = ? WHERE prefix = ?`, micros(tx.now), prefix)
	if err == nil && n == 0 {
		err = registry.ErrNotSet
	}
	if err != nil {
		return registry.CreationTemplate{}, err
	}
	return tx.CreationTemplate(ctx, prefix)
}

// PutCreationTemplate replaces a template that is locked.
func (tx *Tx) PutCreationTemplate(ctx context.Context, t registry.CreationTemplate) (registry.CreationTemplate, error) {
	document, err := json.Marshal(t)
	if err != nil {
		return t, err
	}
	_, err = tx.exec(ctx, `UPDATE creation_templates SET document = ? WHERE prefix = ?`, string(document), t.Prefix)
	return t, err
}

// DeleteCreationTemplate removes a template.
func (tx *Tx) DeleteCreationTemplate(ctx context.Context, prefix string) error {
	_, err := tx.exec(ctx, `DELETE FROM creation_templates WHERE prefix = ?`, prefix)
	return err
}
