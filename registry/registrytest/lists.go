package registrytest

import (
	"context"
	"slices"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

func testRepositoriesInPages(x *suite) {
	names := []registry.Name{"a", "a-b", "a.b", "a/b", "a/b/c", "a0", "a__b", "a_b", "ab", "b", "b-1", "z/z"}
	for i, n := range names {
		x.putBlob(n, NewBlob(uint64(i), 10))
	}
	pages(x, names, x.Repositories)
}

func testTagsInPages(x *suite) {
	tags := []registry.Tag{"1", "10", "2", "A", "Z", "_", "a", "a-1", "a.1", "a1", "aA", "a_1", "b", "latest", "v1.0.0"}
	x.push(repo, Recipe{Seed: 1}.Image(), tags...)
	x.push("other", Recipe{Seed: 1}.Image(), "other", "a")
	pages(x, tags, func(ctx context.Context, last registry.Tag, limit int) ([]registry.Tag, error) {
		return x.Tags(ctx, repo, last, limit)
	})
	x.wantTags("other", "a", "other")
	_, err := x.Tags(x.ctx, "nowhere", "", 10)
	x.want("Tags of an unknown repository", err, registry.ErrNameUnknown)
}

func testBlobRepositoriesInPages(x *suite) {
	b := NewBlob(1, 100)
	names := []registry.Name{"a", "a-b", "a/b", "b", "c"}
	for _, n := range names {
		x.putBlob(n, b)
	}
	x.putBlob("ab", NewBlob(2, 100))
	list := func(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
		return x.BlobRepositories(ctx, b.Digest, last, limit)
	}
	pages(x, names, list)
	x.want("DeleteBlob", x.DeleteBlob(x.ctx, "a/b", b.Digest), nil)
	pages(x, slices.Delete(names, 2, 3), list)
}

func testEmptyLists(x *suite) {
	b := NewBlob(1, 100)
	pages(x, nil, x.Repositories)
	blobs := func(d digest.Digest) func(context.Context, registry.Name, int) ([]registry.Name, error) {
		return func(ctx context.Context, last registry.Name, limit int) ([]registry.Name, error) {
			return x.BlobRepositories(ctx, d, last, limit)
		}
	}
	pages(x, nil, blobs(b.Digest))
	x.putBlob(repo, b)
	x.wantTags(repo)
	pages(x, nil, blobs(b.In(digest.SHA512).Digest))
}

// pages reads a list in pages of every size, and from between its entries.
func pages[T ~string](x *suite, want []T, list func(ctx context.Context, last T, limit int) ([]T, error)) {
	x.Helper()
	slices.Sort(want)
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []T
		for last := T(""); ; last = got[len(got)-1] {
			page, err := list(x.ctx, last, limit)
			x.want("a page", err, nil)
			if len(page) > limit {
				x.Fatalf("a page of %d has %d entries", limit, len(page))
			}
			got = append(got, page...)
			if len(page) < limit || len(got) > len(want) {
				break
			}
		}
		if !slices.Equal(got, want) {
			x.Fatalf("in pages of %d: %q, want %q", limit, got, want)
		}
	}
	for i, entry := range want {
		page, err := list(x.ctx, entry+"0", 1000) // is not in the list
		x.want("a page from between", err, nil)
		rest := slices.DeleteFunc(slices.Clone(want[i:]), func(e T) bool { return e <= entry+"0" })
		if !slices.Equal(page, rest) {
			x.Fatalf("after %q: %q, want %q", entry+"0", page, rest)
		}
	}
	page, err := list(x.ctx, "zzzz", 10)
	x.want("a page beyond the end", err, nil)
	x.same("entries beyond the end", len(page), 0)
}
