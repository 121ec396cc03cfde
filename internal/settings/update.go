package settings

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/atomicfile"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Update is a change of the user's file.
type Update struct {
	File    string // that was changed
	Key     string
	Changed bool // false: the file says so already
}

// Set writes a setting into the user's file, which is made if there is none. Several
// values are separated by commas. Comments and everything else in the file stay as
// they are; the file is whole at every moment, and of several calls at the same time
// none undoes another's.
func Set(ctx context.Context, env func(string) string, key, text string) (*Update, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	value, err := valueOf(key, text)
	if err != nil {
		return nil, err
	}
	return update(ctx, env, key, value)
}

// Unset removes a setting from the user's file, also one that kn-lite does not know.
func Unset(ctx context.Context, env func(string) string, key string) (*Update, error) {
	return update(ctx, env, key, nil)
}

// valueOf reads the value of a setting, as the file has it.
func valueOf(key, text string) (any, error) {
	top, below, _ := strings.Cut(key, ".")
	s := settingOf(top)
	wrong := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Usage, "config.set", key, format, args...)
	}
	switch {
	case s.secret:
		return nil, wrong("it is a secret, and not kept in the file").WithHint("set the variable %s where it is needed", s.variables[0])
	case (s.form == byName || s.form == listsByName) && below == "":
		return nil, wrong("it has a value for each name").WithHint("for example: %s.%s", key, exampleName(top))
	case strings.TrimSpace(text) == "":
		return nil, wrong("an empty value sets nothing").WithHint("`kn-lite config unset %s` removes it", key)
	case strings.ContainsAny(text, "\n\r\x00"):
		return nil, wrong("a value is one line")
	case s.key == requireSigned:
		required, err := strconv.ParseBool(text)
		if err != nil {
			return nil, wrong("%q is neither true nor false", text)
		}
		return boolean(strconv.FormatBool(required)), nil
	}
	hosts := []string{text}
	if s.form == list || s.form == listsByName {
		hosts = split(text, ",")
		if len(hosts) == 0 {
			return nil, wrong("%q has no value between its commas", text)
		}
	}
	switch s.key {
	case "registry", "insecureRegistries", "mirrors", "cacheRepo", "builderImage", "kanikoImage", baseImages:
		for _, host := range append(hosts, below) {
			if _, after, found := strings.Cut(host, "://"); found {
				return nil, wrong("%q is a URL; registries are named without a scheme", host).WithHint("use %s; plain HTTP is for the hosts in insecureRegistries", after)
			}
		}
	case "ingress":
		if _, _, err := net.SplitHostPort(text); err != nil {
			return nil, wrong("%q is not HOST:PORT", text).WithHint("for example 192.0.2.1:80")
		}
	}
	if s.form == list || s.form == listsByName {
		return hosts, nil
	}
	return text, nil
}

func exampleName(key string) string {
	if key == baseImages {
		return "node"
	}
	return "registry.example"
}

func update(ctx context.Context, env func(string) string, key string, value any) (*Update, error) {
	file, _ := userFile(env)
	if file == "" || file == os.DevNull {
		return nil, fault.New(fault.Usage, "config.edit", file, "there is no file for settings").
			WithHint("set HOME or XDG_CONFIG_HOME to an absolute path, or KN_LITE_CONFIG to a file")
	}
	target := file
	if at, err := filepath.EvalSymlinks(file); err == nil {
		target = at
	} else if info, statErr := os.Lstat(file); statErr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, fault.New(fault.Usage, "config.edit", file, "it is a symbolic link that leads nowhere").WithHint("make the file that it names, or remove the link")
	}
	if value != nil {
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return nil, notWritten(file, err)
		}
	}
	unlock, err := lock(ctx, filepath.Dir(target))
	if errors.Is(err, fs.ErrNotExist) { // nothing to remove
		return &Update{File: file, Key: key}, nil
	}
	if err != nil {
		return nil, notWritten(file, err)
	}
	changed, err := rewrite(file, target, key, value)
	return &Update{File: file, Key: key, Changed: changed}, errors.Join(err, unlock())
}

func rewrite(file, target, key string, value any) (changed bool, err error) {
	text, err := source(file, false)
	if err != nil {
		return false, err
	}
	// A file with a mistake can be mended by removing it.
	d, invalid := parse(file, text)
	if d.root == nil && invalid != nil {
		return false, invalid
	}
	e := &edit{document: d, keys: d.keysOf(key), value: value}
	if value == nil && !e.has() {
		if top, _, _ := strings.Cut(key, "."); settingOf(top) == nil {
			return false, checkKey(key)
		}
		return false, nil
	}
	after, err := e.text()
	if err != nil {
		return false, err
	}
	checked, err := parse(file, after)
	if err != nil {
		return false, err
	}
	if err := (&Settings{File: file, layers: []layer{checked.layer()}}).read(); err != nil {
		return false, err
	}
	if bytes.Equal(after, text) {
		return false, nil
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(target); err == nil {
		mode = info.Mode().Perm()
	}
	if err := atomicfile.Write(target, after, atomicfile.Options{Mode: mode}); err != nil {
		return false, notWritten(file, err)
	}
	return true, nil
}

// keysOf is the path of a key in the file, where upper and lower case of names do not
// count.
func (d *document) keysOf(key string) []string {
	keys := strings.Split(pathOf(key), keySeparator)
	if len(keys) == 2 && d.root != nil {
		for path := range d.places {
			if top, name, _ := strings.Cut(path, keySeparator); top == keys[0] && strings.EqualFold(name, keys[1]) {
				keys[1] = name
			}
		}
	}
	return keys
}

func notWritten(file string, err error) error {
	out := fault.New(fault.Failure, "config.edit", file, "%w", err)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return out.WithHint("the file's folder has to be writable; KN_LITE_CONFIG names another file")
	}
	return out
}
