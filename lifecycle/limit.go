package lifecycle

import (
	"fmt"
	"strconv"
	"strings"
)

// Limit is how much of a repository one run may delete. The zero Limit is a guess at what
// nobody can mean: it stops a run that would delete more than nine images of ten, more than
// ten of them, and leave fewer than ten. So a policy that keeps the last ten may delete any
// number at once, and one that counts days does not empty a repository to which nobody has
// pushed for long.
type Limit struct {
	Images  int  // the most images; zero means that Percent counts
	Percent int  // the most of the images of the repository
	Off     bool // there is none
}

// What the zero Limit stops.
const (
	guessPercent = 90
	guessImages  = 10
	guessLeft    = 10
)

// ParseLimit reads a limit: auto (the zero Limit), off, a number of images, or a share of
// them such as 50%.
func ParseLimit(text string) (Limit, error) {
	switch text {
	case "auto", "":
		return Limit{}, nil
	case "off":
		return Limit{Off: true}, nil
	}
	number, share := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || share && n > 100 {
		return Limit{}, fmt.Errorf("%q: it should be a number of images, a share of them such as 50%%, auto or off", text)
	}
	if share {
		return Limit{Percent: n}, nil
	}
	return Limit{Images: n}, nil
}

// String is what ParseLimit reads.
func (l Limit) String() string {
	switch {
	case l.Off:
		return "off"
	case l.Images > 0:
		return strconv.Itoa(l.Images)
	case l.Percent > 0:
		return strconv.Itoa(l.Percent) + "%"
	}
	return "auto"
}

// unreported is why a run is stopped whose policy keeps what runs when nobody knows what does.
const unreported = "the policy keeps what runs (keepRunning), and no cluster has said what it runs; " +
	"have one say so, even that it is nothing (PutRunningImages, berth cluster set); nothing was done"

// Stops says why a run does nothing of what was decided on a snapshot; empty if it does it. A run
// may be forced past what it may delete, and past nothing else.
func (l Limit) Stops(p *Policy, s Snapshot, taken, blocked []Decision, forced bool) string {
	switch {
	case p.KeepRunning && s.Unreported:
		return unreported
	case forced:
		return ""
	}
	return l.exceeded(p, len(s.Images), taken, blocked)
}

// exceeded says why a run may not do what was decided on so many images; empty if it may.
// What an index keeps for now counts, since it goes soon after. The limit of the policy, if it
// has one, goes before l.
func (l Limit) exceeded(p *Policy, images int, taken, blocked []Decision) string {
	n, whole := 0, 0 // decisions to expire, and those on images as a whole
	for _, list := range [][]Decision{taken, blocked} {
		for _, d := range list {
			if d.Action == Expire {
				n++
				if len(d.Tags) == 0 {
					whole++
				}
			}
		}
	}
	own, ok := p.MaxDeletes(images)
	switch {
	case ok && n > own:
		return fmt.Sprintf("it would expire %d of %d images, and maxDeletes of the policy allows %d; nothing was done", n, images, own)
	case ok || l.Off:
	case l.Images > 0 && n > l.Images, l.Percent > 0 && 100*n > l.Percent*images:
		return fmt.Sprintf("it would expire %d of %d images, which is more than --max-deletes %s; nothing was done", n, images, l)
	case l == Limit{} && 100*whole > guessPercent*images && whole > guessImages && images-whole < guessLeft:
		return fmt.Sprintf("it would delete %d of %d images and leave fewer than %d, which --max-deletes %s takes for a mistake; nothing was done",
			whole, images, guessLeft, l)
	}
	return ""
}
