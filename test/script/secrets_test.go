//go:build unix

package script

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// canaries are secrets wherever people have them: in files of the project, of
// the home, in the environment, and in what registries and helpers say.
type canaries struct {
	t     *testing.T
	dir   string // everything is below it
	env   []string
	words map[string]string // where it was planted → the secret
}

// word makes a secret for a place.
func (c *canaries) word(place string) string {
	word := fmt.Sprintf("canary%02dZ%x", len(c.words), place[:min(len(place), 3)])
	c.words[place] = word
	return word
}

func (c *canaries) write(name, content string) {
	c.t.Helper()
	at := filepath.Join(c.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(content), 0o600)); err != nil {
		c.t.Fatal(err)
	}
}

// plant puts a secret into a file; %s in the content is where it goes.
func (c *canaries) plant(name, content string) {
	c.t.Helper()
	c.write(name, fmt.Sprintf(content, c.word(name)))
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{t: t, dir: t.TempDir(), words: map[string]string{}}
	for _, project := range []string{"node", "docker"} {
		for name, content := range map[string]string{
			".env": "PASSWORD=%s\n", ".env.local": "PASSWORD=%s\n", "sub/.env.production": "PASSWORD=%s\n", ".envrc": "export PASSWORD=%s\n",
			".git/config": "[remote \"origin\"]\n\turl = https://ada:%s@git.example/x.git\n", ".git-credentials": "https://ada:%s@git.example\n",
			".netrc": "machine git.example login ada password %s\n", ".npmrc": "//npm.example/:_authToken=%s\n", "pip.conf": "[global]\nindex-url = https://ada:%s@pypi.example/simple\n",
			"id_rsa": "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n", "tls/server.key": "-----BEGIN PRIVATE KEY-----\n%s\n", ".aws/credentials": "aws_secret_access_key = %s\n",
			".kube/config": "token: %s\n", ".docker/config.json": `{"auths": {"x.example": {"auth": "%s"}}}`, "prod.tfvars": "password = \"%s\"\n", ".pgpass": "db:5432:*:ada:%s\n",
		} {
			c.plant(filepath.Join(project, name), content)
		}
	}
	c.write("node/package.json", `{"scripts": {"start": "node index.js"}}`)
	c.write("node/index.js", "console.log(1)\n")
	c.plant("node/func.yaml", "specVersion: 0.36.0\nname: node\nruntime: node\nrun:\n  envs:\n  - name: PASSWORD\n    value: %s\n  - name: OTHER\n    value: '{{ env:AWS_SECRET_ACCESS_KEY }}'\n")
	c.write("docker/Dockerfile", "FROM scratch\nARG TOKEN\nCOPY . /app/\n")
	c.write("docker/broken", "FROM scratch\nARG TOKEN\nCOPY nothing-${TOKEN:+x} /app/\n")
	c.write("docker/main.rb", "puts 1\n")
	c.plant("home/.netrc", "machine git.example login ada password %s\n")
	c.plant("home/.npmrc", "//npm.example/:_authToken=%s\n")
	c.plant("home/.ssh/id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n")
	c.plant("home/.kube/config", "users: [{name: a, user: {token: %s}}]\n")
	c.plant("secrets/build", "%s")
	vars, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	c.env = append(append(vars, toolenv.Home(filepath.Join(c.dir, "home"))...), "TMPDIR="+filepath.Join(c.dir, "tmp"),
		"PATH="+filepath.Join(c.dir, "path")+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, name := range []string{"AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "GITHUB_TOKEN", "NPM_TOKEN"} {
		c.env = append(c.env, name+"="+c.word(name))
	}
	if err := os.Mkdir(filepath.Join(c.dir, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs kn-lite with all its words and looks for secrets among them.
func (c *canaries) run(input string, want int, env []string, args ...string) {
	c.t.Helper()
	cmd := exec.Command("kn-lite", append(args, "-v")...)
	cmd.Dir, cmd.Env, cmd.Stdin = c.dir, append(c.env[:len(c.env):len(c.env)], env...), strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || ok && exit.ExitCode() != want || err == nil && want != 0 {
		c.t.Errorf("%v: %v, want exit %d\n%s", args, err, want, stderr.String())
	}
	c.search("stdout of "+strings.Join(args, " "), stdout.Bytes())
	c.search("stderr of "+strings.Join(args, " "), stderr.Bytes())
	if stdout.Len()+stderr.Len() == 0 {
		c.t.Errorf("%v said nothing: the test is broken", args)
	}
}

// search looks for each secret, as it is and as part of a basic credential.
func (c *canaries) search(where string, content []byte) {
	c.t.Helper()
	for place, word := range c.words {
		for _, form := range []string{word, base64.StdEncoding.EncodeToString([]byte("ada:" + word))} {
			if bytes.Contains(content, []byte(form)) {
				c.t.Errorf("%s has the secret of %s", where, place)
			}
		}
	}
}

// searchFiles looks into all files below a folder, unpacked ones too, and says how many.
func (c *canaries) searchFiles(dir string) (files int) {
	c.t.Helper()
	err := filepath.WalkDir(filepath.Join(c.dir, dir), func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files++
		raw, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		c.search(at, raw)
		if zr, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
			content, err := io.ReadAll(zr)
			c.search(at+" unpacked", content)
			return err
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return files
}

// TestSecrets plants secrets wherever people keep them and finds none in images,
// output, caches and temporary files, whether builds and pushes succeed or fail.
func TestSecrets(t *testing.T) {
	c := newCanaries(t)
	serve := func(faults ...regtest.Fault) (*regtest.Server, string) {
		server := regtest.New(faults...)
		server.Auth, server.User, server.Password = "bearer", "ada", c.words["password"]
		address, stop, err := regtest.Listen(server, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(); server.Verify(t) })
		return server, address
	}
	password := c.word("password")
	_, address := serve()
	c.env = append(c.env, "KN_LITE_BASE_IMAGE_NODE="+address+"/base/any:1")
	if len(c.words) < 25 {
		t.Errorf("%d secrets only", len(c.words))
	}

	// A login that is refused, one that is accepted; its file is where the password belongs.
	c.run(c.word("wrong password")+"\n", 4, nil, "registry", "login", address, "-u", "ada", "--password-stdin")
	c.run(password+"\n", 0, nil, "registry", "login", address, "-u", "ada", "--password-stdin")
	c.run("", 0, nil, "registry", "check", address+"/me/node")
	base := t.TempDir()
	if err := writeBase(base); err != nil {
		t.Fatal(err)
	}
	c.run("", 0, nil, "push", "oci:"+base, "--image", address+"/base/any:1")

	// Builds that succeed.
	c.run("", 0, nil, "build", "node", "--image", address+"/me/node:1", "--push", "-o", "oci:out/node")
	c.run("", 0, nil, "build", "node", "--image", address+"/me/node:1", "--push", "--no-cache")
	c.run("", 0, nil, "build", "node", "--image", address+"/me/node:1", "--explain")
	c.run("", 0, nil, "build", "node", "--image", address+"/me/node:1")
	c.run("", 0, nil, "image", "inspect", address+"/me/node:1", "--files")
	docker := []string{"build", "docker", "--builder", "dockerfile", "--image", address + "/me/docker:1", "--build-arg", "TOKEN=" + c.word("--build-arg"), "--secret", "id=x,src=" + filepath.Join(c.dir, "secrets/build")}
	if sandboxed(t, c) {
		c.run("", 0, nil, append(docker, "--push", "-o", "oci:out/docker")...)
	}

	// And such that fail.
	c.run("", 7, nil, append(docker, "--file", filepath.Join(c.dir, "docker/broken"))...)
	c.run("", 75, []string{"HTTPS_PROXY=http://ada:" + c.word("proxy") + "@127.0.0.1:1", "KN_LITE_BASE_IMAGE_NODE="}, "build", "node", "--image", address+"/me/node:2")
	for n, f := range []regtest.Fault{
		{On: regtest.PutTag, Do: regtest.Redirect("http://elsewhere.example/x?signature=" + c.word("signature"))},
		{On: regtest.PostUpload, Do: regtest.Status(403)},
		{On: regtest.PutManifest, Do: regtest.HTML(200)},
		{On: regtest.Token, Do: regtest.Status(401)},
		{On: regtest.Token, Times: -1, Do: regtest.MalformedJSON()},
	} {
		_, broken := serve(f)
		code := []int{1, 4, 1, 4, 1}[n]
		c.credentials(fmt.Sprintf("auth%d.json", n), broken, password)
		c.run("", code, []string{"REGISTRY_AUTH_FILE=" + filepath.Join(c.dir, "secrets", fmt.Sprintf("auth%d.json", n))}, "push", "node", "--image", broken+"/me/node:1")
	}
	c.write("secrets/helped.json", `{"credHelpers": {"`+address+`": "leaky"}}`)
	c.write("path/docker-credential-leaky", "#!/bin/sh\necho '{\"Secret\": \""+c.word("helper's answer")+"\"' \necho "+c.word("helper's complaint")+" >&2\nexit 1\n")
	if err := os.Chmod(filepath.Join(c.dir, "path/docker-credential-leaky"), 0o755); err != nil {
		t.Fatal(err)
	}
	c.run("", 4, []string{"REGISTRY_AUTH_FILE=" + filepath.Join(c.dir, "secrets/helped.json")}, "push", "node", "--image", address+"/me/node:3")

	files := 0
	for _, dir := range []string{"out", "home/.cache", "tmp", "node/.kn-lite"} {
		files += c.searchFiles(dir)
	}
	if files < 20 {
		t.Errorf("%d files were searched: the test is broken", files)
	}
	left, err := os.ReadDir(filepath.Join(c.dir, "tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
	t.Logf("%d secrets, %d files", len(c.words), files)
}

// credentials writes a docker config for one registry.
func (c *canaries) credentials(name, host, password string) {
	c.t.Helper()
	c.write(filepath.Join("secrets", name), fmt.Sprintf(`{"auths": {%q: {"auth": %q}, "other.example": {"identitytoken": %q}}}`,
		host, base64.StdEncoding.EncodeToString([]byte("ada:"+password)), c.word("identity token "+name)))
}

// sandboxed reports whether Dockerfiles can be built here.
func sandboxed(t *testing.T, c *canaries) bool {
	t.Helper()
	c.write("probe/Dockerfile", "FROM scratch\nCOPY Dockerfile /x\n")
	cmd := exec.Command("kn-lite", "build", "probe", "--image", "registry.example/probe", "-o", "oci:probe-out")
	cmd.Dir, cmd.Env = c.dir, c.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("no sandbox here, so no Dockerfile is built: %v\n%s", err, out)
	}
	return err == nil
}
