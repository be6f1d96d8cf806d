-- +goose Up

-- An archived image is kept and cannot be pulled until it is restored.
ALTER TABLE manifests ADD COLUMN archived BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE manifests ADD COLUMN archived_at BIGINT;  -- the last time; null before the first
ALTER TABLE manifests ADD COLUMN activated_at BIGINT; -- when it was last restored
