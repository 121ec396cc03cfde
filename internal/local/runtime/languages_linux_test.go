package runtime

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/test/bases"
)

// client is a program of a language that prints, for each URL, a line: the URL, and
// what it got or ERROR.
type client struct {
	language string // of the base; "" is none
	files    func(t *testing.T, dir string) []file
	args     []string
	env      []string
}

func clients() map[string]client {
	text := func(name, content string) func(*testing.T, string) []file {
		return func(*testing.T, string) []file { return []file{{name, 0o644, 0, content}} }
	}
	return map[string]client{
		"node": {language: "node", args: []string{"node", "/client.js"}, env: []string{"NODE_EXTRA_CA_CERTS=/authority.pem"}, files: text("client.js", `
const get = url => new Promise((done, fail) => require(url.startsWith('https') ? 'https' : 'http').get(url, r => {
  let body = ''; r.on('data', d => body += d).on('end', () => done(body))
}).on('error', fail));
(async () => { for (const url of process.argv.slice(2)) console.log(url, await get(url).catch(e => 'ERROR ' + e)) })()`)},
		"node with fetch": {language: "node", args: []string{"node", "/client.mjs"}, env: []string{"NODE_EXTRA_CA_CERTS=/authority.pem"}, files: text("client.mjs", `
for (const url of process.argv.slice(2)) console.log(url, await fetch(url).then(r => r.text()).catch(e => 'ERROR ' + e.cause))`)},
		"python": {language: "python", args: []string{"python3", "/client.py"}, env: []string{"SSL_CERT_FILE=/authority.pem"}, files: text("client.py", `
import sys, urllib.request
for url in sys.argv[1:]:
    try: print(url, urllib.request.urlopen(url, timeout=5).read().decode())
    except Exception as e: print(url, 'ERROR', e)
`)},
		"python with asyncio": {language: "python", args: []string{"python3", "/client.py"}, env: []string{"SSL_CERT_FILE=/authority.pem"}, files: text("client.py", `
import asyncio, ssl, sys, urllib.parse
async def get(url):
    u = urllib.parse.urlparse(url)
    tls = ssl.create_default_context() if u.scheme == 'https' else None
    r, w = await asyncio.wait_for(asyncio.open_connection(u.hostname, u.port or 80, ssl=tls), 5)
    w.write(f'GET / HTTP/1.0\r\nHost: {u.netloc}\r\n\r\n'.encode())
    return (await r.read()).decode().split('\r\n\r\n')[1]
for url in sys.argv[1:]:
    try: print(url, asyncio.run(get(url)))
    except Exception as e: print(url, 'ERROR', repr(e))
`)},
		"java": {language: "java", args: []string{"java", "-cp", "/", "Client"}, files: compileJava},
		"musl": {args: []string{"/client"}, files: compileMusl},
	}
}

func compileJava(t *testing.T, dir string) []file {
	const source = `
import java.io.FileInputStream; import java.net.*; import java.net.http.*; import java.security.KeyStore; import java.security.cert.CertificateFactory; import javax.net.ssl.*;
public class Client { public static void main(String[] args) throws Exception {
  KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType()); keys.load(null, null);
  try (var in = new FileInputStream("/authority.pem")) { keys.setCertificateEntry("a", CertificateFactory.getInstance("X.509").generateCertificate(in)); }
  var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm()); trust.init(keys);
  var tls = SSLContext.getInstance("TLS"); tls.init(null, trust.getTrustManagers(), null);
  HttpsURLConnection.setDefaultSSLSocketFactory(tls.getSocketFactory());
  var client = HttpClient.newBuilder().sslContext(tls).build();
  for (String url : args) {
    String both = ""; // the selector's way and the blocking one
    try { both = client.send(HttpRequest.newBuilder(URI.create(url)).build(), HttpResponse.BodyHandlers.ofString()).body();
      String blocking = new String(new URL(url).openConnection().getInputStream().readAllBytes());
      if (!blocking.equals(both)) both = "ERROR " + both + " and " + blocking;
    } catch (Exception e) { both = "ERROR " + e; }
    System.out.println(url + " " + both);
  }
} }`
	return compile(t, dir, "Client.java", source, []string{"javac", "-d", dir, filepath.Join(dir, "Client.java")}, "Client.class")
}

// compileMusl is a program that knows names and connects, without TLS.
func compileMusl(t *testing.T, dir string) []file {
	const source = `
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    char host[256] = "", port[16] = "80", answer[4096] = ""; struct addrinfo want = {.ai_socktype = SOCK_STREAM}, *found, *a; int fd = -1, n, got = 0;
    if (sscanf(argv[i], "http://%255[^:/]:%15[0-9]", host, port) < 1) { printf("%s TLS\n", argv[i]); continue; }
    if (getaddrinfo(host, port, &want, &found)) { printf("%s ERROR no name\n", argv[i]); continue; }
    for (a = found; a && fd < 0; a = a->ai_next) { fd = socket(a->ai_family, a->ai_socktype, 0); if (connect(fd, a->ai_addr, a->ai_addrlen)) { close(fd); fd = -1; } }
    if (fd < 0) { printf("%s ERROR no connection\n", argv[i]); continue; }
    dprintf(fd, "GET / HTTP/1.0\r\nHost: %s:%s\r\n\r\n", host, port);
    while ((n = read(fd, answer + got, sizeof answer - 1 - got)) > 0) got += n;
    printf("%s %s\n", argv[i], strstr(answer, "\r\n\r\n") ? strstr(answer, "\r\n\r\n") + 4 : "ERROR");
  }
}`
	return compile(t, dir, "client.c", source, []string{"musl-gcc", "-static", "-o", filepath.Join(dir, "client"), filepath.Join(dir, "client.c")}, "client")
}

func compile(t *testing.T, dir, name, source string, command []string, result string) []file {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skipf("SKIPPED, there is no %s (Debian's packages openjdk-17-jdk-headless and musl-tools have it)", command[0])
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(dir, result))
	if err != nil {
		t.Fatal(err)
	}
	return []file{{result, 0o755, 0, string(raw)}}
}

// Programs of other languages go the same ways as those in Go: with TLS, by name, to
// functions, and not to this machine's own.
func TestLanguagesReachTheWorldAndFunctions(t *testing.T) {
	if os.Getenv("FULL") != "1" {
		t.Skip("SKIPPED, needs Debian packages: FULL=1")
	}
	w := newWorld(t)
	secret := "http://127.0.0.1:" + portOf(w.own)
	urls := []string{
		"http://example.com:" + portOf(w.plain), "https://example.com:" + portOf(w.tls), "http://hello.default.svc.cluster.local",
		"http://hello.default.127.0.0.1.sslip.io:7080", secret, "http://nowhere.example",
	}
	for name, c := range clients() {
		t.Run(name, func(t *testing.T) {
			for _, open := range []bool{true, false} {
				m := newMachineWith(t, Options{Network: w.network(open)})
				files := append(c.files(t, t.TempDir()), file{"authority.pem", 0o644, 0, w.authority})
				ref := m.push("client:1", v1.Config{}, layer(t, files...))
				if c.language != "" {
					ref = m.pushOn(t, c.language, layer(t, files...))
				}
				image := m.pull(ref)
				var out buffer
				p := m.start(m.sandbox(), pod.Container{Image: image, Args: append(c.args, urls...), Env: append(image.Env, c.env...), Stdout: &out, Stderr: &out})
				<-p.Done()
				wants := []string{"world example.com", "secure world", "router hello.default.svc.cluster.local", "router hello.default.127.0.0.1.sslip.io", "ERROR", "ERROR"}
				if !open {
					wants[0], wants[1] = "ERROR", "ERROR"
				}
				for i, want := range wants {
					found := false
					for line := range strings.Lines(out.String()) {
						found = found || strings.HasPrefix(line, urls[i]+" ") && (strings.Contains(line, want) || strings.Contains(line, " TLS"))
					}
					if !found {
						t.Errorf("open %v, %s: want %q in\n%s", open, urls[i], want, out.String())
					}
				}
				if strings.Contains(out.String(), "secret") {
					t.Errorf("it reaches this machine's own: %s", out.String())
				}
			}
		})
	}
}

// pushOn makes an image on the base of a language.
func (m *machine) pushOn(t *testing.T, language string, top v1.Layer) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	index, err := bases.Index(context.Background(), language, filepath.Join(cache, "kn-lite-test-bases"), m.platform.Architecture)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err == nil {
		image, err = mutate.AppendLayers(image, top)
	}
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := client.Push(context.Background(), image, m.address+"/client-"+language+":1")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}
