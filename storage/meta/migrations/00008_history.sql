-- +goose Up

-- Where tags pointed: a row for each time that one came to point elsewhere. Repositories
-- stand here by name, as what is told of one outlives it.
CREATE TABLE tag_history (
    id         {{.ID}},
    repository {{.Text}} NOT NULL,
    tag        {{.Text}} NOT NULL,
    was        {{.Text}} NOT NULL, -- digest that it pointed at before, empty if it was not there
    digest     {{.Text}} NOT NULL, -- and from then on, empty if it went
    changed_at BIGINT NOT NULL,
    changed_by {{.Text}} NOT NULL, -- as registry.Cause has it, like the reason
    reason     {{.Text}} NOT NULL
);
CREATE INDEX tag_history_by_tag ON tag_history (repository, tag, id);
CREATE INDEX tag_history_by_repository ON tag_history (repository, id);

-- Images that were deleted and can be restored as long as their bytes are there. Their
-- payloads stay.
CREATE TABLE deleted_images (
    repository     {{.Text}} NOT NULL,
    digest         {{.Text}} NOT NULL REFERENCES manifest_payloads (digest),
    media_type     {{.Text}} NOT NULL,
    artifact_type  {{.Text}} NOT NULL,
    subject        {{.Text}} NOT NULL, -- digest, or empty
    image_size     BIGINT,
    tags           {{.Text}} NOT NULL, -- that went with it; JSON, or empty
    absent         {{.Text}} NOT NULL, -- digests that it named and the repository did not have; JSON, or empty
    pushed_at      BIGINT NOT NULL,
    last_pulled_at BIGINT,
    archived       BOOLEAN NOT NULL,
    archived_at    BIGINT,
    deleted_at     BIGINT NOT NULL,
    deleted_by     {{.Text}} NOT NULL, -- as registry.Cause has it, like the reason
    reason         {{.Text}} NOT NULL,
    PRIMARY KEY (repository, digest)
) {{.Clustered}};
CREATE INDEX deleted_images_by_age ON deleted_images (deleted_at, repository, digest);
CREATE INDEX deleted_images_by_digest ON deleted_images (digest);
CREATE INDEX deleted_images_by_subject ON deleted_images (repository, subject, digest) WHERE subject <> '';
