-- +goose Up

-- The images that somebody wanted to be scanned, in each repository. What was found is the
-- same in all of them and stands in scan_reports. A row goes with its manifest.
CREATE TABLE scans (
    repository_id BIGINT NOT NULL,
    digest        {{.Text}} NOT NULL, -- of an image or an index
    cause         {{.Text}} NOT NULL, -- push or manual
    requested_at  BIGINT NOT NULL,    -- the last time
    PRIMARY KEY (repository_id, digest)
) {{.Clustered}};
CREATE INDEX scans_by_digest ON scans (digest, repository_id);

-- What is known of an image, whatever repository it is in. It goes when nobody wants it to be
-- scanned in any. What is large has tables of its own: SQLite reads a row from its beginning.
CREATE TABLE scan_reports (
    digest       {{.Text}} NOT NULL PRIMARY KEY,
    status       {{.Text}} NOT NULL, -- of the last scan that was asked for: PENDING until it is over
    reason       {{.Text}} NOT NULL, -- why it stands so, or empty
    scanner      {{.Text}} NOT NULL, -- that was at it last, or empty
    os           {{.Text}} NOT NULL, -- or empty
    packages     BIGINT NOT NULL,    -- in the inventory
    inventory_at BIGINT,             -- null before there is one
    counts       {{.Text}} NOT NULL, -- JSON: findings by severity; empty before the first
    blocking     {{.Text}} NOT NULL, -- JSON: what gates go by, see scan.Blocking; empty before the first findings
    database     {{.Text}} NOT NULL, -- digest of the vulnerability database that the findings are from, or empty
    database_at  BIGINT,             -- when that was made, if it is known
    matched_at   BIGINT,             -- when the findings were found; null before the first
    tried        {{.Text}} NOT NULL, -- digest of a later database that it could not be matched with, or empty
    created_at   BIGINT NOT NULL
);
CREATE INDEX scan_reports_by_status ON scan_reports (status, database, digest);

-- Of the images in scan_reports what was found, compressed with gzip.
CREATE TABLE scan_inventories (
    digest  {{.Text}} NOT NULL PRIMARY KEY,
    content {{.Bytes}} NOT NULL -- CycloneDX
);
CREATE TABLE scan_findings (
    digest  {{.Text}} NOT NULL PRIMARY KEY,
    content {{.Bytes}} NOT NULL -- JSON of []scan.Finding
);

-- What scanners found in layers, so that none is read twice. The key is the scanner's own.
CREATE TABLE scan_layers (
    layer_key {{.Text}} NOT NULL PRIMARY KEY,
    content   {{.Bytes}} NOT NULL, -- compressed with gzip
    size      BIGINT NOT NULL,     -- of the content
    used_at   BIGINT NOT NULL      -- roughly the last time
);
CREATE INDEX scan_layers_by_use ON scan_layers (used_at, layer_key, size);

-- The workers that have asked for jobs lately, and what they said of themselves.
CREATE TABLE scan_workers (
    name    {{.Text}} NOT NULL PRIMARY KEY,
    said    {{.Text}} NOT NULL, -- JSON of scan.Worker
    seen_at BIGINT NOT NULL
) {{.Clustered}};

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

-- Whether somebody is at a job that is about something.
CREATE INDEX jobs_leased ON jobs (kind, job_key) WHERE state = 'leased';
{{with .Uncompressed}}
ALTER TABLE scan_inventories ALTER COLUMN content {{.}};
ALTER TABLE scan_findings ALTER COLUMN content {{.}};
ALTER TABLE scan_layers ALTER COLUMN content {{.}};
{{end}}
