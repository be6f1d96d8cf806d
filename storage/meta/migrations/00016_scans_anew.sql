-- +goose Up

-- Whether the next scan of an image makes an inventory although there is one.
ALTER TABLE scan_reports ADD COLUMN anew BOOLEAN NOT NULL DEFAULT FALSE;
