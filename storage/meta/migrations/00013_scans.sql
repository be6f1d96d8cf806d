-- +goose Up

-- The images that somebody wanted to be scanned, in each repository. What was found is the
-- same in all of them and stands in scan_reports.
CREATE TABLE scans (
    repository_id BIGINT NOT NULL,
    digest        {{.Text}} NOT NULL, -- of an image or an index
    cause         {{.Text}} NOT NULL, -- push or manual
    requested_at  BIGINT NOT NULL,    -- the last time
    PRIMARY KEY (repository_id, digest)
) {{.Clustered}};
CREATE INDEX scans_by_digest ON scans (digest, repository_id);

-- What is known of an image, whatever repository it is in. It goes when no repository has it.
CREATE TABLE scan_reports (
    digest       {{.Text}} NOT NULL PRIMARY KEY,
    status       {{.Text}} NOT NULL, -- of the last scan that was asked for
    reason       {{.Text}} NOT NULL, -- why it stands so, or empty
    scanner      {{.Text}} NOT NULL, -- that made the inventory and found the findings, or empty
    os           {{.Text}} NOT NULL, -- or empty
    packages     BIGINT NOT NULL,    -- in the inventory
    inventory    {{.Bytes}},         -- CycloneDX, compressed with gzip; null before there is one
    inventory_at BIGINT,
    findings     {{.Bytes}},         -- JSON, compressed with gzip; null before the first
    counts       {{.Text}} NOT NULL, -- JSON: findings by severity
    blocking     {{.Text}} NOT NULL, -- JSON: what gates go by, see scan.Blocking
    database     {{.Text}} NOT NULL, -- digest of the vulnerability database that the findings are from, or empty
    database_at  BIGINT,             -- when that was made
    matched_at   BIGINT,             -- when the findings were found
    created_at   BIGINT NOT NULL
);
CREATE INDEX scan_reports_by_database ON scan_reports (database, digest);

-- What scanners found in layers, so that none is read twice. The key is the scanner's own.
CREATE TABLE scan_layers (
    layer_key {{.Text}} NOT NULL PRIMARY KEY,
    content   {{.Bytes}} NOT NULL, -- compressed
    used_at   BIGINT NOT NULL      -- roughly the last time
);
CREATE INDEX scan_layers_by_use ON scan_layers (used_at, layer_key);

-- The databases that scanners go by, at most one of each kind.
CREATE TABLE vulnerability_databases (
    kind           {{.Text}} NOT NULL PRIMARY KEY,
    repository     {{.Text}} NOT NULL, -- where it lies, as an artifact
    digest         {{.Text}} NOT NULL, -- of the artifact
    layer          {{.Text}} NOT NULL, -- the blob that is the database
    schema_version BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,    -- when it was made
    next_update    BIGINT NOT NULL,    -- when there should be a newer one, or 0
    imported_at    BIGINT NOT NULL,
    source         {{.Text}} NOT NULL  -- a reference, or the name of a file
);
