package registry

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// FormatSize is a number of bytes for people.
func FormatSize(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, exponent := float64(n)/unit, 0
	for value >= unit && exponent < 4 {
		value /= unit
		exponent++
	}
	digits := strconv.FormatFloat(value, 'f', 1, 64)
	if value < 10 { // a second one says something there, unless it is a zero
		digits = strings.TrimSuffix(strconv.FormatFloat(value, 'f', 2, 64), "0")
	}
	return fmt.Sprintf("%s %ciB", digits, "KMGTP"[exponent])
}

// units are what a size may be given in.
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"PiB", 1 << 50},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"PB", 1e15},
	{"K", 1 << 10},
	{"M", 1 << 20},
	{"G", 1 << 30},
	{"T", 1 << 40},
	{"B", 1},
	{"", 1},
}

// ParseSize reads a number of bytes as people write it, such as 50GiB or 1.5 TB.
func ParseSize(s string) (int64, error) {
	for _, u := range units {
		digits, found := strings.CutSuffix(s, u.name)
		if !found {
			continue
		}
		digits = strings.TrimSpace(digits)
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || strings.Trim(digits, "0123456789.") != "" || n*u.bytes >= math.MaxInt64 {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is not a size such as 50GiB or 500MB", Clip(s))
}
