package queuetest_test

import (
	"context"
	"encoding/json"
	"testing"

	"berth/storage/queue"
	"berth/storage/queue/queuetest"
)

func TestMemory(t *testing.T) {
	queuetest.Run(t, func(*testing.T) queuetest.Subject {
		m := &queuetest.Memory{}
		return queuetest.Subject{Store: m, Transact: func(_ context.Context, fn func(func(queue.NewJob) error) error) error {
			var jobs []queue.NewJob
			err := fn(func(j queue.NewJob) error {
				jobs = append(jobs, j)
				_, err := json.Marshal(j.Payload)
				return err
			})
			if err != nil {
				return err
			}
			return m.Enqueue(jobs...)
		}}
	})
}
