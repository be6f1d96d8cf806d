// Package remote is how workers and the registry speak about scans: JSON over HTTP, always
// asked by the worker. A [Handler] answers in the registry, a [Client] asks.
//
//	POST /scanner/lease                scan.LeaseRequest → 200 scan.Job, or 204 when there is none
//	POST /scanner/jobs/{id}/extend     → 200 Extension
//	GET  /scanner/jobs/{id}/inventory  → 200 the inventory
//	PUT  /scanner/jobs/{id}/result     scan.Result → 204
//	POST /scanner/jobs/{id}/failure    scan.Failure → 204
//	POST /scanner/layers/missing       Keys → 200 Keys
//	GET  /scanner/layers/{key}         → 200 what was kept, or 404
//	PUT  /scanner/layers/{key}         → 204
//	GET  /scanner/databases            → 200 Databases
//
// All about a job carries the secret of its lease in the header Berth-Lease, and is answered
// 409 when the lease is somebody else's by now: the worker drops the job. 401 and 403 mean that the worker
// is not one, 422 that what it says cannot be, with a sentence in {"message": …}. Bodies of
// results and layers may be compressed (Content-Encoding: gzip).
//
// Images are pulled over /v2/, with the token of the job.
package remote

import (
	"time"

	"berth/scan"
)

// Prefix is where all of it is.
const Prefix = "/scanner/"

// LeaseHeader is the header with the secret of a lease.
const LeaseHeader = "Berth-Lease"

// Extension is how long a lease lasts from now on, and the token to go on pulling with.
type Extension struct {
	Expires time.Duration `json:"expires"`
	Token   string        `json:"token"`
}

// Keys are keys of layers.
type Keys struct {
	Keys []string `json:"keys"`
}

// Databases are the databases to go by, and a token for pulling them.
type Databases struct {
	Databases []scan.Database `json:"databases"`
	Token     string          `json:"token"`
}
