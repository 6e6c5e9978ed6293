// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clientOf is Go's client with the relay as its proxy.
func clientOf(t *testing.T, proxy string) *http.Client {
	t.Helper()
	u, err := url.Parse("http://" + proxy)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u)}, Timeout: 10 * time.Second}
}

// needTool fails in CI, and skips elsewhere, where a client is missing.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CTXAGENT_REQUIRE_ROOT") == "1" {
			t.Fatalf("%s is needed (test/setup.sh installs it)", name)
		}
		t.Skipf("SKIPPED, NOT TRIED: %s is not installed", name)
	}
}

// TestRealClients has the programs that a site's script would use find their way
// by the variables of the environment alone: http:// by the absolute form,
// https:// by CONNECT, and what ALL_PROXY leads by SOCKS5.
func TestRealClients(t *testing.T) {
	for _, tt := range []struct {
		name, tool string
		argv       []string
		env        []string
		want       []string // in the output
		protocol   string
		fails      bool
	}{
		{"curl http", "curl", []string{"curl", "-sS", "http://www.example.org/hello"}, nil, []string{"hello, www.example.org"}, "http", false},
		{"curl https", "curl", []string{"curl", "-sS", "--cacert", "CA", "https://www.example.org/hello"}, nil, []string{"hello, www.example.org"}, "connect", false},
		{"curl, two at once", "curl", []string{"curl", "-sS", "http://www.example.org/hello", "http://www.example.org/hello"}, nil, []string{"hello, www.example.orghello, www.example.org"}, "http", false},
		{"curl posts", "curl", []string{"curl", "-sS", "-d", "@BIG", "http://www.example.org/length"}, nil, []string{"3145728 bytes"}, "http", false},
		{"curl by ALL_PROXY", "curl", []string{"curl", "-sS", "http://www.example.org/hello"}, []string{"http_proxy="}, []string{"hello, www.example.org"}, "socks5", false},
		{"curl https by ALL_PROXY", "curl", []string{"curl", "-sS", "--cacert", "CA", "https://www.example.org/hello"}, []string{"https_proxy=", "HTTPS_PROXY="}, []string{"hello, www.example.org"}, "socks5", false},
		{"curl, refused", "curl", []string{"curl", "-sS", "http://169.254.169.254/latest/"}, nil, []string{"169.254.169.254:80: the rule of this test"}, "http", false},
		{"curl https, refused", "curl", []string{"curl", "-sS", "https://127.0.0.2/"}, nil, []string{"403"}, "connect", true},
		{"wget http", "wget", []string{"wget", "-nv", "-O", "-", "http://www.example.org/hello"}, nil, []string{"hello, www.example.org"}, "http", false},
		{"wget https", "wget", []string{"wget", "-nv", "-O", "-", "--ca-certificate=CA", "https://www.example.org/hello"}, nil, []string{"hello, www.example.org"}, "connect", false},
		{"wget, refused", "wget", []string{"wget", "-nv", "-O", "-", "http://127.0.0.2/"}, nil, []string{"403"}, "http", true},
		{"busybox wget", "busybox", []string{"busybox", "wget", "-q", "-O", "-", "http://www.example.org/hello"}, nil, []string{"hello, www.example.org"}, "http", false},
		{"apt http", "apt-get", []string{"apt-get", "-c", "APT", "update"}, []string{"APT_URL=http://www.example.org/debian"}, []string{"http://www.example.org/debian"}, "http", false},
		{"apt https", "apt-get", []string{"apt-get", "-c", "APT", "-o", "Acquire::https::CAInfo=CA", "update"}, []string{"APT_URL=https://www.example.org/debian"}, []string{"https://www.example.org/debian"}, "connect", false},
		{"pip", "pip3", []string{"pip3", "download", "--disable-pip-version-check", "--no-deps", "--cert", "CA", "-i", "https://www.example.org/simple", "-d", "OUT", "ctxagent-sample"}, nil, []string{"Saved", "ctxagent_sample-1.0"}, "connect", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needTool(t, tt.tool)
			tryClient(t, tt.argv, tt.env, tt.want, tt.protocol, tt.fails)
		})
	}
}

func tryClient(t *testing.T, argv, env, want []string, protocol string, fails bool) {
	plain, secure := webServers(t)
	s := &site{names: map[string][]string{"www.example.org": {"192.0.2.1"}}, hosts: map[string]string{
		"192.0.2.1:80": plain.Listener.Addr().String(), "192.0.2.1:443": secure.Listener.Addr().String(),
	}}
	r, proxy := s.start(t)
	dir := t.TempDir()
	files := clientFiles(t, dir, secure, env)
	for i, a := range argv {
		for word, file := range files {
			argv[i] = strings.Replace(argv[i], word, file, 1)
		}
		if a == "APT" {
			t.Logf("apt's own directories are in %s", dir)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C", "PIP_CONFIG_FILE=/dev/null"}, Environment(proxy)...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if (err != nil) != fails {
		t.Errorf("%q: %v\n%s", argv, err, out)
	}
	for _, w := range want {
		if !strings.Contains(string(out), w) {
			t.Errorf("%q printed %q; want %q in it", argv, out, w)
		}
	}
	for _, e := range entries(t, r, 1) {
		if e.Protocol != protocol || (e.Result == "connected") != (s.hosts["192.0.2.1:80"] != "" && strings.HasPrefix(e.Target, "www.example.org:")) {
			t.Errorf("recorded %+v; want a connection by %s", e, protocol)
		}
	}
}

// clientFiles writes what the commands name by a word in capitals.
func clientFiles(t *testing.T, dir string, secure *httptest.Server, env []string) map[string]string {
	t.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	aptURL := "http://www.example.org/debian"
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "APT_URL="); ok {
			aptURL = v
		}
	}
	apt := fmt.Sprintf(`Dir "%s/apt"; Dir::Etc::main "none"; Dir::Etc::parts "none"; Dir::Etc::sourcelist "%s/sources"; Dir::Etc::sourceparts "none";
Dir::State "%s/apt"; Dir::Cache "%s/apt"; Dir::State::status "%s/status"; APT::Sandbox::User "root"; Acquire::Languages "none";
Acquire::Retries "0";`, dir, dir, dir, dir, dir)
	for name, content := range map[string]string{
		"ca.pem": string(ca), "big": strings.Repeat("x", 3<<20), "apt.conf": apt, "status": "", "sources": "deb [trusted=yes] " + aptURL + " ./\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "apt/lists/partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "apt/archives/partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"CA": filepath.Join(dir, "ca.pem"), "BIG": filepath.Join(dir, "big"), "APT": filepath.Join(dir, "apt.conf"), "OUT": filepath.Join(dir, "out")}
}

// webServers are a site's web server, twice: a greeting, an empty Debian
// repository, and an index with one Python package.
func webServers(t *testing.T) (plain, secure *httptest.Server) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, q *http.Request) { fmt.Fprintf(w, "hello, %s", q.Host) })
	mux.HandleFunc("/length", func(w http.ResponseWriter, q *http.Request) {
		var b bytes.Buffer
		n, _ := b.ReadFrom(q.Body)
		fmt.Fprintf(w, "%d bytes", n)
	})
	mux.HandleFunc("/debian/", func(w http.ResponseWriter, q *http.Request) {
		if !strings.HasSuffix(q.URL.Path, "/Packages") {
			http.NotFound(w, q)
		}
	})
	wheel := sampleWheel(t)
	mux.HandleFunc("/simple/ctxagent-sample/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!DOCTYPE html><a href="/files/ctxagent_sample-1.0-py3-none-any.whl">ctxagent_sample-1.0-py3-none-any.whl</a>`)
	})
	mux.HandleFunc("/files/", func(w http.ResponseWriter, q *http.Request) {
		http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(wheel))
	})
	plain, secure = httptest.NewServer(mux), httptest.NewUnstartedServer(mux)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that was refused hangs up
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	return plain, secure
}

// selfSigned is a certificate for www.example.org.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"}, DNSNames: []string{"www.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// sampleWheel is a Python package with nothing in it.
func sampleWheel(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"METADATA": "Metadata-Version: 2.1\nName: ctxagent-sample\nVersion: 1.0\n", "RECORD": "",
		"WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	} {
		w, err := z.Create("ctxagent_sample-1.0.dist-info/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
