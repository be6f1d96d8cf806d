package s3

// S3 takes at most maxParts parts of at least 5 MiB, of which only the last may be
// smaller.
const (
	maxParts    = 10_000
	maxPartSize = 40 << 20
)

// partSize is the number of bytes of part n of any object, counted from 1, but for the
// last before a Suspend or the end, which takes in what is there besides. Most layers
// are small, so parts begin with the least that S3 takes and grow only when 10,000 of
// them would not be enough.
func partSize(n int) int64 {
	switch {
	case n <= 2000:
		return 5 << 20
	case n <= 4000:
		return 10 << 20
	case n <= 6000:
		return 20 << 20
	default:
		return maxPartSize
	}
}

// part is a part that is in the bucket.
type part struct {
	etag string // as the server spelled it, without quotes
	crc  uint32 // CRC-32C; zero if the upload goes without checksums
}
