package oci

import (
	"net/http/httptest"
	"testing"

	"berth/registry"
)

func TestWanted(t *testing.T) {
	for header, want := range map[string]registry.Span{
		"":                            {},
		"bytes=0-":                    {},
		"bytes=5-":                    {Offset: 5},
		"bytes=5-5":                   {Offset: 5, Length: 1},
		"bytes=5-14":                  {Offset: 5, Length: 10},
		"bytes=5-4":                   {Offset: 5},
		"bytes=-7":                    {},
		"bytes=0-1,4-5":               {},
		"bytes=x-5":                   {},
		"lines=1-5":                   {},
		"bytes=3-9223372036854775807": {Offset: 3},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Range", header)
		if got := wanted(r); got != want {
			t.Errorf("%q: %+v, want %+v", header, got, want)
		}
	}
}
