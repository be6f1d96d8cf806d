package main

import (
	"fmt"
	"time"
)

// pushPull measures images of four large layers, and the memory that it takes to serve them.
func (s *stint) pushPull() error {
	// Everything that is the client's own work is done before the clock runs.
	images := make([][]image, s.clients)
	var total int64
	for i := range s.images {
		im := newImage(fmt.Sprintf("v%d", i), s.large, layersPerImage)
		images[i%s.clients] = append(images[i%s.clients], im)
		total += im.bytes()
	}
	gib := float64(total) / (1 << 30)

	e, err := s.eachImage(images, func(repo string, im image) error { return im.push(s.client, repo, true) })
	if err != nil {
		return err
	}
	s.figures.add(pushRate, gib*1024/e.wall.Seconds())
	s.figures.cpu(s, pushCPU, e.cpu.Seconds()/gib)

	// What is read back was what was pushed; then, for the clock, the same without hashing.
	if err := images[0][0].pull(s.client, s.repo("image", 0), true); err != nil {
		return err
	}
	// Three times over, because a pull takes so little that the clock of CPU time, 10 ms, would show in the figure.
	const times = 3
	e, err = s.eachImage(images, func(repo string, im image) error {
		for range times {
			if err := im.pull(s.client, repo, false); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.figures.add(pullRate, times*gib*1024/e.wall.Seconds())
	s.figures.cpu(s, pullCPU, e.cpu.Seconds()/gib/times)

	if s.running.pid == 0 {
		return nil
	}
	peak, err := memory(s.running.pid, "VmHWM")
	s.figures.add(peakMemory, peak)
	return err
}

// eachImage has every worker do the same to its images.
func (s *stint) eachImage(images [][]image, f func(repo string, im image) error) (effort, error) {
	return measure(s.running.pid, s.clients, func(worker int, done func(time.Time)) error {
		for _, im := range images[worker] {
			begun := time.Now()
			if err := f(s.repo("image", worker), im); err != nil {
				return err
			}
			done(begun)
		}
		return nil
	})
}

// cpu adds a figure about CPU time, if the server's process is known.
func (f figures) cpu(s *stint, m metric, v float64) {
	if s.running.pid != 0 {
		f.add(m, v)
	}
}

// smallImages measures how many images of a config, one layer of a kilobyte and a manifest become durable in a second.
func (s *stint) smallImages() error {
	return s.pushMany(s.small, smallRate, smallCPU)
}

// mediumImages is smallImages with layers that a registry is less likely to treat apart because they are small.
func (s *stint) mediumImages() error {
	return s.pushMany(s.medium, mediumRate, mediumCPU)
}

func (s *stint) pushMany(layers *mill, rate, cpu metric) error {
	e, err := measureFor(s.duration, s.running.pid, s.clients, func(worker, n int) error {
		im := newImage(fmt.Sprintf("v%d", n), layers, 1)
		return im.push(s.client, s.repo(fmt.Sprintf("small%d-", layers.size()), worker), false)
	})
	if err != nil {
		return err
	}
	s.figures.add(rate, e.perSecond())
	s.figures.cpu(s, cpu, e.perThousand())
	return nil
}

// headTags is over how many tags the HEAD requests of a worker go in turn.
const headTags = 16

// heads measures the question that a cluster asks most: has this tag moved?
func (s *stint) heads() error {
	for w := range s.clients {
		for n := range headTags {
			im := newImage(fmt.Sprintf("v%d", n), s.small, 1)
			if err := im.push(s.client, s.repo("head", w), false); err != nil {
				return err
			}
		}
	}
	e, err := measureFor(s.duration, s.running.pid, s.clients, func(worker, n int) error {
		repo := s.repo("head", worker)
		url := fmt.Sprintf("/v2/%s/manifests/v%d", repo, n%headTags)
		_, _, err := s.client.do(request{method: "HEAD", repo: repo, url: url, media: typeManifest, want: 200}, nil)
		return err
	})
	if err != nil {
		return err
	}
	s.figures.cpu(s, headCPU, e.perThousand())
	s.figures.add(headP50, percentile(e.latency, 50))
	s.figures.add(headP99, percentile(e.latency, 99))
	return nil
}
