package process

import "os"

// Environment is what a program may have of the environment of this process: where things
// are, and no secrets.
func Environment() (env []string) {
	for _, name := range []string{
		"PATH", "TZ", "LANG", "GODEBUG", "GOMAXPROCS",
		"SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
