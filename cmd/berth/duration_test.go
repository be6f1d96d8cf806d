package main

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour, "-1d": -day, "-1d1h": -25 * time.Hour,
		"36h": 36 * time.Hour, "0": 0, "0d": 0, "1m30s": 90 * time.Second, "36500d": 36500 * day,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v (%v), want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "90", "1dd", "1d2", "1e9d", "NaNd", "infd", "ten days", "36501d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
