-- +goose Up

-- Backups whose objects lie in the store that they were made of. See holds.go.
CREATE TABLE holds (
    name       {{.Text}} NOT NULL PRIMARY KEY, -- of the backup
    created_at BIGINT NOT NULL,                -- the objects that were named then stay
    expires_at BIGINT                          -- null means when it is released
) {{.Clustered}};
