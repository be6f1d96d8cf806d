package credhelper

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var profileTests = []struct {
	name, config, credentials string
	want                      map[string]string
}{
	{"nothing", "", "", nil},
	{"other profiles", "[default]\na=1\n[profile cicd]\na=1\n[ci]\na=1\n[services ci]\na=1", "[default]\na=1\n[profile ci]\na=1", nil},
	{"one", "[profile ci]\na = 1\nB=2", "", map[string]string{"a": "1", "b": "2"}},
	{"both, of which the credentials count more", "[profile ci]\na=1\nb=1", "[ci]\nb=2\nc=2", map[string]string{"a": "1", "b": "2", "c": "2"}},
	{"spaces and quotes", "[ profile  \"ci\" ]\r\na  =  x y \r\n", "", map[string]string{"a": "x y"}},
	{"comments", "# [profile ci]\n[profile ci] # ours\n;a=1\na=x#y;z # w\nb=1\t;c", "", map[string]string{"a": "x#y;z", "b": "1"}},
	{"nested settings", "[profile ci]\na=1\ns3 =\n  a = 2\n\ta = 3\nb=1", "", map[string]string{"a": "1", "s3": "", "b": "1"}},
	{"an equals sign", "", "[ci]\na=x==", map[string]string{"a": "x=="}},
	{"a byte order mark", "\ufeff[profile ci]\na=1", "", map[string]string{"a": "1"}},
	{"twice", "[profile ci]\na=1\n[profile x]\na=2\n[profile ci]\nb=3", "", map[string]string{"a": "1", "b": "3"}},
	{"an empty profile", "[profile ci]", "", map[string]string{}},
	{"noise", "=\n]\n[\nci\n[profile ci\na", "", map[string]string{}},
}

func TestProfileFiles(t *testing.T) {
	for _, test := range profileTests {
		dir := t.TempDir()
		write := func(name, content string) string {
			path := filepath.Join(dir, name)
			if content != "" {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return path
		}
		got, err := loadProfile(write("config", test.config), write("credentials", test.credentials), "ci")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	if _, err := loadProfile(t.TempDir(), "", "ci"); err == nil {
		t.Error("a folder is read as a file")
	}
}

var hostTests = []struct {
	server, want string
	loopback     bool
}{
	{"registry.example.com", "registry.example.com", false},
	{"Registry.Example.com:443", "registry.example.com:443", false},
	{"https://registry.example.com/v2/", "registry.example.com", false},
	{"localhost:5000", "localhost:5000", true},
	{"127.0.0.1", "127.0.0.1", true},
	{"[::1]:5000", "[::1]:5000", true},
	{"[::ffff:127.0.0.1]:5000", "[::ffff:127.0.0.1]:5000", true},
	{"127.0.0.1.example.com", "127.0.0.1.example.com", false},
	{"localhost.example.com", "localhost.example.com", false},
	{"192.168.0.1:5000", "192.168.0.1:5000", false},
}

func TestHosts(t *testing.T) {
	for _, test := range hostTests {
		h, err := parseHost(test.server)
		if err != nil || string(h) != test.want || h.isLoopback() != test.loopback {
			t.Errorf("%s: got %s, %v, %v", test.server, h, h.isLoopback(), err)
		}
	}
	for server, want := range map[string]string{
		"111122223333.dkr.ecr.eu-west-1.amazonaws.com":      "eu-west-1",
		"111122223333.dkr.ecr-fips.us-east-2.amazonaws.com": "us-east-2",
		"111122223333.dkr-ecr.eu-west-1.on.aws":             "eu-west-1",
		"registry.example.com":                              "",
	} {
		if got := host(server).region(); got != want {
			t.Errorf("%s is in %q, want %q", server, got, want)
		}
	}
}
