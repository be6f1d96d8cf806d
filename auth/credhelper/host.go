package credhelper

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// host is where a registry is: a name or address in lower case, with a port unless it is
// that of the scheme.
type host string

// parseHost reads what clients call a registry: mostly host[:port], sometimes a URL.
func parseHost(server string) (host, error) {
	name := server
	if _, rest, found := strings.Cut(name, "://"); found {
		name = rest
	}
	name, _, _ = strings.Cut(name, "/")
	name = strings.ToLower(name)
	u, err := url.Parse("https://" + name)
	if err != nil || u.Host != name || u.Hostname() == "" {
		return "", fmt.Errorf("%q is not the name of a registry: it should look like registry.example.com or localhost:5000", clean(server))
	}
	return host(name), nil
}

func (h host) url() *url.URL { return &url.URL{Host: string(h)} }

// isLoopback reports whether what is sent there stays on this machine.
func (h host) isLoopback() bool {
	name := h.url().Hostname()
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// isDockerHub reports whether it is Docker Hub, which docker asks about by itself and
// which shall not see the keys of others.
func (h host) isDockerHub() bool {
	name := h.url().Hostname()
	return name == "docker.io" || strings.HasSuffix(name, ".docker.io")
}

var ecrName = regexp.MustCompile(`\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.`)

// region is that in a name like those of Amazon, or empty.
func (h host) region() string {
	if m := ecrName.FindStringSubmatch(string(h)); m != nil {
		return m[1]
	}
	return ""
}

// imageHost is the registry of an image, or empty if its name has none.
func imageHost(image string) string {
	name, _, found := strings.Cut(image, "/")
	if !found || name != "localhost" && !strings.ContainsAny(name, ".:") {
		return ""
	}
	return name
}
