-- +goose Up

-- Findings that somebody has decided not to matter. See scan.Exception.
CREATE TABLE scan_exceptions (
    id            {{.ID}},
    vulnerability {{.Text}} NOT NULL, -- pattern
    package       {{.Text}} NOT NULL, -- pattern; empty is any
    repository    {{.Text}} NOT NULL, -- pattern
    reason        {{.Text}} NOT NULL,
    author        {{.Text}} NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT -- null means never
);

-- Which images may be pulled. See scan.Gate.
CREATE TABLE scan_gates (
    repository {{.Text}} NOT NULL PRIMARY KEY, -- pattern
    document   {{.Text}} NOT NULL,             -- JSON
    updated_at BIGINT NOT NULL
) {{.Clustered}};

-- Moves with every change of the two, so that processes may remember them.
INSERT INTO generations (name, value) VALUES ('scan rules', 1);

-- VEX documents that refer to images. Rows go with the manifest that has the document.
CREATE TABLE vex_documents (
    repository_id BIGINT NOT NULL,
    digest        {{.Text}} NOT NULL, -- of the manifest
    blob          {{.Text}} NOT NULL, -- digest of the document
    subject       {{.Text}} NOT NULL, -- digest of the image, or of an index
    tag           {{.Text}} NOT NULL, -- that has to name the manifest, or else the document counts for nothing; empty if none has to
    format        {{.Text}} NOT NULL,
    document_id   {{.Text}} NOT NULL, -- as the document has it
    author        {{.Text}} NOT NULL,
    issued_at     BIGINT,
    read_at       BIGINT NOT NULL,
    error         {{.Text}} NOT NULL, -- why it counts for nothing, or empty
    statements    {{.Text}} NOT NULL, -- JSON of []scan.VEXStatement
    PRIMARY KEY (repository_id, digest, blob)
);
CREATE INDEX vex_documents_by_subject ON vex_documents (repository_id, subject, digest, blob);

-- Those that were pushed before anybody read them.
INSERT INTO jobs (kind, job_key, payload, state, attempts, due_at, reason, created_at)
SELECT 'scan-vex', r.name || '@' || m.digest, '{"repository":"' || r.name || '","digest":"' || m.digest || '"}', 'waiting', 0, 0, '', 0
FROM manifests m JOIN repositories r ON r.id = m.repository_id
WHERE m.subject <> '' AND (m.artifact_type LIKE 'application/openvex%' OR m.artifact_type LIKE 'application/vnd.openvex%'
    OR m.artifact_type LIKE 'application/vnd.cyclonedx%' OR m.artifact_type LIKE 'application/vnd.dsse.envelope%'
    OR m.artifact_type LIKE 'application/vnd.in-toto%' OR m.artifact_type LIKE 'application/vnd.dev.sigstore.bundle.%');

-- How many vulnerabilities the images of a repository had at the end of a day.
CREATE TABLE scan_trends (
    repository_id BIGINT NOT NULL,
    day           BIGINT NOT NULL,    -- since 1970, UTC
    counts        {{.Text}} NOT NULL, -- JSON of scan.TrendCounts
    PRIMARY KEY (repository_id, day)
) {{.Clustered}};

-- What the last of these rows was made from.
CREATE TABLE scan_trend_states (
    repository_id BIGINT NOT NULL PRIMARY KEY,
    day           BIGINT NOT NULL,
    images        {{.Text}} NOT NULL, -- digest of which images there were, and of when their findings were found
    base          {{.Bytes}} NOT NULL, -- what was open at the end of the day before, compressed with gzip
    open          {{.Bytes}} NOT NULL  -- what is open now, likewise
);
