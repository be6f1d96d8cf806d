package main

import (
	"context"
	"errors"
	"fmt"

	"berth/registry"
	"berth/registry/engine"
)

type imageArchive struct {
	dataFlags `embed:""`
	Image     string `arg:"" placeholder:"REPO@DIGEST|REPO:TAG" help:"The image."`
}

func (cmd imageArchive) Run(ctx context.Context, c console) error {
	return cmd.setClass(ctx, c, cmd.Image, registry.Archive, "archived")
}

type imageActivate struct {
	dataFlags `embed:""`
	Image     string `arg:"" placeholder:"REPO@DIGEST|REPO:TAG" help:"The image."`
}

func (cmd imageActivate) Run(ctx context.Context, c console) error {
	return cmd.setClass(ctx, c, cmd.Image, registry.Standard, "out of the archive")
}

// setClass archives an image, or takes it out of the archive, with what goes with it.
func (f dataFlags) setClass(ctx context.Context, c console, image string, class registry.StorageClass, done string) error {
	name, ref, err := parseImage(image)
	if err != nil {
		return err
	}
	if ref == (registry.Reference{}) {
		return errors.New("say which image, as REPO@DIGEST or REPO:TAG")
	}
	return f.change(ctx, c, string(name), engine.Options{}, func(ctx context.Context, e *engine.Engine, name registry.Name, audit auditLog) error {
		changed, err := e.SetStorageClass(ctx, name, registry.ImageID{Digest: ref.Digest, Tag: ref.Tag}, class)
		if err != nil {
			return err
		}
		audit.image(ctx, "UpdateImageStorageClass", name, []registry.ImageID{{Digest: changed.Digest}})
		_, err = fmt.Fprintf(c.out, "%s@%s is %s\n", name, changed.Digest, done)
		return err
	})
}
