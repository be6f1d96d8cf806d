package ecr

import (
	"strconv"
	"time"
)

// seconds is a time as the API writes it: seconds since 1970, with a fraction.
type seconds time.Time

// IsZero has a time that never was be left out.
func (s seconds) IsZero() bool { return time.Time(s).IsZero() }

// MarshalJSON implements json.Marshaler.
func (s seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(time.Time(s).UnixMilli())/1000, 'f', 3, 64), nil
}
