-- +goose Up

-- How many bytes the blobs of a repository have that no other one sees, and those that
-- others see too. Transactions that meet add to different rows, so what counts is the sum of
-- a repository's. Repository 0 is the registry: its unique_bytes are those of all blobs. See
-- usage.go.
CREATE TABLE storage_usage (
    repository_id BIGINT NOT NULL,
    slot          BIGINT NOT NULL,
    unique_bytes  BIGINT NOT NULL,
    shared_bytes  BIGINT NOT NULL,
    quotas        BIGINT NOT NULL, -- of the registry: moves when there is another quota, or one less
    PRIMARY KEY (repository_id, slot)
) {{.Clustered}};

-- How many bytes the repositories with a prefix may have, each blob counted once.
CREATE TABLE quotas (
    prefix     {{.Text}} NOT NULL PRIMARY KEY, -- "ROOT" is all repositories
    max_bytes  BIGINT NOT NULL,
    created_at BIGINT NOT NULL
) {{.Clustered}};
CREATE TABLE quota_usage (
    prefix     {{.Text}} NOT NULL PRIMARY KEY,
    used_bytes BIGINT NOT NULL
) {{.Clustered}};

-- Which blobs repositories under a quota see, and how many of them do.
CREATE TABLE quota_blobs (
    prefix  {{.Text}} NOT NULL,
    blob_id BIGINT NOT NULL,
    links   BIGINT NOT NULL,
    PRIMARY KEY (prefix, blob_id)
) {{.Clustered}};

-- Who changes quotas changes this first, so that one does so at a time.
INSERT INTO generations (name, value) VALUES ('quotas', 1);

-- And then all of these, and so waits for whoever has added to one.
INSERT INTO storage_usage (repository_id, slot, unique_bytes, shared_bytes, quotas)
WITH RECURSIVE slots (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM slots WHERE n < 255)
SELECT 0, n, 0, 0, 1 FROM slots;

UPDATE storage_usage SET unique_bytes = (SELECT COALESCE(SUM(size), 0) FROM blobs) WHERE repository_id = 0 AND slot = 0;

INSERT INTO storage_usage (repository_id, slot, unique_bytes, shared_bytes, quotas)
SELECT rb.repository_id, 0, SUM(CASE WHEN l.links = 1 THEN b.size ELSE 0 END), SUM(CASE WHEN l.links = 1 THEN 0 ELSE b.size END), 0
FROM repository_blobs rb
JOIN blobs b ON b.id = rb.blob_id
JOIN (SELECT blob_id, COUNT(*) AS links FROM repository_blobs GROUP BY blob_id) l ON l.blob_id = rb.blob_id
GROUP BY rb.repository_id;
