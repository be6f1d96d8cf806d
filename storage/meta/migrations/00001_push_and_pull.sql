-- +goose Up

CREATE TABLE repositories (
    id         {{.ID}},
    name       {{.Text}} NOT NULL UNIQUE,
    created_at BIGINT NOT NULL -- as all times: microseconds since 1970
);

-- A blob is known once its object is whole. The object's key is not made from the
-- digest: the same bytes pushed again after a deletion lie under another key. A small
-- blob has no object and an empty key; its bytes are here. "lost:" before a key says that
-- the object is missing or damaged.
CREATE TABLE blobs (
    id         {{.ID}},
    digest     {{.Text}} NOT NULL UNIQUE,
    object_key {{.Text}} NOT NULL,
    size       BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    content    {{.Bytes}}
);

-- Which repository may see which blob.
CREATE TABLE repository_blobs (
    repository_id      BIGINT NOT NULL REFERENCES repositories (id),
    blob_id            BIGINT NOT NULL REFERENCES blobs (id),
    linked_at          BIGINT NOT NULL,
    unreferenced_since BIGINT, -- null while a manifest of the repository refers to it
    PRIMARY KEY (repository_id, blob_id)
) {{.Clustered}};
CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob_id, repository_id);

CREATE TABLE manifest_payloads (
    digest  {{.Text}} NOT NULL PRIMARY KEY,
    payload {{.Bytes}} NOT NULL
);

CREATE TABLE manifests (
    id            {{.ID}},
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    digest        {{.Text}} NOT NULL REFERENCES manifest_payloads (digest),
    media_type    {{.Text}} NOT NULL,
    artifact_type {{.Text}} NOT NULL, -- as a referrers list shows it, or empty
    subject       {{.Text}} NOT NULL, -- digest, or empty
    descriptor    {{.Text}} NOT NULL, -- JSON as a referrers list shows it, empty without a subject
    size          BIGINT NOT NULL,
    pushed_at     BIGINT NOT NULL,
    UNIQUE (repository_id, digest)
);
CREATE INDEX manifests_by_digest ON manifests (digest);
CREATE INDEX manifests_by_subject ON manifests (repository_id, subject, digest) WHERE subject <> '';

-- Config and layers. The repository stands here too, so that the question whether
-- anything in it refers to a blob does not visit the manifests of others.
CREATE TABLE manifest_blobs (
    repository_id BIGINT NOT NULL,
    digest        {{.Text}} NOT NULL,
    manifest_id   BIGINT NOT NULL REFERENCES manifests (id),
    PRIMARY KEY (repository_id, digest, manifest_id)
) {{.Clustered}};
CREATE INDEX manifest_blobs_by_manifest ON manifest_blobs (manifest_id);

-- The manifests that an index lists.
CREATE TABLE manifest_children (
    repository_id BIGINT NOT NULL,
    digest        {{.Text}} NOT NULL,
    manifest_id   BIGINT NOT NULL REFERENCES manifests (id), -- the index
    PRIMARY KEY (repository_id, digest, manifest_id)
) {{.Clustered}};
CREATE INDEX manifest_children_by_manifest ON manifest_children (manifest_id);

CREATE TABLE tags (
    repository_id BIGINT NOT NULL REFERENCES repositories (id),
    name          {{.Text}} NOT NULL,
    manifest_id   BIGINT NOT NULL REFERENCES manifests (id),
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name)
) {{.Clustered}};
CREATE INDEX tags_by_manifest ON tags (manifest_id);

-- An upload names its repository by name: the repository is made when the first
-- blob is whole.
CREATE TABLE uploads (
    id           {{.Text}} NOT NULL PRIMARY KEY,
    repository   {{.Text}} NOT NULL,
    object_key   {{.Text}} NOT NULL,
    algorithm    {{.Text}} NOT NULL,
    received     BIGINT NOT NULL,   -- bytes
    content      {{.Bytes}},        -- those bytes, while they are few and there is no object
    hash_state   {{.Bytes}},        -- of those bytes
    object_state {{.Bytes}},        -- where the store goes on, null before there is an object
    revision     BIGINT NOT NULL,   -- moves with every change; the slower of two writers loses
    started_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
) {{.Clustered}};

-- What may have become garbage, written in the transaction that made it so.
CREATE TABLE gc_candidates (
    digest {{.Text}} NOT NULL PRIMARY KEY, -- of a blob that a repository let go of
    since  BIGINT NOT NULL
) {{.Clustered}};
CREATE INDEX gc_candidates_by_age ON gc_candidates (since);

CREATE TABLE accounts (
    name       {{.Text}} NOT NULL PRIMARY KEY,
    kind       {{.Text}} NOT NULL,
    secret     {{.Text}} NOT NULL, -- hashed
    disabled   BOOLEAN NOT NULL,
    expires_at BIGINT, -- null means never
    created_at BIGINT NOT NULL
) {{.Clustered}};

CREATE TABLE policies (
    name       {{.Text}} NOT NULL PRIMARY KEY,
    document   {{.Text}} NOT NULL,
    updated_at BIGINT NOT NULL
) {{.Clustered}};

-- Policies of accounts, built-in ones included, which have no row in policies.
CREATE TABLE account_policies (
    account {{.Text}} NOT NULL REFERENCES accounts (name),
    policy  {{.Text}} NOT NULL,
    PRIMARY KEY (account, policy)
) {{.Clustered}};

CREATE TABLE signing_keys (
    id          {{.Text}} NOT NULL PRIMARY KEY,
    private_key {{.Bytes}} NOT NULL,
    created_at  BIGINT NOT NULL
) {{.Clustered}};

-- Counters that tell caches, those of other processes too, that they are stale.
CREATE TABLE generations (
    name  {{.Text}} NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) {{.Clustered}};
INSERT INTO generations (name, value) VALUES ('accounts', 1);
{{with .Uncompressed}}
-- Layers are compressed already.
ALTER TABLE blobs ALTER COLUMN content {{.}};
ALTER TABLE uploads ALTER COLUMN object_state {{.}};
{{end}}