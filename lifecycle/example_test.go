package lifecycle_test

import (
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"berth/lifecycle"
	"berth/registry"
)

func ExampleDecide() {
	policy, err := lifecycle.Parse(`{"rules": [{
		"rulePriority": 1,
		"description": "keep the newest release",
		"selection": {"tagStatus": "tagged", "tagPatternList": ["v*"], "countType": "imageCountMoreThan", "countNumber": 1},
		"action": {"type": "expire"}}]}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	var images []lifecycle.Image
	for n, tag := range []registry.Tag{"v1", "v2", "latest"} {
		images = append(images, lifecycle.Image{
			Image: registry.Image{
				Digest:   digest.FromString(string(tag)),
				Tags:     []registry.Tag{tag},
				PushedAt: time.Date(2026, time.January, 1+n, 0, 0, 0, 0, time.UTC),
				Class:    registry.Standard,
			},
		})
	}
	taken, _ := lifecycle.Decide(policy, images, time.Now())
	for _, d := range taken {
		fmt.Println(d.Image.Tags, d.Action, "by rule", d.Rule, "as number", d.Rank)
	}
	// Output: [v1] expire by rule 1 as number 2
}
