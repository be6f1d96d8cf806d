package main

import (
	"context"
	"time"
)

// scenario is a fault and what surrounds it.
type scenario struct {
	name     string
	thorough bool     // a shorter run leaves it out
	storage  string   // further parameters of the storage URL
	args     []string // further arguments of serve
	clients  int      // zero: 6
	small    bool     // images have no large layers
	lasts    time.Duration

	// fault begins; what it returns ends it. Some take time of their own to begin or to end.
	fault func(context.Context, *world) (end func(context.Context) error, err error)
}

// hasty makes berth give up a request to S3 soon, so that it shows within the bound what it does then.
const hasty = "timeout=2s"

const usual = 4 * time.Second

var scenarios = []scenario{
	{name: "no fault", thorough: true, lasts: usual, fault: nothing},

	{name: "s3: 503 SlowDown, two in five", lasts: usual, fault: onBucket(sometimes(0.4, refuse(503, "SlowDown", "Please reduce your request rate.")))},
	{name: "s3: 503 SlowDown, always", thorough: true, lasts: usual, fault: onBucket(refuse(503, "SlowDown", "Please reduce your request rate."))},
	{name: "s3: 500, two in five", thorough: true, lasts: usual, fault: onBucket(sometimes(0.4, refuse(500, "InternalError", "We encountered an internal error. Please try again.")))},
	{name: "s3: no answer, one in four", thorough: true, storage: hasty, lasts: usual, fault: onBucket(sometimes(0.25, silence))},
	{name: "s3: no answer, always", storage: hasty, lasts: 8 * time.Second, fault: onBucket(silence)},
	{name: "s3: cut in the middle of a request", thorough: true, lasts: usual, fault: onBucket(sometimes(0.3, cutBefore))},
	{name: "s3: cut before the answer", lasts: usual, fault: onBucket(sometimes(0.3, cutAfter))},
	{name: "s3: cut in the middle of an answer", thorough: true, lasts: usual, fault: onBucket(sometimes(0.3, cutAnswer))},
	{name: "s3: slow", thorough: true, lasts: usual, fault: onBucket(slow)},
	{name: "s3: wrong ETag of a part", thorough: true, lasts: usual, fault: onBucket(sometimes(0.3, wrongETag))},
	{name: "s3: a part is lost", lasts: usual, fault: onBucket(sometimes(0.3, losePart))},
	{name: "s3: the bucket is gone", lasts: usual, fault: onBucket(refuse(404, "NoSuchBucket", "The specified bucket does not exist."))},
	{name: "s3: the credentials have expired", thorough: true, lasts: usual, fault: onBucket(refuse(403, "ExpiredToken", "The provided token has expired."))},
	{name: "s3: killed and restarted", lasts: 3 * time.Second, fault: restartS3},

	{name: "postgres: restarted", thorough: true, lasts: time.Second, fault: restartPostgres((*world).stopPostgres)},
	{name: "postgres: crashes", lasts: time.Second, fault: restartPostgres((*world).crashPostgres)},
	{name: "postgres: down for 10 s", thorough: true, lasts: 10 * time.Second, fault: restartPostgres((*world).stopPostgres)},
	{name: "postgres: connections cut", lasts: usual, fault: cutConnections},
	{name: "postgres: cut at COMMIT", lasts: usual, fault: cutCommits},
	{name: "postgres: 20 ms away", thorough: true, lasts: usual, fault: distance(20 * time.Millisecond)},
	{name: "postgres: 3 connections, 50 clients", args: []string{"--database-connections", "3"}, clients: 50, small: true, lasts: usual, fault: nothing},
	{name: "postgres: read-only", lasts: 7 * time.Second, fault: readOnly},
	{name: "postgres: stands still", lasts: 6 * time.Second, fault: pausePostgres},
}

func nothing(context.Context, *world) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}
