package meta_test

import (
	"testing"
	"time"

	"berth/registry"
	"berth/registry/engine"
	"berth/registry/registrytest"
	"berth/storage/meta"
)

// undo asks what a [registry.History] can be asked.
func undo(t *testing.T, db *meta.DB, e *engine.Engine, do func(string, error)) {
	ctx := t.Context()
	image, index := registrytest.Recipe{Seed: 21}.Image(), registrytest.Recipe{Seed: 22}.Cache()
	subject := image.Descriptor()
	referrer := registrytest.Recipe{Seed: 23, Layers: -1, Subject: &subject}.Image()
	for _, i := range []registrytest.Image{image, index, referrer} {
		for _, b := range i.Blobs {
			_, err := e.PutBlob(ctx, "undo", b.Chunk(), b.Digest)
			do("PutBlob", err)
		}
		_, err := e.PutManifest(ctx, "undo", i.Manifest, []registry.Tag{"latest"})
		do("PutManifest", err)
	}
	for _, i := range []registrytest.Image{image, index, referrer} {
		do("DeleteManifest", e.DeleteManifest(ctx, "undo", i.Digest))
	}
	_, err := e.DeletedImages(ctx, "undo", "", 10)
	do("DeletedImages", err)
	x, err := db.ExplainGarbage(ctx, image.Digest, 10)
	do("ExplainGarbage", err)
	if len(x.Deleted) != 1 {
		t.Errorf("the image is said to have been deleted from %v", x.Deleted)
	}
	_, err = e.RestoreImage(ctx, "undo", registry.ImageID{Tag: "latest"}, registry.Restoration{})
	do("RestoreImage", err)
	for _, i := range []registrytest.Image{image, index} {
		_, err = e.RestoreImage(ctx, "undo", registry.ImageID{Digest: i.Digest}, registry.Restoration{})
		do("RestoreImage", err)
	}
	_, _, err = e.RollbackTag(ctx, "undo", "latest", registry.RollbackTarget{})
	do("RollbackTag", err)
	for _, tag := range []registry.Tag{"", "latest"} {
		_, err = e.TagHistory(ctx, "undo", registry.TagHistoryQuery{Tag: tag, Limit: 10})
		do("TagHistory", err)
	}
	_, err = e.TagAt(ctx, "undo", "latest", time.Now())
	do("TagAt", err)
	e.TagAt(ctx, "undo", "latest", time.Now().Add(-time.Hour))
	do("DeleteManifest", e.DeleteManifest(ctx, "undo", referrer.Digest))
	_, err = db.ForgetTagChanges(ctx, time.Now(), 1)
	do("ForgetTagChanges", err)
	_, err = db.Sweep(ctx, time.Now().Add(time.Hour), 10)
	do("Sweep", err)
}
