package registry

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Space is the part of a registry that knows how much room blobs take, and how much they
// may. A repository uses the blobs that are visible in it: those of its images, and until
// garbage collection has taken them those that its images have let go of. Manifests do not
// count.
type Space interface {
	// RegistryUsage is how many bytes all blobs have, each counted once, those that no
	// repository sees any more too.
	RegistryUsage(ctx context.Context) (bytes int64, err error)

	// RepositoryUsage is how much room a repository takes. It counts the images one by one.
	RepositoryUsage(ctx context.Context, repo Name) (RepositoryUsage, error)

	// Freed says how many bytes garbage collection would free if what ref names were
	// deleted and with it all that belongs to it alone (see [Freed.Images]; a deletion by itself
	// leaves that), or the whole repository if ref is empty.
	// Errors: ErrManifestUnknown.
	Freed(ctx context.Context, repo Name, ref Reference) (Freed, error)

	// Quotas lists all quotas by prefix.
	Quotas(ctx context.Context) ([]Quota, error)

	// SetQuota bounds the bytes under a prefix, which may have more already. What a new
	// prefix covers is counted first, and pushes wait for that.
	SetQuota(ctx context.Context, prefix string, bytes int64) error

	// RemoveQuota takes a quota away. Errors: ErrNotSet.
	RemoveQuota(ctx context.Context, prefix string) error
}

// Usage is how much room the blobs of a repository take, in bytes.
type Usage struct {
	Unique int64 `json:"unique"` // that no other repository sees: what is free when this one is gone
	Shared int64 `json:"shared"` // that others see too
}

// RepositoryUsage is how much room a repository takes.
type RepositoryUsage struct {
	Repository Name `json:"repository"`
	Images     int  `json:"images"`
	Usage
}

// Freed is what a deletion would free.
type Freed struct {
	Bytes  int64           `json:"bytes"`
	Blobs  int             `json:"blobs,omitempty"`  // not told of a repository as a whole
	Images []digest.Digest `json:"images,omitempty"` // the one that is named, those that it alone lists, and what refers to them
	HeldBy string          `json:"heldBy,omitempty"` // why nothing goes: another tag or an index that has the image
}

// Quota bounds the bytes of the blobs that repositories under a prefix see, each blob
// counted once however many of them see it.
type Quota struct {
	Prefix    string    `json:"prefix"` // of names, without the slash: team is that of team and team/app; or RootPrefix
	Bytes     int64     `json:"bytes"`
	Used      int64     `json:"used"`
	CreatedAt time.Time `json:"createdAt"`
}

// warnAt is from how many per cent on clients are warned.
const warnAt = 90

// ParseQuotaPrefix checks the prefix of a quota. Empty is RootPrefix. Errors: ErrNameInvalid.
func ParseQuotaPrefix(s string) (string, error) {
	if s == "" || s == RootPrefix {
		return RootPrefix, nil
	}
	name, err := ParseName(strings.TrimSuffix(s, "/"))
	return string(name), err
}

// UnderPrefix reports whether a prefix covers a repository.
func UnderPrefix(name Name, prefix string) bool {
	rest, found := strings.CutPrefix(string(name), prefix)
	return prefix == RootPrefix || found && (rest == "" || rest[0] == '/')
}

// Left is how many bytes may be added; negative if there are too many already.
func (q Quota) Left() int64 { return q.Bytes - q.Used }

// Exceeded is the refusal of size more bytes for repo. Errors: ErrQuotaExceeded.
func (q Quota) Exceeded(repo Name, size int64) error {
	return ErrQuotaExceeded.With("pushing %s to %s needs %s %s, whose quota is %s (%s used); delete images and wait for garbage collection, or ask for more",
		FormatSize(size), repo, FormatSize(q.Used+size), q.where(), FormatSize(q.Bytes), FormatSize(q.Used)).WithDetail(q.detail(size))
}

// UsedUp is the refusal of a push to repo of which no more is known, if nothing is left; nil
// otherwise. Errors: ErrQuotaExceeded.
func (q Quota) UsedUp(repo Name) error {
	if q.Left() > 0 {
		return nil
	}
	return ErrQuotaExceeded.With("nothing can be pushed to %s: the quota of %s %s is used up (%s used); delete images and wait for garbage collection, or ask for more",
		repo, FormatSize(q.Bytes), q.where(), FormatSize(q.Used)).WithDetail(q.detail(0))
}

func (q Quota) detail(size int64) map[string]any {
	return map[string]any{"prefix": q.Prefix, "quota": q.Bytes, "used": q.Used, "size": size}
}

// Warning is what clients are told when little is left, empty if enough is.
func (q Quota) Warning() string {
	if q.Bytes <= 0 || float64(q.Used) < float64(q.Bytes)*warnAt/100 {
		return ""
	}
	where := "in the registry"
	if q.Prefix != RootPrefix {
		where = "under " + q.Prefix
		if len(where) > 200 { // clients need not show more than some 300 bytes, nor understand what is not ASCII
			where = where[:200] + "..."
		}
	}
	return fmt.Sprintf("%s of %s (%.0f %%) %s are used; delete images, or pushes will be refused",
		FormatSize(q.Used), FormatSize(q.Bytes), 100*float64(q.Used)/float64(q.Bytes), where)
}

// where is what the quota is for, in words.
func (q Quota) where() string {
	if q.Prefix == RootPrefix {
		return "in the registry"
	}
	return fmt.Sprintf("under %q", q.Prefix)
}
