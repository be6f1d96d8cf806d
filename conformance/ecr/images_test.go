package ecr

import (
	"fmt"
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

func TestPutImage(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	x := push(t, c, repo, "")
	again := &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &x.manifest}
	refused[*types.ImageAlreadyExistsException](t, c.PutImage, again, "")
	put(t, c, repo, x, "a")
	put(t, c, repo, x, "b")
	refused[*types.ImageAlreadyExistsException](t, c.PutImage, &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &x.manifest, ImageTag: new("a")},
		"Image with digest '"+x.digest+"' and tag 'a' already exists in the repository with name '"+*repo+"' in registry with id '"+account+"'")
	refused[*types.ImageDigestDoesNotMatchException](t, c.PutImage, &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &x.manifest, ImageDigest: &someDigest}, "")
	lacking := newImage(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": descriptor{configType, someDigest, 1}, "layers": []descriptor{}}, "", 0)
	refused[*types.LayersNotFoundException](t, c.PutImage, &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &lacking.manifest}, "")
	index := newImage(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": []descriptor{{manifestType, someDigest, 1}}}, "", 0)
	refused[*types.ReferencedImagesNotFoundException](t, c.PutImage, &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &index.manifest},
		"Images with digests '["+someDigest+"]' required for pushing image into repository with name '"+*repo+"' in the registry with id '"+account+"' do not exist")
	for _, bad := range []string{"{", "{}", "[]", `{"schemaVersion":1}`} {
		refused[*types.InvalidParameterException](t, c.PutImage, &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &bad}, "")
	}
}

// TestThousandTags: an image can have so many.
func TestThousandTags(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	x := push(t, c, repo, "")
	for i := range 1000 {
		do(t, c.PutImage, &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &x.manifest, ImageTag: new(fmt.Sprint("v", i))})
	}
	refused[*types.LimitExceededException](t, c.PutImage, &sdk.PutImageInput{RepositoryName: repo, ImageManifest: &x.manifest, ImageTag: new("one-more")}, "")
	details := do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo}).ImageDetails
	if len(details) != 1 || len(details[0].ImageTags) != 1000 {
		t.Errorf("%d images", len(details))
	}
}

func TestDescribeImages(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	one, two := push(t, c, repo, "one"), push(t, c, repo, "")
	put(t, c, repo, one, "uno")
	index := pushIndex(t, c, repo, "both", one, two)
	sbom := pushBlobs(t, c, repo, &one)
	put(t, c, repo, sbom, "")

	details := map[string]types.ImageDetail{}
	pages := sdk.NewDescribeImagesPaginator(c, &sdk.DescribeImagesInput{RepositoryName: repo, MaxResults: new(int32(3))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.ImageDetails {
			details[*d.ImageDigest] = d
		}
	}
	if len(details) != 4 {
		t.Fatalf("%d images", len(details))
	}
	d := details[one.digest]
	if slices.Sort(d.ImageTags); !slices.Equal(d.ImageTags, []string{"one", "uno"}) || *d.ImageSizeInBytes != one.size || *d.ImageManifestMediaType != manifestType ||
		*d.ArtifactMediaType != configType || time.Since(*d.ImagePushedAt) > time.Minute || d.ImageStatus != "ACTIVE" || *d.RegistryId != account || *d.RepositoryName != *repo {
		t.Errorf("an image is described as %+v", d)
	}
	if d := details[index.digest]; *d.ImageSizeInBytes != index.size || *d.ImageManifestMediaType != indexType || d.ArtifactMediaType != nil {
		t.Errorf("an index is described as %+v", d)
	}
	if d := details[sbom.digest]; *d.SubjectManifestDigest != one.digest || *d.ArtifactMediaType != "application/spdx+json" || d.ImageTags != nil {
		t.Errorf("a referrer is described as %+v", d)
	}
	for status, want := range map[types.TagStatus]int{"TAGGED": 2, "UNTAGGED": 2, "ANY": 4} {
		if got := do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo, Filter: &types.DescribeImagesFilter{TagStatus: status}}); len(got.ImageDetails) != want {
			t.Errorf("%s: %d images", status, len(got.ImageDetails))
		}
	}
	if got := do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{tagged("one"), tagged("uno"), one.id()}}); len(got.ImageDetails) != 1 {
		t.Errorf("three names of one image are %d", len(got.ImageDetails))
	}
	refused[*types.ImageNotFoundException](t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{tagged("three")}},
		"The image with imageId {imageDigest:'null', imageTag:'three'} does not exist within the repository with name '"+*repo+"' in the registry with id '"+account+"'")

	ids := map[types.ImageIdentifier]bool{}
	list := sdk.NewListImagesPaginator(c, &sdk.ListImagesInput{RepositoryName: repo, MaxResults: new(int32(2))})
	n := 0
	for list.HasMorePages() {
		page, err := list.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.ImageIds)
		for _, id := range page.ImageIds {
			ids[id] = true
		}
	}
	if n != 5 {
		t.Errorf("%d names of images, want 5", n)
	}
	if got := do(t, c.ListImages, &sdk.ListImagesInput{RepositoryName: repo, Filter: &types.ListImagesFilter{TagStatus: "UNTAGGED"}}); len(got.ImageIds) != 2 {
		t.Errorf("untagged: %v", got.ImageIds)
	}
	referrers := do(t, c.ListImageReferrers, &sdk.ListImageReferrersInput{
		RepositoryName: repo, SubjectId: &types.SubjectIdentifier{ImageDigest: &one.digest},
		Filter: &types.ListImageReferrersFilter{ArtifactTypes: []string{"application/spdx+json"}},
	}).Referrers
	if len(referrers) != 1 || *referrers[0].Digest != sbom.digest || referrers[0].Annotations["k"] != "v" || referrers[0].ArtifactStatus != "ACTIVE" {
		t.Errorf("referrers %+v", referrers)
	}
	in := &sdk.DescribeImageReplicationStatusInput{RepositoryName: repo, ImageId: new(tagged("one"))}
	if out := do(t, c.DescribeImageReplicationStatus, in); len(out.ReplicationStatuses) != 0 || *out.ImageId.ImageDigest != one.digest {
		t.Errorf("replication %+v", out)
	}
	if out := do(t, c.DescribeImageSigningStatus, &sdk.DescribeImageSigningStatusInput{RepositoryName: repo, ImageId: new(one.id())}); len(out.SigningStatuses) != 0 {
		t.Errorf("signing %+v", out)
	}
	gone := new(tagged("three"))
	refused[*types.ImageNotFoundException](t, c.DescribeImageReplicationStatus, &sdk.DescribeImageReplicationStatusInput{RepositoryName: repo, ImageId: gone}, "")
	refused[*types.ImageNotFoundException](t, c.DescribeImageSigningStatus, &sdk.DescribeImageSigningStatusInput{RepositoryName: repo, ImageId: gone}, "")
	refused[*types.ImageNotFoundException](t, c.DescribeImageScanFindings, &sdk.DescribeImageScanFindingsInput{RepositoryName: repo, ImageId: gone}, "")
	refused[*types.ScanNotFoundException](t, c.DescribeImageScanFindings, &sdk.DescribeImageScanFindingsInput{RepositoryName: repo, ImageId: new(one.id())}, "")
	refused[*types.ImageNotFoundException](t, c.StartImageScan, &sdk.StartImageScanInput{RepositoryName: repo, ImageId: gone}, "")
	refused[*types.ImageNotFoundException](t, c.UpdateImageStorageClass, &sdk.UpdateImageStorageClassInput{RepositoryName: repo, ImageId: gone, TargetStorageClass: "ARCHIVE"}, "")
}

// TestArchive archives an index, whose image cannot be archived alone, and restores it.
func TestArchive(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	one := push(t, c, repo, "one")
	index := pushIndex(t, c, repo, "all", one)
	class := func(id types.ImageIdentifier, target types.TargetStorageClass) *sdk.UpdateImageStorageClassInput {
		return &sdk.UpdateImageStorageClassInput{RepositoryName: repo, ImageId: &id, TargetStorageClass: target}
	}
	refused[*types.ImageStorageClassUpdateNotSupportedException](t, c.UpdateImageStorageClass, class(one.id(), "ARCHIVE"), "")
	if out := do(t, c.UpdateImageStorageClass, class(tagged("all"), "ARCHIVE")); out.ImageStatus != "ARCHIVED" || *out.ImageId.ImageDigest != index.digest {
		t.Errorf("archived: %+v", out)
	}
	for status, want := range map[types.ImageStatusFilter]int{"": 0, "ACTIVE": 0, "ARCHIVED": 2, "ACTIVATING": 0, "ANY": 2} {
		got := do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo, Filter: &types.DescribeImagesFilter{ImageStatus: status}})
		list := do(t, c.ListImages, &sdk.ListImagesInput{RepositoryName: repo, Filter: &types.ListImagesFilter{ImageStatus: status}})
		if len(got.ImageDetails) != want || len(list.ImageIds) != want {
			t.Errorf("%s: %d images, %d names", status, len(got.ImageDetails), len(list.ImageIds))
		}
	}
	if out := do(t, c.BatchGetImage, &sdk.BatchGetImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{tagged("all"), one.id()}}); len(out.Failures) != 2 {
		t.Errorf("archived images were given: %+v", out)
	}
	do(t, c.UpdateImageStorageClass, class(index.id(), "STANDARD"))
	got := do(t, c.DescribeImages, &sdk.DescribeImagesInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{index.id(), one.id()}})
	for _, d := range got.ImageDetails {
		if d.ImageStatus != "ACTIVE" || d.LastArchivedAt == nil || d.LastActivatedAt == nil {
			t.Errorf("restored: %+v", d)
		}
	}
	do(t, c.UpdateImageStorageClass, class(index.id(), "ARCHIVE"))
	put(t, c, repo, index, "all")
	if out := do(t, c.BatchGetImage, &sdk.BatchGetImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{tagged("all")}}); len(out.Images) != 1 {
		t.Errorf("what was pushed again is not there: %+v", out)
	}
}

// TestBatches gets and deletes images, some of which cannot be.
func TestBatches(t *testing.T) {
	c := connect(t)
	repo := newRepository(t, c)
	one, two := push(t, c, repo, "one"), push(t, c, repo, "two")
	put(t, c, repo, one, "uno")
	index := pushIndex(t, c, repo, "index", two)
	ids := []types.ImageIdentifier{
		tagged("one"), one.id(), tagged("nope"), {}, {ImageDigest: new("bad")}, {ImageDigest: &two.digest, ImageTag: new("one")},
	}
	got := do(t, c.BatchGetImage, &sdk.BatchGetImageInput{RepositoryName: repo, ImageIds: ids})
	if len(got.Images) != 2 || *got.Images[0].ImageManifest != one.manifest || *got.Images[0].ImageManifestMediaType != manifestType || *got.Images[0].ImageId.ImageTag != "one" {
		t.Errorf("got %+v", got.Images)
	}
	codes := func(failures []types.ImageFailure) (list []string) {
		for _, f := range failures {
			list = append(list, string(f.FailureCode))
			if *f.FailureReason == "" {
				t.Errorf("%s has no reason", f.FailureCode)
			}
		}
		slices.Sort(list)
		return list
	}
	if got := codes(got.Failures); !slices.Equal(got, []string{"ImageNotFound", "ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag"}) {
		t.Errorf("failures to get %v", got)
	}
	if got := do(t, c.BatchGetImage, &sdk.BatchGetImageInput{RepositoryName: repo, ImageIds: ids[:1], AcceptedMediaTypes: []string{indexType}}); len(got.Images) != 0 || len(got.Failures) != 1 {
		t.Errorf("of another type: %+v", got)
	}
	gone := do(t, c.BatchDeleteImage, &sdk.BatchDeleteImageInput{RepositoryName: repo, ImageIds: append(ids[2:], tagged("one"), tagged("two"))})
	if want := []string{"ImageNotFound", "ImageReferencedByManifestList", "ImageTagDoesNotMatchDigest", "InvalidImageDigest", "MissingDigestAndTag"}; !slices.Equal(codes(gone.Failures), want) {
		t.Errorf("failures to delete %v", codes(gone.Failures))
	}
	if len(gone.ImageIds) != 1 || *gone.ImageIds[0].ImageTag != "one" || *gone.ImageIds[0].ImageDigest != one.digest {
		t.Errorf("gone %+v", gone.ImageIds)
	}
	// Indexes go before what they list, in whatever order they are named.
	gone = do(t, c.BatchDeleteImage, &sdk.BatchDeleteImageInput{RepositoryName: repo, ImageIds: []types.ImageIdentifier{two.id(), one.id(), index.id()}})
	if len(gone.ImageIds) != 3 || len(gone.Failures) != 0 {
		t.Errorf("gone %+v, failures %+v", gone.ImageIds, gone.Failures)
	}
	if left := do(t, c.ListImages, &sdk.ListImagesInput{RepositoryName: repo}).ImageIds; len(left) != 0 {
		t.Errorf("left %v", left)
	}
}
