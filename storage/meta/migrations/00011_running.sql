-- +goose Up

-- Who has said what they run, and what they run. A repository stands here by name: it may be
-- deleted and come back while a cluster goes on running its images.
CREATE TABLE clusters (
    name        {{.Text}} NOT NULL PRIMARY KEY,
    reported_at BIGINT NOT NULL,
    images      BIGINT NOT NULL -- how many
) {{.Clustered}};
CREATE TABLE running_images (
    cluster    {{.Text}} NOT NULL REFERENCES clusters (name),
    repository {{.Text}} NOT NULL,
    digest     {{.Text}} NOT NULL,
    PRIMARY KEY (cluster, repository, digest)
) {{.Clustered}};
CREATE INDEX running_images_by_repository ON running_images (repository, digest, cluster);
