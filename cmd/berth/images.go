package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/registry"
	"berth/registry/engine"
	"berth/storage/meta"
)

// imageCommand is about images: what there are, and those that were deleted.
type imageCommand struct {
	List    imageList    `cmd:"" help:"List the images of a repository, or those that were deleted and can be restored."`
	Restore imageRestore `cmd:"" help:"Bring back an image that was deleted, by hand or by a lifecycle policy."`

	Archive  imageArchive  `cmd:"" help:"Keep an image with its tags, and have it not pulled."`
	Activate imageActivate `cmd:"" help:"Take an image out of the archive."`
}

// parseImage reads REPO:TAG or REPO@DIGEST, or REPO: then ref is zero.
func parseImage(s string) (name registry.Name, ref registry.Reference, err error) {
	repo, d, byDigest := strings.Cut(s, "@")
	var tag string
	colon := strings.LastIndexByte(repo, ':')
	byTag := colon > strings.LastIndexByte(repo, '/') // and not before the port of a host
	if byTag {
		repo, tag = repo[:colon], repo[colon+1:]
	}
	if name, err = parseRepository(repo); err != nil {
		return name, ref, err
	}
	switch {
	case byDigest && byTag:
		err = fmt.Errorf("%s has a tag and a digest; give one of them", s)
	case byDigest:
		ref.Digest, err = registry.ParseDigest(d)
	case byTag:
		ref.Tag, err = registry.ParseTag(tag)
	}
	return name, ref, err
}

// parseRepository reads the name of a repository. Clients call it by the host of the registry
// too, and images by a tag: who does so here is told what to write.
func parseRepository(s string) (registry.Name, error) {
	name, err := registry.ParseName(s)
	if err == nil {
		return name, nil
	}
	bare := s
	if _, after, ok := strings.Cut(bare, "://"); ok {
		bare = after
	}
	if host, after, ok := strings.Cut(bare, "/"); ok && (bare != s || strings.ContainsAny(host, ":")) {
		bare = after
	}
	bare, _, _ = strings.Cut(bare, "@")
	bare, _, _ = strings.Cut(bare, ":")
	if name, parseErr := registry.ParseName(bare); parseErr == nil && bare != s {
		return "", fmt.Errorf("%q is not the name of a repository; it is called %s here, without the host of the registry or a tag", registry.Clip(s), name)
	}
	return "", err
}

// withoutHost adds to the error that a repository is not there that its name begins as a host does.
func withoutHost(name registry.Name, err error) error {
	host, rest, ok := strings.Cut(string(name), "/")
	if !ok || !errors.Is(err, registry.ErrNameUnknown) || host != "localhost" && !strings.Contains(host, ".") {
		return err
	}
	return fmt.Errorf("%w; if %s is the host of the registry, leave it out: %s", err, host, rest)
}

type imageList struct {
	dataFlags   `embed:""`
	graceOfFlag `embed:""`
	outputFlag  `embed:""`
	Repository  string `arg:"" help:"Name of the repository. With --deleted it may be gone."`
	Deleted     bool   `help:"List images that were deleted, the last first."`
}

type listedImage struct {
	Digest    digest.Digest  `json:"digest"`
	Tags      []registry.Tag `json:"tags"` // of a deleted image those that went with it
	MediaType string         `json:"mediaType"`
	Size      int64          `json:"size"`
	PushedAt  time.Time      `json:"pushedAt"`
	PulledAt  time.Time      `json:"lastPulledAt,omitzero"`
	Archived  bool           `json:"archived,omitempty"`
	*deletion `json:",omitempty"`
}

// deletion is when and why an image was deleted.
type deletion struct {
	DeletedAt time.Time `json:"deletedAt"`
	Until     time.Time `json:"restorableUntil"`
	By        string    `json:"deletedBy,omitempty"`
	Why       string    `json:"reason,omitempty"`
}

func listImage(i registry.Image) listedImage {
	return listedImage{
		Digest: i.Digest, Tags: append([]registry.Tag{}, i.Tags...), MediaType: i.MediaType, Size: i.Size,
		PushedAt: i.PushedAt, PulledAt: i.LastPulledAt, Archived: i.Class == registry.Archive,
	}
}

func (cmd imageList) Run(ctx context.Context, c console) error {
	name, err := parseRepository(cmd.Repository)
	if err != nil {
		return err
	}
	if cmd.Deleted {
		return cmd.deleted(ctx, c, name)
	}
	return cmd.withEngine(ctx, engine.Options{}, func(e *engine.Engine) error {
		listed := []listedImage{}
		var rows [][]string
		q := registry.ImagesQuery{Limit: 1000}
		for more := true; more; {
			var page []registry.Image
			if page, more, err = e.Images(ctx, name, q); err != nil {
				return err
			}
			for _, i := range page {
				q.Last.Digest = i.Digest
				listed = append(listed, listImage(i))
				archived := ""
				if i.Class == registry.Archive {
					archived = "archived"
				}
				rows = append(rows, []string{string(i.Digest), join(i.Tags), formatBytes(i.Size), formatTime(i.PushedAt), archived})
			}
		}
		return cmd.print(c, listed, []string{"DIGEST", "TAGS", "SIZE", "PUSHED", "CLASS"}, rows)
	})
}

func (cmd imageList) deleted(ctx context.Context, c console, name registry.Name) error {
	db, err := cmd.openDatabase(ctx)
	if err != nil {
		return err
	}
	return errors.Join(cmd.tellDeleted(ctx, c, db, name), db.Close())
}

func (cmd imageList) tellDeleted(ctx context.Context, c console, db *meta.DB, name registry.Name) error {
	grace, err := cmd.grace(ctx, db)
	if err != nil {
		return err
	}
	const page = 1000
	listed := []listedImage{}
	for last := digest.Digest(""); ; {
		found, err := db.DeletedImages(ctx, name, last, page)
		if err != nil {
			return err
		}
		for _, x := range found {
			last = x.Digest
			i := listImage(x.Image)
			i.deletion = &deletion{x.DeletedAt, x.DeletedAt.Add(grace), x.By, x.Why}
			listed = append(listed, i)
		}
		if len(found) < page {
			break
		}
	}
	slices.SortStableFunc(listed, func(a, b listedImage) int { return b.DeletedAt.Compare(a.DeletedAt) })
	var rows [][]string
	for _, i := range listed {
		rows = append(rows, []string{
			string(i.Digest), join(i.Tags), formatBytes(i.Size), formatTime(i.DeletedAt), formatTime(i.Until), i.By, i.Why,
		})
	}
	return cmd.print(c, listed, []string{"DIGEST", "TAGS", "SIZE", "DELETED", "RESTORABLE UNTIL", "BY", "WHY"}, rows)
}

type imageRestore struct {
	dataFlags  `embed:""`
	outputFlag `embed:""`
	Image      string   `arg:"" placeholder:"REPO@DIGEST|REPO:TAG" help:"The image, or a tag that went with it."`
	Tag        []string `placeholder:"TAG" help:"Give it only this tag of those that it had."`
	MoveTags   bool     `help:"Take back tags that are on other images by now, unless they are immutable."`
	Sparse     []string `placeholder:"PATTERN" help:"As for serve: repositories whose manifests may be incomplete."`

	pruned bool // a lifecycle policy will look at it
}

// restoredImage is what a restoration tells programs.
type restoredImage struct {
	Repository registry.Name   `json:"repository"`
	Digest     digest.Digest   `json:"digest"`
	Tags       []taggedImage   `json:"tags"`
	Elsewhere  []taggedImage   `json:"tagsElsewhere"` // that stay on other images
	With       []digest.Digest `json:"with"`
	Left       []digest.Digest `json:"left"`
}

type taggedImage struct {
	Tag    registry.Tag  `json:"tag"`
	Digest digest.Digest `json:"digest"`
}

func (cmd imageRestore) Run(ctx context.Context, c console) error {
	name, ref, err := parseImage(cmd.Image)
	if err != nil {
		return err
	}
	if ref == (registry.Reference{}) {
		return errors.New("say which image, as REPO@DIGEST or REPO:TAG; berth image list --deleted lists them")
	}
	how := registry.Restoration{MoveTags: cmd.MoveTags}
	for _, s := range cmd.Tag {
		t, err := registry.ParseTag(s)
		if err != nil {
			return err
		}
		how.Tags = append(how.Tags, t)
	}
	opts := engine.Options{AllowSparse: matchAny(cmd.Sparse)}
	return cmd.change(ctx, c, string(name), opts, func(ctx context.Context, e *engine.Engine, name registry.Name, audit auditLog) error {
		done, err := e.RestoreImage(ctx, name, registry.ImageID{Digest: ref.Digest, Tag: ref.Tag}, how)
		if err != nil {
			return err
		}
		switch _, err := e.LifecyclePolicy(ctx, name); {
		case err == nil:
			cmd.pruned = true
		case !errors.Is(err, registry.ErrNotSet):
			return err
		}
		audit.image(ctx, "RestoreImage", name, append([]registry.ImageID{{Digest: done.Image.Digest}}, done.Tags...))
		return cmd.tell(c, name, done)
	})
}

func (cmd imageRestore) tell(c console, name registry.Name, done registry.Restored) error {
	if cmd.Output == "json" {
		return printJSON(c, restoredImage{
			name, done.Image.Digest, tagged(done.Tags), tagged(done.Taken),
			append([]digest.Digest{}, done.With...), append([]digest.Digest{}, done.Left...),
		})
	}
	fmt.Fprintf(c.out, "%s@%s restored\n", name, done.Image.Digest)
	for _, d := range done.With {
		fmt.Fprintf(c.out, "with it %s\n", d)
	}
	for _, t := range done.Tags {
		fmt.Fprintf(c.out, "tag %s on %s\n", t.Tag, t.Digest)
	}
	for _, t := range done.Taken {
		fmt.Fprintf(c.out, "tag %[2]s stays on %[3]s; berth tag rollback %[1]s:%[2]s --to %[4]s takes it back unless it is immutable\n",
			name, t.Tag, t.Digest, done.Image.Digest)
	}
	if done.Image.Class == registry.Archive {
		fmt.Fprintln(c.out, "it is archived, as it was; berth image activate has it pulled again")
	}
	if cmd.pruned {
		fmt.Fprintf(c.out, "it counts as new for the lifecycle policy; berth lifecycle preview %s says what goes in its place\n", name)
	}
	for _, d := range done.Left {
		fmt.Fprintf(c.out, "%s, which refers to it, cannot be restored: bytes of it are gone\n", d)
	}
	return nil
}

func tagged(ids []registry.ImageID) []taggedImage {
	all := []taggedImage{}
	for _, id := range ids {
		all = append(all, taggedImage{id.Tag, id.Digest})
	}
	return all
}
