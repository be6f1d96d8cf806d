package credhelper_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestDockerStores(t *testing.T) {
	h := newHome(t, newRegistry(t))
	h.wantDocker(t, "list", "unused", "{}")
	h.wantDocker(t, "get", "registry.example.com", notFound)
	h.wantDocker(t, "store", `{"ServerURL":"registry.example.com","Username":"ann","Secret":"p<a>ss"}`+"\n", "")
	h.wantDocker(t, "store", `{"ServerURL":"https://index.docker.io/v1/","Username":"<token>","Secret":"an identity token"}`, "")
	h.wantDocker(t, "list", "unused", `{"https://index.docker.io/v1/":"\u003ctoken\u003e","registry.example.com":"ann"}`)
	h.wantDocker(t, "get", "registry.example.com\n", `{"ServerURL":"registry.example.com","Username":"ann","Secret":"p\u003ca\u003ess"}`)
	h.wantDocker(t, "get", "https://Registry.example.com/v2/", `{"ServerURL":"https://Registry.example.com/v2/","Username":"ann","Secret":"p\u003ca\u003ess"}`)
	h.wantDocker(t, "get", "registry.example.com:5000", notFound)
	h.wantDocker(t, "get", "https://index.docker.io/v1/", `{"ServerURL":"https://index.docker.io/v1/","Username":"\u003ctoken\u003e","Secret":"an identity token"}`)

	// Another login takes the place of the first.
	h.wantDocker(t, "store", `{"ServerURL":"registry.example.com","Username":"bob","Secret":"other"}`, "")
	h.wantDocker(t, "get", "registry.example.com", `{"ServerURL":"registry.example.com","Username":"bob","Secret":"other"}`)

	h.wantDocker(t, "erase", "registry.example.com\n", "")
	h.wantDocker(t, "erase", "registry.example.com", "")
	h.wantDocker(t, "get", "registry.example.com", notFound)
	h.wantDocker(t, "list", "", `{"https://index.docker.io/v1/":"\u003ctoken\u003e"}`)

	info, err := os.Stat(filepath.Join(h.Config, "logins.json"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("logins.json has the mode %v", info.Mode())
	}
}

var badInputTests = []struct{ action, in, want string }{
	{"get", "", "no credentials server URL"},
	{"get", " \n", "no credentials server URL"},
	{"erase", "\n", "no credentials server URL"},
	{"get", "no host", "is not the name of a registry"},
	{"get", "https://", "is not the name of a registry"},
	{"get", "user@host", "is not the name of a registry"},
	{"get", "host:port:port", "is not the name of a registry"},
	{"get", "host?query", "is not the name of a registry"},
	{"get", strings.Repeat("x ", 10_000), "is not the name of a registry"},
	{"store", "", "standard input is not the JSON"},
	{"store", `{"ServerURL":"host","Username":"ann","Secret":"hush`, "standard input is not the JSON"},
	{"store", `"hush"`, "standard input is not the JSON"},
	{"store", `{"Username":"ann","Secret":"hush"}`, "no credentials server URL"},
	{"store", `{"ServerURL":"host","Secret":"hush"}`, "no credentials username"},
	{"remove", "", "docker-credential-berth: unknown action: remove"},
}

func TestDockerBadInput(t *testing.T) {
	for _, test := range badInputTests {
		h := withKey(t, newRegistry(t))
		got := h.docker(t, test.action, test.in)
		if !strings.Contains(got, test.want) || strings.Contains(got, "hush") || len(got) > 600 {
			t.Errorf("%s %q: got %s, want %s", test.action, test.in, got, test.want)
		}
	}
	h := newHome(t, newRegistry(t))
	if err := h.Docker(t.Context(), "get", iotest.ErrReader(os.ErrClosed), nil); err == nil {
		t.Error("no error without standard input")
	}
}

func TestDockerVersion(t *testing.T) {
	h := newHome(t, newRegistry(t))
	h.wantDocker(t, "version", "", "docker-credential-berth (berth) test")
}

func TestDockerHub(t *testing.T) {
	h := withKey(t, newRegistry(t))
	h.as(newRegistry(t)) // whose certificate is not for docker.io
	h.wantDocker(t, "get", "https://index.docker.io/v1/", notFound)
}

// TestDamagedLogins: they are not replaced by the next one.
func TestDamagedLogins(t *testing.T) {
	h := newHome(t, newRegistry(t))
	path := h.write(t, "config/logins.json", `{"registry.example.com":{"Usern`)
	for _, action := range []string{"get", "erase", "list", "store"} {
		in := "registry.example.com"
		if action == "store" {
			in = `{"ServerURL":"host","Username":"ann","Secret":"x"}`
		}
		if got := h.docker(t, action, in); !strings.Contains(got, "is damaged; remove it") {
			t.Errorf("%s: got %s", action, got)
		}
	}
	content, err := os.ReadFile(path)
	must(t, err)
	if string(content) != `{"registry.example.com":{"Usern` {
		t.Errorf("the file has now %s", content)
	}
}

func TestNowhereToStore(t *testing.T) {
	h := newHome(t, newRegistry(t))
	h.Config = ""
	h.wantDocker(t, "store", `{"ServerURL":"host","Username":"ann","Secret":"x"}`, "there is no folder for logins: set HOME or XDG_CONFIG_HOME")
	h.wantDocker(t, "get", "host", notFound)
	h.wantDocker(t, "list", "", "{}")
	h.wantDocker(t, "erase", "host", "")
}

// TestStoresAtOnce: none of many is lost.
func TestStoresAtOnce(t *testing.T) {
	h := newHome(t, newRegistry(t))
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			h.wantDocker(t, "store", fmt.Sprintf(`{"ServerURL":"host%d","Username":"ann","Secret":"x"}`, i), "")
		})
	}
	wg.Wait()
	var listed map[string]string
	must(t, json.Unmarshal([]byte(h.docker(t, "list", "")), &listed))
	if len(listed) != n {
		t.Errorf("%d of %d are there", len(listed), n)
	}
}
