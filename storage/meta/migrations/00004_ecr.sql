-- +goose Up

-- What Amazon ECR keeps of a repository. JSON where it is only ever read as a whole;
-- empty means that nothing was said.
ALTER TABLE repositories ADD COLUMN mutability {{.Text}} NOT NULL DEFAULT 'MUTABLE';
ALTER TABLE repositories ADD COLUMN mutability_exclusions {{.Text}} NOT NULL DEFAULT ''; -- JSON: patterns of tags
ALTER TABLE repositories ADD COLUMN scan_on_push BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE repositories ADD COLUMN encryption {{.Text}} NOT NULL DEFAULT '';       -- JSON
ALTER TABLE repositories ADD COLUMN resource_tags {{.Text}} NOT NULL DEFAULT '';    -- JSON object
ALTER TABLE repositories ADD COLUMN policy {{.Text}} NOT NULL DEFAULT '';           -- JSON, who may use the repository
ALTER TABLE repositories ADD COLUMN lifecycle_policy {{.Text}} NOT NULL DEFAULT ''; -- JSON
ALTER TABLE repositories ADD COLUMN lifecycle_evaluated_at BIGINT;                  -- null before the first time
CREATE INDEX repositories_with_policy ON repositories (name) WHERE policy <> '';
CREATE INDEX repositories_with_rules ON repositories (name) WHERE policy <> '' OR resource_tags <> '';

ALTER TABLE manifests ADD COLUMN image_size BIGINT;     -- bytes of config and layers; of an index, its largest image. Null where nobody counted.
ALTER TABLE manifests ADD COLUMN last_pulled_at BIGINT; -- may lag; null before the first pull

-- The tags of an image are listed by name.
DROP INDEX tags_by_manifest;
CREATE INDEX tags_by_manifest ON tags (manifest_id, name);

ALTER TABLE accounts ADD COLUMN tags {{.Text}} NOT NULL DEFAULT '';  -- JSON object
ALTER TABLE accounts ADD COLUMN trust {{.Text}} NOT NULL DEFAULT ''; -- JSON, of a role: who may take it on
CREATE INDEX accounts_by_kind ON accounts (kind, name);

-- Access keys sign requests. The secret is sealed with a key that is not in the database.
CREATE TABLE access_keys (
    id           {{.Text}} NOT NULL PRIMARY KEY,
    account      {{.Text}} NOT NULL REFERENCES accounts (name),
    sealed       {{.Bytes}} NOT NULL,
    disabled     BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT -- null before the first time
) {{.Clustered}};
CREATE INDEX access_keys_by_account ON access_keys (account, id);

-- Settings of the registry as a whole, by name.
CREATE TABLE settings (
    name       {{.Text}} NOT NULL PRIMARY KEY,
    value      {{.Text}} NOT NULL, -- JSON
    updated_at BIGINT NOT NULL
) {{.Clustered}};

-- What repositories are like that pushing creates.
CREATE TABLE creation_templates (
    prefix     {{.Text}} NOT NULL PRIMARY KEY, -- of their names, or ROOT
    document   {{.Text}} NOT NULL,             -- JSON
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) {{.Clustered}};

-- Whose pulls do not count as such.
CREATE TABLE pull_time_exclusions (
    principal  {{.Text}} NOT NULL PRIMARY KEY, -- ARN
    created_at BIGINT NOT NULL
) {{.Clustered}};
