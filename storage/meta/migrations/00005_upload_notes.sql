-- +goose Up

-- What the one who uploads wants to know when the upload ends, such as the sizes of its parts.
ALTER TABLE uploads ADD COLUMN note {{.Text}} NOT NULL DEFAULT '';
