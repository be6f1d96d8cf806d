package engine_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/blob/mem"
	"berth/storage/meta/pgtest"
)

// BenchmarkSmallPush pushes images of some KB to a store in memory, so that rows are what
// it costs: by one client, by eight, and by eight to the same repository.
func BenchmarkSmallPush(b *testing.B) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		for _, how := range []struct {
			name         string
			clients      int
			repositories int64
		}{{"alone", 1, 1}, {"eight", 8, 8}, {"together", 8, 1}} {
			b.Run(database+"/"+how.name, func(b *testing.B) {
				url := ""
				if database == "PostgreSQL" {
					url = pgtest.Database(b)
				}
				s := newSite(b, url, engine.Options{CreateOnPush: true}, mem.New())
				var client, seed atomic.Int64
				b.SetParallelism(how.clients)
				b.ResetTimer()
				b.RunParallel(func(next *testing.PB) {
					repo := registry.Name(fmt.Sprintf("team/app-%d", client.Add(1)%how.repositories))
					for next.Next() {
						image := registrytest.Recipe{Seed: uint64(seed.Add(1))}.Image()
						if err := s.push(b.Context(), repo, image, "latest"); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
