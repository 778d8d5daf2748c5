package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// certificate writes a certificate for localhost and its key, and returns a pool that trusts it.
func certificate(t *testing.T, dir, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(7 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		next := filepath.Join(dir, file+".next") // as tools that renew certificates do
		if err := os.WriteFile(next, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// certName is the name in the certificate that a new connection is shown.
func certName(t *testing.T, r *running, pool *x509.CertPool) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}, Timeout: 30 * time.Second}
	resp, err := c.Get(r.url + "/healthz")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("%s instead of HTTP/2", resp.Proto)
	}
	return resp.TLS.PeerCertificates[0].Subject.CommonName
}

// TestServeTLS renews the certificate of a server that runs, and breaks it.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pool := certificate(t, dir, "first")
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	r := start(t, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	r.line("the certificate expires soon")
	if !strings.HasPrefix(r.url, "https://127.0.0.1:") {
		t.Fatal(r.url)
	}
	if got := certName(t, r, pool); got != "first" {
		t.Fatal(got)
	}
	if out, err := exec.Command("taskhost", "health", "--listen", strings.TrimPrefix(r.url, "https://"), "--tls-cert", cert, "--tls-key", key).CombinedOutput(); err != nil {
		t.Errorf("health: %v %s", err, out)
	}
	pool = certificate(t, dir, "second")
	for end := time.Now().Add(20 * time.Second); certName(t, r, pool) != "second"; {
		if time.Now().After(end) {
			t.Fatal("the new certificate is not served")
		}
	}
	if err := os.WriteFile(key, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.signal(syscall.SIGHUP)
	r.line("the certificate cannot be loaded; the one before stays")
	if got := certName(t, r, pool); got != "second" {
		t.Errorf("after a broken pair: %s", got)
	}
	r.stop()
}

func TestServeWithBrokenTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate(t, dir, "first")
	for _, args := range [][]string{
		{"--tls-cert", filepath.Join(dir, "cert.pem")},
		{"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "cert.pem")},
		{"--tls-cert", filepath.Join(dir, "none"), "--tls-key", filepath.Join(dir, "key.pem")},
	} {
		r := process(t, t.TempDir(), append(args, "--listen", "127.0.0.1:0")...)
		r.line("tls.cert and tls.key")
		if code := r.exit(); code != exitUsage {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}
