package main

import (
	"context"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"berth/registry"
	"berth/registry/oci"
	"berth/storage/blob"
	"berth/storage/blob/s3"
	"berth/storage/gc"
	"berth/storage/queue"
)

// metrics are what Prometheus is told.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	received prometheus.Counter
	sent     prometheus.Counter
	commits  prometheus.Histogram
	shared   prometheus.Histogram
	storage  *prometheus.HistogramVec
	writers  prometheus.Gauge
	s3       *prometheus.HistogramVec
	jobs     *prometheus.HistogramVec
	garbage  prometheus.Counter
	freed    prometheus.Counter
	reread   prometheus.Counter
	rotten   prometheus.Counter
	prunings
	scanMetrics
}

func newMetrics() *metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	with := promauto.With(r)
	return &metrics{
		registry: r,
		requests: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "berth_request_seconds", Help: "Time to answer a request, body included, by operation and status.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"operation", "status"}),
		received: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_received_bytes_total", Help: "Bytes of the bodies of requests.",
		}),
		sent: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_sent_bytes_total", Help: "Bytes of the bodies of answers.",
		}),
		commits: with.NewHistogram(prometheus.HistogramOpts{
			Name: "berth_database_transaction_seconds", Help: "Time from asking for a transaction to its being durable.",
			Buckets: []float64{.0005, .001, .002, .005, .01, .05, .25, 1, 5},
		}),
		shared: with.NewHistogram(prometheus.HistogramOpts{
			Name: "berth_database_commit_transactions", Help: "Transactions that shared a commit.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
		storage: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "berth_storage_operation_seconds", Help: "Time of an operation of the blob store, by operation and outcome.",
			Buckets: []float64{.0001, .0005, .001, .005, .025, .1, .5, 2.5},
		}, []string{"operation", "outcome"}),
		s3: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "berth_s3_request_seconds", Help: "Time of a request to the bucket, by kind, by whether it repeats one, and by status (0: no answer).",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10},
		}, []string{"kind", "retry", "status"}),
		jobs: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "berth_job_seconds", Help: "Time of an attempt at a job, by kind and outcome: done, retried, postponed, given-up or interrupted.",
			Buckets: []float64{.001, .01, .1, 1, 10, 60, 600},
		}, []string{"kind", "outcome"}),
		garbage: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_garbage_blobs_total", Help: "Blobs that this server has removed because nothing mentioned them any more.",
		}),
		freed: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_garbage_bytes_total", Help: "Bytes of these blobs.",
		}),
		reread: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_scrubbed_bytes_total", Help: "Bytes of objects that this server has read and compared with their digests.",
		}),
		rotten: with.NewCounter(prometheus.CounterOpts{
			Name: "berth_scrub_losses_total", Help: "Blobs whose objects were found to be missing or damaged by that.",
		}),
		writers: with.NewGauge(prometheus.GaugeOpts{
			Name: "berth_uploads_active", Help: "Uploads that bytes are arriving for.",
		}),
		prunings: newPrunings(with),

		scanMetrics: newScanMetrics(with),
	}
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) request(rec oci.Record) {
	m.requests.WithLabelValues(rec.Operation, strconv.Itoa(rec.Status)).Observe(rec.Took.Seconds())
	m.received.Add(float64(rec.Received))
	m.sent.Add(float64(rec.Sent))
}

func (m *metrics) transaction(took time.Duration, shared int) {
	m.commits.Observe(took.Seconds())
	m.shared.Observe(float64(shared))
}

// job measures one attempt at a job.
func (m *metrics) job(kind string, o queue.Outcome, took time.Duration) {
	m.jobs.WithLabelValues(kind, string(o)).Observe(took.Seconds())
}

// swept counts what one transaction of garbage collection has removed.
func (m *metrics) swept(s gc.Swept) {
	m.garbage.Add(float64(s.Blobs))
	m.freed.Add(float64(s.Bytes))
}

// scrubbed counts what was read and compared with its digest.
func (m *metrics) scrubbed(bytes int64, losses int) {
	m.reread.Add(float64(bytes))
	m.rotten.Add(float64(losses))
}

// countJobs has the jobs of the database counted each time that Prometheus asks.
func (m *metrics) countJobs(s queue.Store) { m.registry.MustRegister(jobCounter{s}) }

type jobCounter struct{ store queue.Store }

var jobCount = prometheus.NewDesc("berth_jobs",
	"Jobs in the database by state: waiting, leased or failed. All replicas tell the same.", []string{"state"}, nil)

func (jobCounter) Describe(all chan<- *prometheus.Desc) { all <- jobCount }

// Collect tells nothing of a database that does not answer: what else there is to tell
// matters more than ever.
func (c jobCounter) Collect(all chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := c.store.CountJobs(ctx)
	if err != nil {
		return
	}
	for _, state := range []queue.State{queue.Waiting, queue.Leased, queue.Failed} {
		all <- prometheus.MustNewConstMetric(jobCount, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}

// s3Request measures one request to the bucket.
func (m *metrics) s3Request(o s3.Operation) {
	m.s3.WithLabelValues(string(o.Kind), strconv.FormatBool(o.Retry), strconv.Itoa(o.Status)).Observe(o.Elapsed.Seconds())
}

// operation measures one operation of the store.
func (m *metrics) operation(name string, started time.Time, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.storage.WithLabelValues(name, outcome).Observe(time.Since(started).Seconds())
}

// store returns next with its operations measured. Reading and writing themselves
// are not: they take as long as the client does.
func (m *metrics) store(next blob.Store) blob.Store { return meteredStore{Store: next, metrics: m} }

// meteredStore has the methods that stores may have besides: an embedded [blob.Store]
// hides them.
type meteredStore struct {
	blob.Store
	metrics *metrics
}

var (
	_ blob.Presigner = meteredStore{}
	_ blob.Roomer    = meteredStore{}
	_ blob.Sweeper   = meteredStore{}
)

func (s meteredStore) Create(ctx context.Context, key blob.Key) (w blob.Writer, err error) {
	started := time.Now()
	w, err = s.Store.Create(ctx, key)
	s.metrics.operation("create", started, err)
	return s.metrics.writer(w, err)
}

func (s meteredStore) Resume(ctx context.Context, key blob.Key, state []byte) (w blob.Writer, err error) {
	started := time.Now()
	w, err = s.Store.Resume(ctx, key, state)
	s.metrics.operation("resume", started, err)
	return s.metrics.writer(w, err)
}

func (s meteredStore) Open(ctx context.Context, key blob.Key, span blob.Span) (io.ReadSeekCloser, error) {
	started := time.Now()
	content, err := s.Store.Open(ctx, key, span)
	s.metrics.operation("open", started, err)
	return content, err
}

// Presign costs the store nothing, and so is not measured.
func (s meteredStore) Presign(ctx context.Context, key blob.Key, expires time.Duration) (string, error) {
	store, ok := s.Store.(blob.Presigner)
	if !ok {
		return "", registry.ErrUnsupported
	}
	return store.Presign(ctx, key, expires)
}

// Room implements [blob.Roomer] if the store behind does.
func (s meteredStore) Room(ctx context.Context, n int64) error { return blob.Room(ctx, s.Store, n) }

// Unfinished implements [blob.Sweeper] if the store behind does, and else yields nothing.
func (s meteredStore) Unfinished(ctx context.Context) iter.Seq2[blob.Object, error] {
	if store, ok := s.Store.(blob.Sweeper); ok {
		return store.Unfinished(ctx)
	}
	return func(func(blob.Object, error) bool) {}
}

func (s meteredStore) Delete(ctx context.Context, key blob.Key) error {
	started := time.Now()
	err := s.Store.Delete(ctx, key)
	s.metrics.operation("delete", started, err)
	return err
}

func (m *metrics) writer(w blob.Writer, err error) (blob.Writer, error) {
	if err != nil {
		return nil, err
	}
	m.writers.Inc()
	return &meteredWriter{Writer: w, metrics: m}, nil
}

type meteredWriter struct {
	blob.Writer
	metrics *metrics
	ended   bool
}

func (w *meteredWriter) end() {
	if !w.ended {
		w.ended = true
		w.metrics.writers.Dec()
	}
}

func (w *meteredWriter) Suspend(ctx context.Context) ([]byte, error) {
	started := time.Now()
	state, err := w.Writer.Suspend(ctx)
	w.metrics.operation("suspend", started, err)
	w.end()
	return state, err
}

func (w *meteredWriter) Commit(ctx context.Context) error {
	started := time.Now()
	err := w.Writer.Commit(ctx)
	w.metrics.operation("commit", started, err)
	w.end()
	return err
}

func (w *meteredWriter) Close() error {
	w.end()
	return w.Writer.Close()
}
