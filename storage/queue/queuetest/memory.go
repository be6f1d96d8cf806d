// Package queuetest helps to test what builds on storage/queue: a store in memory, and
// the suite that every queue.Store passes.
package queuetest

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"berth/storage/queue"
)

// Memory is a queue.Store in memory.
type Memory struct {
	bell queue.Bell

	mu     sync.Mutex
	jobs   []queue.Job // by id
	lastID int64
	leases int64
}

var _ queue.Store = (*Memory)(nil)

// Enqueue adds jobs.
func (m *Memory) Enqueue(jobs ...queue.NewJob) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range jobs {
		payload, err := json.Marshal(n.Payload)
		if err != nil {
			return err
		}
		now := time.Now()
		due := n.DueAt
		if due.IsZero() {
			due = now
		}
		if twin := m.twin(n.Kind, n.Key); twin != nil {
			if twin.Attempts == 0 {
				twin.DueAt = earlier(twin.DueAt, due)
			}
			continue
		}
		m.lastID++
		m.jobs = append(m.jobs, queue.Job{
			ID: m.lastID, Kind: n.Kind, Key: n.Key, Payload: payload, State: queue.Waiting, DueAt: due, CreatedAt: now,
		})
	}
	m.bell.Ring()
	return nil
}

// twin is the job of a kind and key that waits.
func (m *Memory) twin(kind, key string) *queue.Job {
	i := slices.IndexFunc(m.jobs, func(j queue.Job) bool {
		return key != "" && j.Kind == kind && j.Key == key && j.State == queue.Waiting
	})
	if i < 0 {
		return nil
	}
	return &m.jobs[i]
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// LeaseJob implements [queue.Store].
func (m *Memory) LeaseJob(ctx context.Context, kinds []string, d time.Duration) (queue.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	var due []*queue.Job
	for i := range m.jobs {
		if j := &m.jobs[i]; slices.Contains(kinds, j.Kind) && j.State != queue.Failed && !j.DueAt.After(now) {
			due = append(due, j)
		}
	}
	if len(due) == 0 {
		return queue.Job{}, cmp.Or(ctx.Err(), queue.ErrNothingDue)
	}
	j := slices.MinFunc(due, func(a, b *queue.Job) int { return a.DueAt.Compare(b.DueAt) })
	m.leases++
	j.State, j.Lease, j.DueAt = queue.Leased, m.leases, now.Add(d)
	j.Attempts++
	return *j, nil
}

// leased lets change alter the job that j is a lease of; false removes it.
func (m *Memory) leased(j queue.Job, change func(*queue.Job) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.jobs, func(k queue.Job) bool { return k.Lease == j.Lease && k.State == queue.Leased })
	if i < 0 {
		return queue.ErrLeaseLost
	}
	if !change(&m.jobs[i]) {
		m.jobs = slices.Delete(m.jobs, i, i+1)
	}
	return nil
}

// putBack has a job wait, and is false if another one stands for it.
func (m *Memory) putBack(j *queue.Job, due time.Time) bool {
	if twin := m.twin(j.Kind, j.Key); twin != nil && twin != j {
		twin.DueAt = earlier(twin.DueAt, due)
		return false
	}
	j.State, j.Lease, j.DueAt = queue.Waiting, 0, due
	return true
}

// ExtendJob implements [queue.Store].
func (m *Memory) ExtendJob(_ context.Context, j queue.Job, d time.Duration) error {
	return m.leased(j, func(j *queue.Job) bool {
		j.DueAt = time.Now().Add(d)
		return true
	})
}

// FinishJob implements [queue.Store].
func (m *Memory) FinishJob(_ context.Context, j queue.Job) error {
	return m.leased(j, func(*queue.Job) bool { return false })
}

// RetryJob implements [queue.Store].
func (m *Memory) RetryJob(_ context.Context, j queue.Job, d time.Duration, reason string) error {
	return m.leased(j, func(j *queue.Job) bool {
		j.Reason = reason
		return m.putBack(j, time.Now().Add(d))
	})
}

// PostponeJob implements [queue.Store].
func (m *Memory) PostponeJob(_ context.Context, j queue.Job, d time.Duration, reason string) error {
	return m.leased(j, func(j *queue.Job) bool {
		j.Attempts--
		j.Reason = reason
		return m.putBack(j, time.Now().Add(d))
	})
}

// ReleaseJob implements [queue.Store].
func (m *Memory) ReleaseJob(_ context.Context, j queue.Job) error {
	defer m.bell.Ring()
	return m.leased(j, func(j *queue.Job) bool {
		j.Attempts--
		return m.putBack(j, time.Now())
	})
}

// GiveUpJob implements [queue.Store].
func (m *Memory) GiveUpJob(_ context.Context, j queue.Job, reason string) error {
	return m.leased(j, func(j *queue.Job) bool {
		j.State, j.Lease, j.DueAt, j.Reason = queue.Failed, 0, time.Now(), reason
		return true
	})
}

// Jobs implements [queue.Store].
func (m *Memory) Jobs(_ context.Context, f queue.Filter, after int64, limit int) ([]queue.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []queue.Job
	for _, j := range m.jobs {
		if j.ID > after && len(page) < limit && (f.State == "" || f.State == j.State) && (f.Kind == "" || f.Kind == j.Kind) {
			j.Lease = 0
			page = append(page, j)
		}
	}
	return page, nil
}

// CountJobs implements [queue.Store].
func (m *Memory) CountJobs(context.Context) (map[queue.State]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := map[queue.State]int{}
	for _, j := range m.jobs {
		counts[j.State]++
	}
	return counts, nil
}

// RequeueJob implements [queue.Store].
func (m *Memory) RequeueJob(_ context.Context, id int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.jobs, func(j queue.Job) bool { return j.ID == id })
	if i < 0 {
		return queue.ErrJobUnknown
	}
	if m.jobs[i].State == queue.Leased {
		return queue.ErrJobLeased
	}
	m.requeue(i)
	return nil
}

func (m *Memory) requeue(i int) {
	m.jobs[i].Attempts = 0
	if !m.putBack(&m.jobs[i], time.Now()) {
		m.jobs = slices.Delete(m.jobs, i, i+1)
	}
	m.bell.Ring()
}

// RequeueFailedJobs implements [queue.Store].
func (m *Memory) RequeueFailedJobs(context.Context) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := len(m.jobs) - 1; i >= 0; i-- {
		if m.jobs[i].State == queue.Failed {
			m.requeue(i)
			n++
		}
	}
	return n, nil
}

// JobsDue implements [queue.Store].
func (m *Memory) JobsDue() <-chan struct{} { return m.bell.C() }
