package remote

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"berth/registry"
	"berth/scan"
	"berth/storage/queue"
)

// tokenSpare is how much longer a token for pulling is good than the lease that it is for:
// a layer that has begun to be read should come to its end.
const tokenSpare = 5 * time.Minute

// databaseLife is how long a token for pulling databases is good.
const databaseLife = 30 * time.Minute

// Options are what a [Handler] needs besides a service.
type Options struct {
	// Authenticate answers registry.ErrUnauthorized or registry.ErrDenied unless a worker
	// makes the request.
	Authenticate func(*http.Request) error

	// Token makes a bearer token with which repositories can be pulled from for the
	// length of life.
	Token func(ctx context.Context, repos []registry.Name, life time.Duration) (string, error)

	// Closing, if set, is closed when the server is about to stop: nobody is kept waiting then.
	Closing <-chan struct{}

	Logger *slog.Logger
}

// Handler answers what workers ask.
type Handler struct {
	service *scan.Service
	opts    Options
	mux     *http.ServeMux
}

// NewHandler returns the handler of everything below [Prefix].
func NewHandler(s *scan.Service, opts Options) *Handler {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{service: s, opts: opts, mux: http.NewServeMux()}
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /scanner/lease":              h.lease,
		"POST /scanner/jobs/{id}/extend":   h.extend,
		"GET /scanner/jobs/{id}/inventory": h.inventory,
		"PUT /scanner/jobs/{id}/result":    h.result,
		"POST /scanner/jobs/{id}/failure":  h.failure,
		"POST /scanner/layers/missing":     h.missing,
		"GET /scanner/layers/{key}":        h.layer,
		"PUT /scanner/layers/{key}":        h.putLayer,
		"GET /scanner/databases":           h.databases,
		"/scanner/":                        func(http.ResponseWriter, *http.Request) error { return errNoEndpoint },
	} {
		h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			err := opts.Authenticate(r)
			if err == nil {
				err = serve(w, r)
			}
			if err != nil {
				h.writeError(w, r, err)
			}
		})
	}
	return h
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) lease(w http.ResponseWriter, r *http.Request) error {
	var q scan.LeaseRequest
	if err := readJSON(w, r, maxRequest, &q); err != nil {
		return err
	}
	if q.Worker == "" {
		return invalid("the worker does not say what it is called")
	}
	ctx, cancel := h.untilClosing(r.Context())
	defer cancel()
	j, err := h.service.Lease(ctx, q)
	if errors.Is(err, queue.ErrNothingDue) || err != nil && h.closing() {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	if err = r.Context().Err(); err == nil {
		j.Token, err = h.opts.Token(r.Context(), []registry.Name{j.Repository}, j.Expires+tokenSpare)
	}
	if err == nil {
		err = writeJSON(w, j)
	}
	if err != nil { // the worker does not know that it has a job
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
		defer cancel()
		return errors.Join(err, h.service.Release(ctx, j.ID, j.Lease))
	}
	return nil
}

// untilClosing returns a context that ends when the server is about to stop too.
func (h *Handler) untilClosing(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	if h.opts.Closing == nil {
		return ctx, cancel
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-h.opts.Closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-ended
	}
}

func (h *Handler) closing() bool {
	select {
	case <-h.opts.Closing: // which is never ready if it is nil
		return true
	default:
		return false
	}
}

// leased is the job that a request is about.
func leased(r *http.Request) (id int64, lease string, err error) {
	if id, err = strconv.ParseInt(r.PathValue("id"), 10, 64); err != nil {
		return 0, "", errNoEndpoint
	}
	return id, r.Header.Get(LeaseHeader), nil
}

func (h *Handler) extend(w http.ResponseWriter, r *http.Request) error {
	id, lease, err := leased(r)
	if err != nil {
		return err
	}
	life, repo, err := h.service.Extend(r.Context(), id, lease)
	if err != nil {
		return err
	}
	token, err := h.opts.Token(r.Context(), []registry.Name{repo}, life+tokenSpare)
	if err != nil {
		return err
	}
	return writeJSON(w, Extension{Expires: life, Token: token})
}

func (h *Handler) inventory(w http.ResponseWriter, r *http.Request) error {
	id, lease, err := leased(r)
	if err != nil {
		return err
	}
	inventory, err := h.service.JobInventory(r.Context(), id, lease)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", scan.InventoryMediaType)
	_, _ = w.Write(inventory) // a worker that went away misses it
	return nil
}

func (h *Handler) result(w http.ResponseWriter, r *http.Request) error {
	id, lease, err := leased(r)
	if err != nil {
		return err
	}
	var result scan.Result
	if err := readJSON(w, r, maxResult, &result); err != nil {
		return err
	}
	return h.done(w, h.service.Finish(r.Context(), id, lease, result))
}

func (h *Handler) failure(w http.ResponseWriter, r *http.Request) error {
	id, lease, err := leased(r)
	if err != nil {
		return err
	}
	var f scan.Failure
	if err := readJSON(w, r, maxRequest, &f); err != nil {
		return err
	}
	return h.done(w, h.service.Fail(r.Context(), id, lease, f))
}

func (h *Handler) missing(w http.ResponseWriter, r *http.Request) error {
	var asked Keys
	if err := readJSON(w, r, maxRequest, &asked); err != nil {
		return err
	}
	missing, err := h.service.Missing(r.Context(), asked.Keys)
	if err != nil {
		return err
	}
	return writeJSON(w, Keys{Keys: missing})
}

func (h *Handler) layer(w http.ResponseWriter, r *http.Request) error {
	content, err := h.service.Layer(r.Context(), r.PathValue("key"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(content)
	return nil
}

func (h *Handler) putLayer(w http.ResponseWriter, r *http.Request) error {
	content, err := readBody(w, r, scan.MaxLayer)
	if err != nil {
		return err
	}
	return h.done(w, h.service.PutLayer(r.Context(), r.PathValue("key"), content))
}

func (h *Handler) databases(w http.ResponseWriter, r *http.Request) error {
	list, err := h.service.Databases(r.Context())
	if err != nil {
		return err
	}
	answer := Databases{Databases: append([]scan.Database{}, list...)}
	var repos []registry.Name
	for _, d := range list {
		repos = append(repos, d.Repository)
	}
	if len(repos) > 0 {
		if answer.Token, err = h.opts.Token(r.Context(), repos, databaseLife); err != nil {
			return err
		}
	}
	return writeJSON(w, answer)
}

// done answers what needs no words.
func (h *Handler) done(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
