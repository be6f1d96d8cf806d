-- +goose Up

-- How it stands with fetching vulnerability databases from elsewhere, a row for each kind
-- that was ever asked for.
CREATE TABLE database_updates (
    kind         {{.Text}} NOT NULL PRIMARY KEY,
    reference    {{.Text}} NOT NULL, -- where it was last asked for
    digest       {{.Text}} NOT NULL, -- of the manifest that was there when it last went well, or empty
    attempted_at BIGINT NOT NULL,
    succeeded_at BIGINT,
    failures     BIGINT NOT NULL,    -- since then
    error        {{.Text}} NOT NULL  -- of the last of them, or empty
);
