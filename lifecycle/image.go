package lifecycle

import (
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// Image is an image with what decisions need to know besides. One without a class is just
// being restored, and no rule is about it.
type Image struct {
	registry.Image
	Indexes   []digest.Digest // those of the repository that list it
	RunningIn []string        // the clusters that reported that they run it; matters where a policy has keepRunning
}

// since is the time from which the days of an image are counted. Images are ranked by
// that of SinceImagePushed. What was restored counts as new.
func (i *Image) since(t CountType) time.Time {
	at, _ := i.clock(t)
	return at
}

// event is what a clock was started by.
type event int

const (
	push event = iota
	pull
	restore
	archival
)

func (i *Image) clock(t CountType) (time.Time, event) {
	switch {
	case t == SinceImageTransitioned:
		return i.ArchivedAt, archival
	case t == SinceImagePulled && !i.LastPulledAt.IsZero() && !i.LastPulledAt.Before(i.ActivatedAt):
		return i.LastPulledAt, pull
	case !i.ActivatedAt.IsZero():
		return i.ActivatedAt, restore
	}
	return i.PushedAt, push
}
