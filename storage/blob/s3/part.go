package s3

// S3 takes at most maxParts parts of at least 5 MiB, of which only the last may be
// smaller.
const (
	maxParts    = 10_000
	maxPartSize = 40 << 20
	maxSize     = 2000*(5+10+20)<<20 + 4000*maxPartSize // some 225 GiB
)

// partSize is the number of bytes of part n of any object, counted from 1, but for the
// last. Most layers are small, so parts begin with the least that S3 takes and grow
// only when 10,000 of them would not be enough. That the size follows from the number
// spares the state of a suspended object to say it.
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

// sizeBefore is the number of bytes of all parts before part n.
func sizeBefore(n int) int64 {
	var size int64
	for _, step := range []int{1, 2001, 4001, 6001} {
		if n <= step {
			break
		}
		size += int64(min(n-step, stepParts(step))) * partSize(step)
	}
	return size
}

// stepParts is how many parts are as large as part step, the first of them.
func stepParts(step int) int {
	if step > 6000 {
		return maxParts - 6000
	}
	return 2000
}

// part is a part that is in the bucket.
type part struct {
	etag string // as the server spelled it, without quotes
	crc  uint32 // CRC-32C; zero if the upload goes without checksums
}
