//go:build e2e

package dockerfiles

import (
	"bytes"
	"context"
	"embed"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// stub stands in for the programs that Dockerfiles call: what a package manager
// or a compiler does is write files, and some of them into caches.
const stub = `#!/bin/sh
set -e
put() { mkdir -p "$(dirname "$1")" && echo "$0 $2" > "$1"; }
program=$(basename "$0") verb=$1
case $program in
  python) [ "$2" != pip ] || { shift 2; exec pip "$@"; } ;;
  pip)
    target=/usr/local/lib/python3/site-packages file=/dev/null
    while [ $# -gt 0 ]; do
      case $1 in -r) file=$2; shift ;; --target) target=$2; shift ;; esac
      shift
    done
    while read -r name; do put "$target/$name/__init__.py" "$name"; done < "$file"
    put "${HOME:-/root}/.cache/pip/http/x" cached ;;
  npm | pnpm | yarn)
    case $verb in
      ci | install) put node_modules/express/index.js express; put "${HOME:-/root}/.npm/_cacache/x" cached ;;
      run) mkdir -p dist; cat src/* > dist/bundle.js ;;
      cache) rm -rf "${HOME:-/root}/.npm" ;;
    esac ;;
  go)
    case $verb in
      mod) put "${GOPATH:-/go}/pkg/mod/example.org/x/x.go" downloaded ;;
      build)
        out=app
        while [ $# -gt 0 ]; do case $1 in -o) out=$2 ;; esac; shift; done
        mkdir -p "$(dirname "$out")" && cp /bin/busybox "$out" ;;
    esac ;;
  cargo) mkdir -p target/release && cp /bin/busybox target/release/app ;;
  composer) put vendor/autoload.php vendor ;;
  bundle) put "${BUNDLE_PATH:-/usr/local/bundle}/ruby/3.3.0/gems/rails/lib.rb" gem; put "${BUNDLE_PATH:-/usr/local/bundle}/ruby/3.3.0/cache/rails.gem" cached ;;
  addgroup)
    gid=2000
    while [ $# -gt 0 ]; do case $1 in -g) gid=$2; shift ;; -*) ;; *) name=$1 ;; esac; shift; done
    echo "$name:x:$gid:" >> /etc/group ;;
  adduser)
    uid=2000 group= home= make=yes
    while [ $# -gt 0 ]; do
      case $1 in
        -u | --uid) uid=$2; shift ;;
        -G) group=$2; shift ;;
        -h | --home) home=$2; shift ;;
        -s | --shell | -g | --gecos) shift ;;
        -H | --no-create-home) make= ;;
        -*) ;;
        *) name=$1 ;;
      esac
      shift
    done
    [ -n "$group" ] || { group=$name; echo "$name:x:$uid:" >> /etc/group; }
    gid=$(grep "^$group:" /etc/group | cut -d: -f3)
    echo "$name:x:$uid:$gid::${home:-/home/$name}:/bin/sh" >> /etc/passwd
    [ -z "$make" ] || { mkdir -p "${home:-/home/$name}" && chown "$uid:$gid" "${home:-/home/$name}"; } ;;
  apt-get | apk)
    for word; do
      case $word in
        update) put /var/lib/apt/lists/archive_Packages list ;;
        install | add | del | -* | .*) ;;
        *) put "/usr/share/installed/$word" installed; put "/var/cache/$program/$word" cached ;;
      esac
    done ;;
esac
`

// tools is a busybox with package managers, and the users that images have.
func tools(busybox v1.Image) (v1.Image, error) {
	files := []layer.File{
		layer.Bytes("usr/local/bin/stub", 0o755, []byte(stub)),
		layer.Bytes("etc/passwd", 0o644, []byte(`root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/sbin/nologin
nginx:x:101:101:nginx:/nonexistent:/bin/false
node:x:1001:1002::/home/node:/bin/sh
app:x:1000:1000:app:/home/app:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
`)),
		layer.Bytes("etc/group", 0o644, []byte("root:x:0:\nwww-data:x:33:\nnginx:x:101:\nnode:x:1002:\napp:x:1000:\nextra:x:2000:app\nnogroup:x:65534:\n")),
		layer.Bytes("etc/shadow", 0o640, []byte("root:*::0:::::\n")),
		layer.Bytes("etc/apt/apt.conf.d/docker-clean", 0o644, []byte("clean\n")),
		layer.Symlink("usr/bin/env", "/bin/env"),
		layer.Dir("home/node", 0o755), layer.Dir("dev", 0o755), layer.Dir("proc", 0o755), layer.Dir("sys", 0o755),
	}
	for name := range strings.FieldsSeq("python pip npm pnpm yarn go cargo composer bundle apt-get apk update-ca-certificates java node nginx gunicorn fastapi catalina.sh server redis-server adduser addgroup") {
		files = append(files, layer.Symlink("usr/local/bin/"+name, "stub"))
	}
	var raw bytes.Buffer
	if err := layer.WriteTar(context.Background(), &raw, files, time.Unix(0, 0)); err != nil {
		return nil, err
	}
	content, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(busybox, content)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Config.Env = append(config.Config.Env, "PHP_INI_DIR=/usr/local/etc/php")
	return mutate.ConfigFile(image, config)
}

//go:embed testdata/*.txtar
var shapeFiles embed.FS

// shapes are Dockerfiles as people write them, each with its context.
func shapes(t *testing.T) map[string]*testCase {
	t.Helper()
	all := map[string]*testCase{}
	names, err := fs.Glob(shapeFiles, "testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no shapes: ", err)
	}
	for _, name := range names {
		raw, err := shapeFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		archive := txtar.Parse(raw)
		if len(archive.Files) == 0 || archive.Files[0].Name != "Dockerfile" {
			t.Fatalf("%s does not begin with a Dockerfile", name)
		}
		name = strings.TrimSuffix(strings.TrimPrefix(name, "testdata/"), ".txtar")
		all[name] = &testCase{text: string(archive.Files[0].Data), context: archive}
	}
	return all
}
