package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// certificates are what the registry proves its name with: a pair of files, read
// again when they change, or certificates that an ACME authority gives out.
type certificates struct {
	cert, key string
	auto      *autocert.Manager
	hosts     []string // of auto
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time // of the files that current was read from
	looked  time.Time // when the files were last looked at
}

// lookEvery is how often the files may be looked at.
const lookEvery = 10 * time.Second

// newCertificates returns nil if the registry does not speak TLS.
func newCertificates(f serveFlags, log *slog.Logger) (*certificates, error) {
	if !f.tls() {
		return nil, nil
	}
	c := &certificates{cert: f.TLSCert, key: f.TLSKey, hosts: f.TLSAuto, log: log}
	if len(f.TLSAuto) > 0 {
		c.auto = &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			Cache:      autocert.DirCache(filepath.Join(f.Data, "acme")),
			HostPolicy: autocert.HostWhitelist(f.TLSAuto...),
		}
		if f.ACMEURL != "" {
			c.auto.Client = &acme.Client{DirectoryURL: f.ACMEURL}
		}
		return c, nil
	}
	return c, c.read()
}

func (c *certificates) config() *tls.Config {
	if c.auto != nil {
		config := c.auto.TLSConfig()
		config.GetCertificate = c.getAuto
		return config
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

// getAuto tells the operator why a host that should have a certificate has none.
func (c *certificates) getAuto(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	certificate, err := c.auto.GetCertificate(hello)
	if err != nil && slices.Contains(c.hosts, hello.ServerName) {
		c.log.Error("no certificate could be got from the ACME authority", "host", hello.ServerName, "error", err)
	}
	return certificate, err
}

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) > lookEvery {
		c.readIfChanged()
	}
	return c.current, nil
}

// reload reads the files now.
func (c *certificates) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readIfChanged()
}

// readIfChanged keeps the old certificate if the new one cannot be used, as when only
// one of the files has been replaced yet.
func (c *certificates) readIfChanged() {
	c.looked = time.Now()
	if c.auto != nil || c.modified().Equal(c.changed) {
		return
	}
	if err := c.read(); err != nil {
		c.log.Error("the new certificate cannot be used; the old one stays", "error", err)
		return
	}
	c.log.Info("certificate read again", "file", c.cert)
}

func (c *certificates) read() error {
	changed := c.modified()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("the certificate %s: %w", c.cert, err)
	}
	c.current, c.changed, c.looked = &pair, changed, time.Now()
	return nil
}

// modified is when either file last changed.
func (c *certificates) modified() time.Time {
	var latest time.Time
	for _, name := range []string{c.cert, c.key} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return latest
}
