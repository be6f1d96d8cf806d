package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestCollection(t *testing.T) {
	c := newCollection(30_000)
	images := map[string]int{}
	for n := range c.signed {
		images[c.repo(n)] += imagesPerBatch
	}
	if images[largest] != 15_000 {
		t.Errorf("the largest repository has %d images, not half of them", images[largest])
	}
	if len(images) != len(c.catalog) || !slices.IsSorted(c.catalog) {
		t.Errorf("%d repositories, but the catalog has %d", len(images), len(c.catalog))
	}
	if n := len(c.catalog); n < 30_000/imagesPerRepository*9/10 {
		t.Errorf("only %d repositories", n)
	}
	delete(images, largest)
	var sizes []int
	for _, n := range images {
		sizes = append(sizes, n)
	}
	if slices.Max(sizes) < 10*slices.Min(sizes) {
		t.Errorf("repositories of %d to %d images are too much alike", slices.Min(sizes), slices.Max(sizes))
	}
}

// TestMiddle looks whether even the smallest registry has a page of tags after each tag that is asked for.
func TestMiddle(t *testing.T) {
	c := newCollection(smallestRegistry)
	for range 1000 {
		if n := c.someBatch(0, 1); c.repo(n) != largest || n >= len(c.signed) {
			t.Fatalf("batch %d of %d is in %s", n, len(c.signed), c.repo(n))
		}
		after := c.someBatch(1./3, 2./3)
		following := imagesPerBatch - 1
		for n := after + 1; n < len(c.signed); n++ {
			if c.repo(n) == largest {
				following += imagesPerBatch
			}
		}
		if following < pageOfTags {
			t.Fatalf("%d tags follow the first one of batch %d", following, after)
		}
	}
}

func TestTrends(t *testing.T) {
	few, many := figures{}, figures{}
	few.add(smallRate, 900)
	many.add(smallRate, 400)
	few.add(headP50, 1)
	many.add(headP50, 1.6)
	stages := []*stage{{collection: &collection{images: 1000}, figures: few}, {collection: &collection{images: 1_000_000}, figures: many}}
	missed := strings.Join(missedTrends(stages), "; ")
	if want := string(smallRate) + "; " + string(tagsP50) + " (not measured)"; missed != want {
		t.Errorf("missed: %s, want %s", missed, want)
	}
	var table bytes.Buffer
	printGrowth(&table, stages)
	for _, want := range []string{
		"| 1,000 images | 1,000,000 images | largest : smallest |",
		"| ≥ 1/2 | 900 | 400 | 0.44 | **missed** |",
		"| ≤ 2 × | 1.00 | 1.60 | 1.60 | kept |",
		"More than 1.5 times worse in the largest: " + string(smallRate) + "; " + string(headP50) + ".",
	} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, table.String())
		}
	}
}

func TestParseGrowth(t *testing.T) {
	var got []int
	if err := parseGrowth(&got, "30000,1000"); err != nil || !slices.Equal(got, []int{1000, 30_000}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, list := range []string{"", "10", "1005", "1000,x"} {
		if err := parseGrowth(new([]int), list); err == nil {
			t.Errorf("%q is taken", list)
		}
	}
}
