package registry_test

import (
	"testing"

	"berth/registry"
)

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "1KiB": 1024, "1.5 GiB": 3 << 29, "50GiB": 50 << 30, "2TB": 2e12, "1PiB": 1 << 50,
		"": -1, "GiB": -1, "-1": -1, "1e3": -1, "0x10": -1, "NaN": -1, "Inf": -1, "1GiBs": -1, "10000PB": -1, "1.2.3": -1, "1gib": -1,
	} {
		got, err := registry.ParseSize(s)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q is %d (%v), want %d", s, got, err, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5347234324: "4.98 GiB", 126144512: "120.3 MiB", 5 << 60: "5120.0 PiB",
	} {
		if got := registry.FormatSize(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
