-- +goose Up

-- When the lifecycle policy of a repository is next held against its images; null without
-- a policy, and for one that cannot be read.
ALTER TABLE repositories ADD COLUMN lifecycle_due_at BIGINT;
CREATE INDEX repositories_by_lifecycle ON repositories (lifecycle_due_at, id) WHERE lifecycle_due_at IS NOT NULL;
CREATE INDEX repositories_with_lifecycle ON repositories (name) WHERE lifecycle_policy <> '';
UPDATE repositories SET lifecycle_due_at = 0 WHERE lifecycle_policy <> '';

-- What runs of lifecycle policies have come to. They outlive the repository.
CREATE TABLE lifecycle_runs (
    id            {{.ID}},
    repository    {{.Text}} NOT NULL, -- its name
    repository_id BIGINT NOT NULL,
    policy        {{.Text}} NOT NULL, -- the text, while the run is under way
    forced        BOOLEAN NOT NULL,
    state         {{.Text}} NOT NULL,
    reason        {{.Text}} NOT NULL, -- why it did not do all, or empty
    attempts      BIGINT NOT NULL,    -- more than one if it was cut off and taken up again
    images        BIGINT NOT NULL,    -- in the repository
    blocked       BIGINT NOT NULL,    -- that an index keeps for now
    skipped       BIGINT NOT NULL,    -- that had changed meanwhile
    expired       BIGINT NOT NULL,
    archived      BIGINT NOT NULL,
    untagged      BIGINT NOT NULL,    -- tags that expired, whose images stay
    began_at      BIGINT NOT NULL,
    ended_at      BIGINT              -- null while it is under way, or waits to be taken up again
);
CREATE INDEX lifecycle_runs_by_repository ON lifecycle_runs (repository, id);
CREATE INDEX lifecycle_runs_by_age ON lifecycle_runs (began_at, id);
CREATE UNIQUE INDEX lifecycle_runs_open ON lifecycle_runs (repository_id) WHERE ended_at IS NULL;

-- What became of images.
CREATE TABLE lifecycle_events (
    id         {{.ID}},
    run_id     BIGINT NOT NULL,
    repository {{.Text}} NOT NULL, -- its name
    digest     {{.Text}} NOT NULL,
    tags       {{.Text}} NOT NULL, -- JSON: those of the image; those that expired if it stays
    rule       BIGINT NOT NULL,    -- its priority
    action     {{.Text}} NOT NULL,
    why        {{.Text}} NOT NULL,
    at         BIGINT NOT NULL
);
CREATE INDEX lifecycle_events_by_repository ON lifecycle_events (repository, id);
CREATE INDEX lifecycle_events_by_age ON lifecycle_events (at, id);

-- Policies that are tried out: one for each repository, and those that another has followed,
-- whose results are yet to be removed.
CREATE TABLE lifecycle_previews (
    id            BIGINT NOT NULL PRIMARY KEY, -- by chance
    repository_id BIGINT,                      -- null when another has followed
    policy        {{.Text}} NOT NULL,
    state         {{.Text}} NOT NULL,
    reason        {{.Text}} NOT NULL, -- why it failed, or empty
    expiring      BIGINT NOT NULL,
    archiving     BIGINT NOT NULL,
    archives      BOOLEAN NOT NULL,   -- whether a rule archives
    started_at    BIGINT NOT NULL,
    clear_at      BIGINT              -- when its results go; null when they have gone
) {{.Clustered}};
CREATE UNIQUE INDEX lifecycle_previews_by_repository ON lifecycle_previews (repository_id) WHERE repository_id IS NOT NULL;
CREATE INDEX lifecycle_previews_to_clear ON lifecycle_previews (clear_at, id) WHERE clear_at IS NOT NULL;

CREATE TABLE lifecycle_preview_results (
    preview_id BIGINT NOT NULL,
    digest     {{.Text}} NOT NULL,
    tags       {{.Text}} NOT NULL, -- JSON, empty without tags
    pushed_at  BIGINT NOT NULL,
    rule       BIGINT NOT NULL,
    action     {{.Text}} NOT NULL,
    class      {{.Text}} NOT NULL,
    PRIMARY KEY (preview_id, digest)
) {{.Clustered}};
