package registry

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Running is the part of a registry that knows what runs: somebody in each cluster says so, and
// lifecycle policies can keep it.
type Running interface {
	// SetRunning replaces what a cluster runs. That it runs nothing is worth knowing too.
	// Errors: ErrLimitExceeded (MaxClusters), ErrUnavailable (another report of the cluster is
	// being written).
	SetRunning(ctx context.Context, cluster string, images []ImageRef) (Cluster, error)

	// Clusters lists the clusters that have said what they run, by name, after last.
	Clusters(ctx context.Context, last string, limit int) ([]Cluster, error)

	// RunningImages lists what a cluster runs, by repository and digest, after last.
	// Errors: ErrNotSet.
	RunningImages(ctx context.Context, cluster string, last ImageRef, limit int) ([]ImageRef, error)

	// RemoveCluster forgets what a cluster runs. Errors: ErrNotSet, ErrUnavailable as for SetRunning.
	RemoveCluster(ctx context.Context, cluster string) error
}

// ClusterPattern is what the name of a cluster matches as a whole. It has MaxClusterLength
// characters at most.
const (
	ClusterPattern   = `[a-zA-Z0-9][a-zA-Z0-9._-]*`
	MaxClusterLength = 64
)

// ParseCluster checks the name of a cluster.
func ParseCluster(s string) (string, error) {
	if len(s) > MaxClusterLength || !clusterName.MatchString(s) {
		return "", fmt.Errorf("%q is no name of a cluster: it has 1 to %d letters, digits, '.', '_' and '-', and begins with a letter or a digit",
			Clip(s), MaxClusterLength)
	}
	return s, nil
}

var clusterName = regexp.MustCompile(`^(?:` + ClusterPattern + `)$`)

// MaxClusters is how many clusters there can be.
const MaxClusters = 1000

// Cluster is somewhere images run.
type Cluster struct {
	Name       string
	Images     int       // that it runs
	ReportedAt time.Time // the last time; zero if its first report, or its removal, was cut off
}

// ImageRef names an image by repository and digest.
type ImageRef struct {
	Repository Name
	Digest     digest.Digest
}

func (r ImageRef) String() string { return string(r.Repository) + "@" + r.Digest.String() }

// ParseImageRef reads "[host/]repository[:tag]@digest" as container runtimes write it, also with
// "docker-pullable://" before it. Host and tag do not matter: a registry has many names.
// It answers ErrNameInvalid or ErrDigestInvalid.
func ParseImageRef(s string) (ref ImageRef, err error) {
	name, d, found := strings.Cut(strings.TrimPrefix(s, "docker-pullable://"), "@")
	if !found {
		return ref, ErrDigestInvalid.With("%q has no digest; it should look like team/app@sha256:<64 hexadecimal digits>", Clip(s))
	}
	if ref.Digest, err = ParseDigest(d); err != nil {
		return ref, err
	}
	if host, rest, found := strings.Cut(name, "/"); found && (strings.ContainsAny(host, ".:") || host == "localhost") {
		name = rest
	}
	name, _, _ = strings.Cut(name, ":")
	ref.Repository, err = ParseName(name)
	return ref, err
}
