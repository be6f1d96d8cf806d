package registrytest

import (
	"context"
	"testing"

	"berth/registry"
)

// Run tests the registries that open returns. It is called once for each test, must
// return an empty registry, and closes it when the test ends. Tests run at the same
// time, because most of what they do is wait for a disk.
func Run(t *testing.T, open func(t *testing.T) registry.Registry) {
	RunAs(t, func(ctx context.Context) context.Context { return ctx }, open)
}

// RunAs is Run with every call made in a context that as returns, for registries
// that want to know who asks.
func RunAs(t *testing.T, as func(context.Context) context.Context, open func(t *testing.T) registry.Registry) {
	for _, test := range []struct {
		name string
		run  func(x *suite)
	}{
		{"BlobIsReadAsPushed", testBlobIsReadAsPushed},
		{"BlobSeeks", testBlobSeeks},
		{"BlobIsUnknownElsewhere", testBlobIsUnknownElsewhere},
		{"PutBlobRefuses", testPutBlobRefuses},
		{"PutBlobAgain", testPutBlobAgain},

		{"UploadInChunks", testUploadInChunks},
		{"UploadMakesNoRepository", testUploadMakesNoRepository},
		{"UploadWithoutOffset", testUploadWithoutOffset},
		{"UploadChecksOffset", testUploadChecksOffset},
		{"UploadChecksSize", testUploadChecksSize},
		{"UploadKeepsWhatArrived", testUploadKeepsWhatArrived},
		{"UploadKeepsWhatArrivedInTheEnd", testUploadKeepsWhatArrivedInTheEnd},
		{"UploadKeepsNote", testUploadKeepsNote},
		{"UploadDiscardsOtherBytes", testUploadDiscardsOtherBytes},
		{"UploadByOtherAlgorithm", testUploadByOtherAlgorithm},
		{"UploadIsUnknown", testUploadIsUnknown},
		{"UploadEndsOnce", testUploadEndsOnce},
		{"UploadCancelled", testUploadCancelled},
		{"UploadHasOneWriter", testUploadHasOneWriter},
		{"UploadsAreApart", testUploadsAreApart},

		{"Mount", testMount},
		{"MountFromAnywhere", testMountFromAnywhere},
		{"MountOfUnknown", testMountOfUnknown},

		{"ManifestIsReadAsPushed", testManifestIsReadAsPushed},
		{"ManifestOfAnyType", testManifestOfAnyType},
		{"ManifestIsUnknown", testManifestIsUnknown},
		{"ManifestAgain", testManifestAgain},
		{"ManifestNeedsWhatItNames", testManifestNeedsWhatItNames},
		{"ManifestOfForeignLayers", testManifestOfForeignLayers},
		{"ManifestRefused", testManifestRefused},
		{"ManifestSize", testManifestSize},
		{"IndexOfManifests", testIndexOfManifests},
		{"IndexOfBlobs", testIndexOfBlobs},
		{"TagsAllOrNone", testTagsAllOrNone},
		{"TagMoves", testTagMoves},

		{"DeleteTag", testDeleteTag},
		{"DeleteManifest", testDeleteManifest},
		{"DeleteManifestOfIndex", testDeleteManifestOfIndex},
		{"DeleteManifestSharingBlobs", testDeleteManifestSharingBlobs},
		{"DeleteBlob", testDeleteBlob},
		{"DeleteAndPushAgain", testDeleteAndPushAgain},

		{"RepositoriesInPages", testRepositoriesInPages},
		{"TagsInPages", testTagsInPages},
		{"BlobRepositoriesInPages", testBlobRepositoriesInPages},
		{"EmptyLists", testEmptyLists},

		{"Referrers", testReferrers},
		{"ReferrersInAdvance", testReferrersInAdvance},
		{"ReferrersInPages", testReferrersInPages},
		{"ReferrersOfType", testReferrersOfType},
		{"ReferrersWithLongAnnotations", testReferrersWithLongAnnotations},

		{"SameBlobAtOnce", testSameBlobAtOnce},
		{"SameManifestAtOnce", testSameManifestAtOnce},
		{"SameTagAtOnce", testSameTagAtOnce},
		{"SameUploadAtOnce", testSameUploadAtOnce},
		{"PushAndDeleteAtOnce", testPushAndDeleteAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(&suite{T: t, Registry: open(t), ctx: as(t.Context())})
		})
	}
}

// suite is a registry under test.
type suite struct {
	*testing.T
	registry.Registry

	ctx context.Context
}

// repo is where tests push to if it does not matter where.
const repo registry.Name = "team/app"

// sizes are of a small blob and a large one, which registries may treat differently.
var sizes = []int{1000, 100_000}
