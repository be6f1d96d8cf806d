package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

var (
	aDigest = "sha256:" + strings.Repeat("a", 64)
	aConfig = fmt.Sprintf(`"config":{"mediaType":"application/vnd.example.config","digest":%q,"size":2}`, aDigest)
)

// manifests are what clients send, and what they should not. want is the media type
// that the manifest is taken for, or a word of the refusal.
var manifests = []struct{ name, header, body, want string }{
	{"image", MediaTypeImageManifest, `{"schemaVersion":2,` + aConfig + `,"layers":[]}`, MediaTypeImageManifest},
	{"image that says what it is", MediaTypeImageManifest, `{"schemaVersion":2,"mediaType":"` + MediaTypeImageManifest + `",` + aConfig + `}`, MediaTypeImageManifest},
	{"Docker's image", MediaTypeDockerManifest, `{"schemaVersion":2,` + aConfig + `,"layers":[]}`, MediaTypeDockerManifest},
	{"index", MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[]}`, MediaTypeImageIndex},
	{"index of nothing", MediaTypeImageIndex, `{}`, MediaTypeImageIndex},
	{"Docker's list", MediaTypeDockerList, `{"schemaVersion":2,"manifests":null}`, MediaTypeDockerList},
	{"any type", "application/vnd.example", `{"x":1}`, "application/vnd.example"},
	{"any type by itself", "", `{"mediaType":"application/vnd.example"}`, "application/vnd.example"},
	{"parameters", MediaTypeImageIndex + "; charset=utf-8", `{}`, MediaTypeImageIndex},
	{"upper case", "Application/VND.Example", `{}`, "application/vnd.example"},
	{"image without any type", "", `{` + aConfig + `}`, MediaTypeImageManifest},
	{"index without any type", "application/json", `{"manifests":[]}`, MediaTypeImageIndex},
	{"spaces", MediaTypeImageIndex, " \n\t{} \n", MediaTypeImageIndex},
	{"subject", MediaTypeImageIndex, `{"subject":{"digest":"` + aDigest + `","size":1}}`, MediaTypeImageIndex},

	{"nothing", MediaTypeImageManifest, ``, "JSON"},
	{"no JSON", MediaTypeImageManifest, `hello`, "JSON"},
	{"cut short", MediaTypeImageManifest, `{"schemaVersion":2,`, "JSON"},
	{"two", MediaTypeImageIndex, `{}{}`, "JSON"},
	{"list", "application/vnd.example", `[]`, "JSON"},
	{"null", "application/vnd.example", `null`, "JSON"},
	{"string", "application/vnd.example", `"x"`, "JSON"},
	{"wrong types", MediaTypeImageIndex, `{"manifests":{}}`, "must be lists"},
	{"deep", "application/vnd.example", `{"a":` + strings.Repeat("[", 1_000_000), "JSON"},
	{"schema 1", "application/vnd.docker.distribution.manifest.v1+json", `{"schemaVersion":1}`, "schema 1"},
	{"signed schema 1", "application/vnd.docker.distribution.manifest.v1+prettyjws", `{"fsLayers":[]}`, "schema 1"},
	{"no type that tells", "application/json", `{}`, "set one of them"},
	{"both shapes and no type", "", `{"manifests":[],` + aConfig + `}`, "set one of them"},
	{"two types", MediaTypeImageManifest, `{"mediaType":"` + MediaTypeDockerManifest + `",` + aConfig + `}`, "send the manifest's own type"},
	{"broken Content-Type", "a b", `{}`, "not a media type"},
	{"broken mediaType", "", `{"mediaType":"a b"}`, "not a media type"},
	{"mediaType with parameters", "", `{"mediaType":"a/b; c=d"}`, "not a media type"},
	{"long mediaType", "", `{"mediaType":"a/` + strings.Repeat("b", 300) + `"}`, "characters"},
	{"long artifactType", MediaTypeImageIndex, `{"artifactType":"a/` + strings.Repeat("b", 300) + `"}`, "characters"},
	{"image without config", MediaTypeImageManifest, `{"layers":[]}`, "needs a config"},
	{"image with manifests", MediaTypeImageManifest, `{"manifests":[],` + aConfig + `}`, "cannot list manifests"},
	{"index with config", MediaTypeImageIndex, `{"manifests":[],` + aConfig + `}`, "cannot have a config"},
	{"index with layers", MediaTypeImageIndex, `{"layers":[{"digest":"` + aDigest + `"}]}`, "cannot have a config or layers"},
	{"config without digest", MediaTypeImageManifest, `{"config":{}}`, "digest of a config"},
	{"layer by md5", "application/vnd.example", `{"layers":[{"digest":"md5:d41d8cd98f00b204e9800998ecf8427e"}]}`, "digest of a layer"},
	{"manifest named ..", MediaTypeImageIndex, `{"manifests":[{"digest":"sha256:../../x"}]}`, "digest of a manifest"},
	{"subject without digest", MediaTypeImageIndex, `{"subject":{}}`, "digest of a subject"},
	{"negative size", MediaTypeImageIndex, `{"manifests":[{"digest":"` + aDigest + `","size":-1}]}`, "negative size"},
	{"size that is no integer", MediaTypeImageIndex, `{"manifests":[{"digest":"` + aDigest + `","size":1e99}]}`, "JSON"},
	{"layers twice", "application/vnd.example", `{"layers":[{"digest":"` + aDigest + `"}],"layers":[]}`, `has the member "layers" twice`},
	{"layers in capitals", "application/vnd.example", `{"layers":[{"digest":"` + aDigest + `"}],"Layers":[]}`, `"Layers"; it should be "layers"`},
	{"layers with a long s", "application/vnd.example", `{"layer\u017f":[]}`, `it should be "layers"`},
	{"digest twice", MediaTypeImageIndex, `{"manifests":[{"digest":"` + aDigest + `","size":1,"digest":"sha256:x"}]}`, `"digest" twice`},
	{"digest in capitals", MediaTypeImageIndex, `{"subject":{"DIGEST":"` + aDigest + `"}}`, `it should be "digest"`},
	{"config's size in capitals", MediaTypeImageManifest, `{"config":{"digest":"` + aDigest + `","Size":1}}`, `it should be "size"`},
	{"platform in capitals", MediaTypeImageIndex, `{"manifests":[{"digest":"` + aDigest + `","platform":{"OS":"linux"}}]}`, `it should be "os"`},
	{"annotation twice", MediaTypeImageIndex, `{"annotations":{"a":"1","a":"2"}}`, `"a" twice`},
	{"annotations in any case", MediaTypeImageIndex, `{"annotations":{"a":"1","A":"2"},"x":1,"X":2}`, MediaTypeImageIndex},
	{"annotations of null", MediaTypeImageIndex, `{"annotations":null,"manifests":[{"digest":"` + aDigest + `","annotations":null,"platform":null}]}`, MediaTypeImageIndex},
	{"many members", MediaTypeImageIndex, "{" + manyMembers(10_001) + "}", "more than 10000 members"},
	{"NUL in the artifact type", MediaTypeImageIndex, `{"artifactType":"a/b\u0000"}`, "control characters"},
	{"NUL in the config's type", MediaTypeImageManifest, `{"config":{"digest":"` + aDigest + `","mediaType":"a\u0000"}}`, "control characters"},
	{"NUL in a layer's type", "application/vnd.example", `{"layers":[{"digest":"` + aDigest + `","mediaType":"a\u007f"}]}`, "control characters"},
	{"NUL in the media type", "", `{"mediaType":"a/b\u0000"}`, "not a media type"},
	{"many layers", MediaTypeImageManifest, `{` + aConfig + `,"layers":[{}` + strings.Repeat(`,{}`, 10_000) + `]}`, "more than 10000"},
}

func manyMembers(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%q:0", fmt.Sprint(i))
	}
	return strings.Join(list, ",")
}

func TestParseManifest(t *testing.T) {
	for _, m := range manifests {
		t.Run(m.name, func(t *testing.T) {
			checkManifest(t, m.header, []byte(m.body))
			c, err := ParseManifest(m.header, []byte(m.body))
			if err == nil && c.MediaType != m.want || err != nil && !strings.Contains(err.Error(), m.want) {
				t.Errorf("got %q, %v; want %q", c.MediaType, err, m.want)
			}
		})
	}
}

func TestParseManifestContent(t *testing.T) {
	d := func(letter string) string { return "sha256:" + strings.Repeat(letter, 64) }
	c, err := ParseManifest("application/vnd.example", []byte(`{
		"config": {"mediaType": "a/config", "digest": "`+d("a")+`", "size": 1},
		"layers": [{"digest": "`+d("b")+`", "size": 2}],
		"blobs": [{"digest": "`+d("c")+`", "size": 3}],
		"subject": {"digest": "`+d("d")+`", "size": 4},
		"annotations": {"a": "b"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.ArtifactType != "a/config" || c.Config.Size != 1 || len(c.Layers) != 2 || string(c.Layers[1].Digest) != d("c") ||
		string(c.Subject.Digest) != d("d") || c.Annotations["a"] != "b" || c.IsIndex() {
		t.Errorf("got %+v", c)
	}
}

func TestManifestsMayBeLarge(t *testing.T) {
	body := func(size int) []byte {
		const head, tail = `{"annotations":{"a":"`, `"}}`
		return []byte(head + strings.Repeat("x", size-len(head)-len(tail)) + tail)
	}
	if _, err := ParseManifest(MediaTypeImageIndex, body(MaxManifestSize)); err != nil {
		t.Errorf("%d bytes: %v", MaxManifestSize, err)
	}
	if _, err := ParseManifest(MediaTypeImageIndex, body(MaxManifestSize+1)); !errors.Is(err, ErrManifestTooLarge) {
		t.Errorf("%d bytes: %v, want ErrManifestTooLarge", MaxManifestSize+1, err)
	}
}

// TestParseManifestAllocatesLittle sends 4 MiB that would be a hundred times as much
// in memory.
func TestParseManifestAllocatesLittle(t *testing.T) {
	const limit = 48 * MaxManifestSize
	for _, part := range []string{`{},`, `null,`, `{"platform":{}},`, `{"annotations":{"":""}},`} {
		for _, field := range []string{"layers", "blobs", "manifests"} {
			head, tail := `{"`+field+`":[`, `{}]}`
			body := []byte(head + strings.Repeat(part, (MaxManifestSize-len(head)-len(tail))/len(part)) + tail)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ParseManifest("application/vnd.example", body)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrManifestInvalid) {
				t.Errorf("many %s in %s: %v", part, field, err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > limit {
				t.Errorf("many %s in %s: %d MiB allocated", part, field, used>>20)
			}
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	for _, m := range manifests {
		if len(m.body) < 10_000 {
			f.Add(m.header, []byte(m.body))
		}
	}
	f.Fuzz(checkManifest)
}

// checkManifest checks what must hold of whatever is accepted.
func checkManifest(t *testing.T, header string, body []byte) {
	before := string(body)
	c, err := ParseManifest(header, body)
	if string(body) != before {
		t.Fatal("the bytes have changed")
	}
	if err != nil {
		if !errors.Is(err, ErrManifestInvalid) && !errors.Is(err, ErrManifestTooLarge) {
			t.Errorf("%v", err)
		}
		if len(err.Error()) > 2000 {
			t.Errorf("a message of %d bytes", len(err.Error()))
		}
		return
	}
	if !json.Valid(body) || strings.TrimLeft(before, " \t\r\n")[0] != '{' {
		t.Errorf("accepted though it is no JSON object")
	}
	if plain, params, err := mime.ParseMediaType(c.MediaType); err != nil || plain != c.MediaType || len(params) > 0 || len(plain) > maxMediaType {
		t.Errorf("media type %q", c.MediaType)
	}
	named := append(append([]Descriptor{}, c.Layers...), c.Manifests...)
	if len(named) > maxReferences || len(c.ArtifactType) > maxMediaType {
		t.Errorf("%d references, artifact type of %d characters", len(named), len(c.ArtifactType))
	}
	for _, d := range []*Descriptor{c.Config, c.Subject} {
		if d != nil {
			named = append(named, *d)
		}
	}
	for _, d := range named {
		if _, err := ParseDigest(string(d.Digest)); err != nil || d.Size < 0 {
			t.Errorf("it names %q of %d bytes", d.Digest, d.Size)
		}
	}
	// What is kept is the manifest and the type it was taken for.
	if again, err := ParseManifest(c.MediaType, body); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("read again as %s: %v", c.MediaType, err)
	}
}
