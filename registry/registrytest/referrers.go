package registrytest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"berth/registry"
)

// wantReferrers reads a whole list in pages of limit.
func (x *suite) wantReferrers(q registry.ReferrersQuery, want ...Image) {
	x.Helper()
	slices.SortFunc(want, func(a, b Image) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	var got []registry.Descriptor
	for more := true; more; {
		var page []registry.Referrer
		var err error
		page, more, err = x.Referrers(x.ctx, repo, q)
		x.want("Referrers", err, nil)
		if len(page) > q.Limit || more && len(page) == 0 {
			x.Fatalf("a page of %d has %d entries, more: %v", q.Limit, len(page), more)
		}
		for _, r := range page {
			d, err := r.Descriptor()
			x.want("Descriptor", err, nil)
			if d.Digest != r.Digest {
				x.Fatalf("the entry of %s describes %s", r.Digest, d.Digest)
			}
			got = append(got, d)
		}
		if more {
			q.Last = page[len(page)-1].Digest
		}
	}
	var descriptors []registry.Descriptor
	for _, i := range want {
		content, err := registry.ParseManifest(i.MediaType, i.Bytes)
		x.want("ParseManifest", err, nil)
		d := i.Descriptor()
		d.ArtifactType, d.Annotations = content.ArtifactType, content.Annotations
		descriptors = append(descriptors, d)
	}
	x.same("referrers", got, descriptors)
}

func testReferrers(x *suite) {
	subject := Recipe{Seed: 1}.Image()
	of := func(s Image) *registry.Descriptor { d := s.Descriptor(); return &d }
	_, _, err := x.Referrers(x.ctx, repo, registry.ReferrersQuery{Subject: subject.Digest, Limit: 10})
	x.want("Referrers in an unknown repository", err, registry.ErrNameUnknown)
	x.push(repo, subject)
	x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: 10})

	image := Recipe{Seed: 2, Subject: of(subject)}.Image() // its config says what it is
	artifact := Recipe{Seed: 3, Layers: -1, ArtifactType: "application/vnd.example.sbom", Subject: of(subject), Annotations: map[string]string{"a": "b", "ü": "\"x\""}}.Image()
	index := Recipe{Seed: 4, Subject: of(subject)}.Index()
	typed := Recipe{Seed: 5, Subject: of(subject), ArtifactType: "application/vnd.example.index"}.Index(image)
	long := Recipe{Seed: 6, Subject: of(subject), Algorithm: digest.SHA512}.Image()
	other := Recipe{Seed: 7, Subject: of(image)}.Image()
	for _, i := range []Image{image, artifact, index, typed, long, other} {
		x.push(repo, i)
		x.push("other", i)
	}
	x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: 10}, image, artifact, index, typed, long)
	x.wantReferrers(registry.ReferrersQuery{Subject: image.Digest, Limit: 10}, other)
	x.wantReferrers(registry.ReferrersQuery{Subject: other.Digest, Limit: 10})

	x.want("DeleteManifest of a referrer", x.DeleteManifest(x.ctx, repo, artifact.Digest), nil)
	x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: 10}, image, index, typed, long)
	x.want("DeleteManifest of the subject", x.DeleteManifest(x.ctx, repo, subject.Digest), nil)
	x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: 10}, image, index, typed, long)
}

func testReferrersInAdvance(x *suite) {
	subject := Recipe{Seed: 1}.Image()
	d := subject.Descriptor()
	early := Recipe{Seed: 2, Subject: &d}.Image()
	x.push(repo, early)
	x.wantNoManifest(repo, subject.Reference(), registry.ErrManifestUnknown)
	x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: 10}, early)
	x.push(repo, subject)
	x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: 10}, early)
}

func testReferrersInPages(x *suite) {
	subject := Recipe{Seed: 1}.Image().Descriptor()
	var all []Image
	for i := range 12 {
		all = append(all, Recipe{Seed: uint64(10 + i), Layers: -1, Subject: &subject}.Image())
		x.push(repo, all[i])
	}
	for _, limit := range []int{1, 2, 5, 11, 12, 13} {
		x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: limit}, all...)
	}
	page, more, err := x.Referrers(x.ctx, repo, registry.ReferrersQuery{Subject: subject.Digest, Last: "sha512:f", Limit: 10})
	x.want("Referrers beyond the end", err, nil)
	if len(page) > 0 || more {
		x.Errorf("beyond the end are %d entries, more: %v", len(page), more)
	}
}

func testReferrersOfType(x *suite) {
	subject := Recipe{Seed: 1}.Image().Descriptor()
	byType := map[string][]Image{}
	for i := range 12 {
		kind := fmt.Sprintf("application/vnd.example.type%d", i%3)
		image := Recipe{Seed: uint64(10 + i), Layers: -1, ArtifactType: kind, Subject: &subject}.Image()
		x.push(repo, image)
		byType[kind] = append(byType[kind], image)
	}
	for kind, images := range byType {
		for _, limit := range []int{1, 3, 4, 5} {
			x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, ArtifactTypes: []string{kind}, Limit: limit}, images...)
		}
	}
	two := []string{"application/vnd.example.type0", "application/vnd.example.type2"}
	for _, limit := range []int{1, 3, 8, 9} {
		x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, ArtifactTypes: two, Limit: limit}, slices.Concat(byType[two[0]], byType[two[1]])...)
	}
	for _, kind := range []string{"application/vnd.example", "application/vnd.example.TYPE1", "%", "' OR 1 = 1"} {
		x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, ArtifactTypes: []string{kind}, Limit: 10})
	}
}

// testReferrersWithLongAnnotations has more annotations than fit an answer.
func testReferrersWithLongAnnotations(x *suite) {
	subject := Recipe{Seed: 1}.Image().Descriptor()
	var all []Image
	for i := range 4 {
		long := map[string]string{"long": strings.Repeat("x", 3<<19)}
		all = append(all, Recipe{Seed: uint64(10 + i), Layers: -1, Subject: &subject, Annotations: long}.Image())
		x.push(repo, all[i])
	}
	x.wantReferrers(registry.ReferrersQuery{Subject: subject.Digest, Limit: 100}, all...)
}
