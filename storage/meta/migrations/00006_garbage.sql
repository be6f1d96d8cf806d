-- +goose Up

-- What garbage collection looks at: blobs that a repository sees and none of its manifests
-- names, the longest first. gc_candidates has those that no repository sees any more.
CREATE INDEX repository_blobs_unreferenced ON repository_blobs (unreferenced_since, repository_id, blob_id)
    WHERE unreferenced_since IS NOT NULL;

-- What manifests have let go of is in that index.
DELETE FROM gc_candidates WHERE digest IN (SELECT b.digest FROM blobs b JOIN repository_blobs rb ON rb.blob_id = b.id);

-- One job removes several objects.
UPDATE jobs SET kind = 'delete-objects', payload = '{"keys":["' || job_key || '"]}', job_key = NULL WHERE kind = 'delete-object';
