-- +goose Up

-- Work that follows from a change, written in the change's transaction. A job that is
-- done has no row any more. See storage/queue.
CREATE TABLE jobs (
    id         {{.ID}},
    kind       {{.Text}} NOT NULL,
    job_key    {{.Text}},          -- null if there is none
    payload    {{.Text}} NOT NULL, -- JSON
    state      {{.Text}} NOT NULL, -- waiting, leased or failed
    lease      BIGINT,             -- a random number for each lease, null without one
    attempts   BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,    -- of a leased job the end of its lease; of a failed one when it was given up
    reason     {{.Text}} NOT NULL, -- why the last attempt failed, or empty
    created_at BIGINT NOT NULL
);
-- A job whose lease has run out is found in the same place as one that waits.
CREATE INDEX jobs_by_due ON jobs (kind, due_at, id) WHERE state <> 'failed';
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE UNIQUE INDEX jobs_by_key ON jobs (kind, job_key) WHERE state = 'waiting';

-- What only one process may do at a time, and who does it.
CREATE TABLE leases (
    name       {{.Text}} NOT NULL PRIMARY KEY,
    holder     BIGINT NOT NULL, -- a random number for each time
    expires_at BIGINT NOT NULL
) {{.Clustered}};
