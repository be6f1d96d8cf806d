{{if .Concurrently}}-- +goose NO TRANSACTION
{{end}}-- +goose Up

-- What is lost, which is nothing on most days. One that was interrupted may have left an
-- index that is not valid.
DROP INDEX {{.Concurrently}} IF EXISTS blobs_lost;
CREATE INDEX {{.Concurrently}} blobs_lost ON blobs (digest) WHERE object_key LIKE 'lost:%';
