package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"berth/scan"
)

func jobPath(job scan.Job, what string) string {
	return Prefix + "jobs/" + strconv.FormatInt(job.ID, 10) + "/" + what
}

// Extend has the lease of a job last longer.
func (c *Client) Extend(ctx context.Context, job scan.Job) (e Extension, err error) {
	_, err = c.askJSON(ctx, question{method: http.MethodPost, path: jobPath(job, "extend"), lease: job.Lease}, &e)
	return e, err
}

// Inventory returns what is in the image of a job that has an inventory.
func (c *Client) Inventory(ctx context.Context, job scan.Job) (json.RawMessage, error) {
	_, body, err := c.ask(ctx, question{method: http.MethodGet, path: jobPath(job, "inventory"), lease: job.Lease, limit: scan.MaxInventory})
	if err == nil && !json.Valid(body) {
		err = fmt.Errorf("the inventory of %s, as the registry has it, is not JSON", job.Digest)
	}
	return body, err
}

// Result reports what was found. If it fails with queue.ErrLeaseLost the registry may have
// the result already: an answer that got lost is asked for again.
func (c *Client) Result(ctx context.Context, job scan.Job, r scan.Result) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, _, err = c.ask(ctx, question{method: http.MethodPut, path: jobPath(job, "result"), lease: job.Lease, body: body, zip: true})
	return err
}

// Failure reports why there is no result.
func (c *Client) Failure(ctx context.Context, job scan.Job, f scan.Failure) error {
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	_, _, err = c.ask(ctx, question{method: http.MethodPost, path: jobPath(job, "failure"), lease: job.Lease, body: body})
	return err
}
