package meta

import (
	"fmt"

	"github.com/opencontainers/go-digest"

	"berth/storage/blob"
)

// A copy of the database is made table by table, so that it can go from one kind of
// database to another. This is the list of them; a test compares it with the schema.

// Kind is what a column holds. Any may be null.
type Kind string

// The kinds of columns.
const (
	Int   Kind = "int"
	Text  Kind = "text"
	Bytes Kind = "bytes"
	Bool  Kind = "bool"
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind Kind
}

// Table is one that holds what is worth keeping.
type Table struct {
	Name    string
	Columns []Column

	order string // of the primary key
}

// Tables are all tables that a copy consists of, those first that others refer to.
// Uploads are not among them: their bytes are in no state that somebody else could go
// on from. Nor is what concerns only servers that run, or holds of objects that a copy
// leaves behind. How many bytes there are is counted anew.
func Tables() []Table { return append([]Table(nil), tables...) }

var blobsTable = Table{
	"blobs",
	columns(Int, "id", Text, "digest", Text, "object_key", Int, "size", Int, "created_at", Bytes, "content"),
	"id",
}

var tables = []Table{
	{"repositories", columns(Int, "id", Text, "name", Int, "created_at", Text, "mutability", Text, "mutability_exclusions",
		Bool, "scan_on_push", Text, "encryption", Text, "resource_tags", Text, "policy", Text, "lifecycle_policy",
		Int, "lifecycle_evaluated_at", Int, "lifecycle_due_at"), "id"},
	blobsTable,
	{"repository_blobs", columns(Int, "repository_id", Int, "blob_id", Int, "linked_at", Int, "unreferenced_since"), "repository_id, blob_id"},
	{"manifest_payloads", columns(Text, "digest", Bytes, "payload"), "digest"},
	{"manifests", columns(Int, "id", Int, "repository_id", Text, "digest", Text, "media_type", Text, "artifact_type", Text, "subject",
		Text, "descriptor", Int, "size", Int, "pushed_at", Int, "image_size", Int, "last_pulled_at",
		Bool, "archived", Int, "archived_at", Int, "activated_at"), "id"},
	{"manifest_blobs", columns(Int, "repository_id", Text, "digest", Int, "manifest_id"), "repository_id, digest, manifest_id"},
	{"manifest_children", columns(Int, "repository_id", Text, "digest", Int, "manifest_id"), "repository_id, digest, manifest_id"},
	{"tags", columns(Int, "repository_id", Text, "name", Int, "manifest_id", Int, "updated_at"), "repository_id, name"},
	{"tag_history", columns(Int, "id", Text, "repository", Text, "tag", Text, "was", Text, "digest", Int, "changed_at",
		Text, "changed_by", Text, "reason"), "id"},
	{"deleted_images", columns(Text, "repository", Text, "digest", Text, "media_type", Text, "artifact_type", Text, "subject",
		Int, "image_size", Text, "tags", Text, "absent", Int, "pushed_at", Int, "last_pulled_at", Bool, "archived", Int, "archived_at",
		Int, "deleted_at", Text, "deleted_by", Text, "reason"), "repository, digest"},
	{"gc_candidates", columns(Text, "digest", Int, "since"), "digest"},
	{"accounts", columns(Text, "name", Text, "kind", Text, "secret", Bool, "disabled", Int, "expires_at", Int, "created_at",
		Text, "tags", Text, "trust"), "name"},
	{"access_keys", columns(Text, "id", Text, "account", Bytes, "sealed", Bool, "disabled", Int, "created_at", Int, "last_used_at"), "id"},
	{"policies", columns(Text, "name", Text, "document", Int, "updated_at"), "name"},
	{"account_policies", columns(Text, "account", Text, "policy"), "account, policy"},
	{"signing_keys", columns(Text, "id", Bytes, "private_key", Int, "created_at"), "id"},
	{"settings", columns(Text, "name", Text, "value", Int, "updated_at"), "name"},
	{"creation_templates", columns(Text, "prefix", Text, "document", Int, "created_at", Int, "updated_at"), "prefix"},
	{"clusters", columns(Text, "name", Int, "reported_at", Int, "images"), "name"},
	{"running_images", columns(Text, "cluster", Text, "repository", Text, "digest"), "cluster, repository, digest"},
	{"pull_time_exclusions", columns(Text, "principal", Int, "created_at"), "principal"},
	{"quotas", columns(Text, "prefix", Int, "max_bytes", Int, "created_at"), "prefix"},
	{"lifecycle_runs", columns(Int, "id", Text, "repository", Int, "repository_id", Text, "policy", Bool, "forced", Text, "state", Text, "reason",
		Int, "attempts", Int, "images", Int, "blocked", Int, "skipped", Int, "expired", Int, "archived", Int, "untagged",
		Int, "began_at", Int, "ended_at"), "id"},
	{"scans", columns(Int, "repository_id", Text, "digest", Text, "cause", Int, "requested_at"), "repository_id, digest"},
	{"scan_reports", columns(Text, "digest", Text, "status", Text, "reason", Text, "scanner", Text, "os", Int, "packages",
		Int, "inventory_at", Text, "counts", Text, "blocking", Text, "database", Int, "database_at", Int, "matched_at",
		Text, "tried", Int, "created_at", Bool, "anew"), "digest"},
	{"scan_inventories", columns(Text, "digest", Bytes, "content"), "digest"},
	{"scan_findings", columns(Text, "digest", Bytes, "content"), "digest"},
	{"vulnerability_databases", columns(Text, "kind", Text, "repository", Text, "digest", Text, "layer", Int, "schema_version",
		Int, "updated_at", Int, "next_update", Int, "imported_at", Text, "source"), "kind"},
	{"scan_exceptions", columns(Int, "id", Text, "vulnerability", Text, "package", Text, "repository", Text, "reason", Text, "author",
		Int, "created_at", Int, "expires_at"), "id"},
	{"scan_gates", columns(Text, "repository", Text, "document", Int, "updated_at"), "repository"},
	{"vex_documents", columns(Int, "repository_id", Text, "digest", Text, "blob", Text, "subject", Text, "tag", Text, "format",
		Text, "document_id", Text, "author", Int, "issued_at", Int, "read_at", Text, "error", Text, "statements"), "repository_id, digest, blob"},
	{"scan_trends", columns(Int, "repository_id", Int, "day", Text, "counts"), "repository_id, day"},
	{"scan_trend_states", columns(Int, "repository_id", Int, "day", Text, "images", Bytes, "base", Bytes, "open"), "repository_id"},
	{"lifecycle_events", columns(Int, "id", Int, "run_id", Text, "repository", Text, "digest", Text, "tags", Int, "rule", Text, "action",
		Text, "why", Int, "at"), "id"},
}

// notCopied are the tables that stay behind.
var notCopied = []string{
	"uploads", "jobs", "leases", "holds", "generations", "goose_db_version",
	"storage_usage", "quota_usage", "quota_blobs", // counted anew
	"lifecycle_previews", "lifecycle_preview_results", // made anew in a moment
	"scan_layers",      // likewise
	"scan_workers",     // they will be heard of again
	"database_updates", // likewise
}

// columns are given as kind, name, kind, name and so on.
func columns(pairs ...any) []Column {
	var list []Column
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, Column{Name: pairs[i+1].(string), Kind: pairs[i].(Kind)})
	}
	return list
}

// BlobOf reads a row of the table blobs, which may come from anywhere.
func BlobOf(row []any) (Blob, error) {
	var b Blob
	for i, c := range blobsTable.Columns {
		switch v := row[i].(type) {
		case string:
			if c.Name == "digest" {
				b.Digest = digest.Digest(v)
			} else if c.Name == "object_key" {
				b.setPlace(v)
			}
		case int64:
			if c.Name == "size" {
				b.Size = v
			}
		}
	}
	if err := b.Digest.Validate(); err != nil {
		return b, fmt.Errorf("a blob has the digest %q: %w", b.Digest, err)
	}
	if b.Key == "" {
		return b, nil
	}
	_, err := blob.ParseKey(string(b.Key))
	return b, err
}

// names are those of the columns, as a statement lists them.
func (t Table) names() string {
	var list string
	for i, c := range t.Columns {
		if i > 0 {
			list += ", "
		}
		list += c.Name
	}
	return list
}

// counts reports whether the table's key counts by itself.
func (t Table) counts() bool { return t.Columns[0].Name == "id" && t.Columns[0].Kind == Int }
