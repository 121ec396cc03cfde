package java

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// argumentFile is what java reads with @FILE
// (https://docs.oracle.com/en/java/javase/21/docs/specs/man/java.html).
func argumentFile(args []string) []byte {
	var out strings.Builder
	for _, arg := range args {
		out.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(arg) + "\"\n")
	}
	return []byte(out.String())
}

// classMajor is the version of a class's format, 0 when the jar does not have it.
func classMajor(jar *zip.Reader, name string) (int, error) {
	f, err := jar.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(f, head); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	return int(binary.BigEndian.Uint16(head[6:])), f.Close()
}

// firstMajor is the format's version of Java 1.0, if it had had one of its own.
const firstMajor = 44

// suits is an error when the base image's Java is too old for the main class: the
// container would not start.
func (a *app) suits(target lang.Target) error {
	if a.major == 0 || target.BaseConfig == nil {
		return nil
	}
	need, has := a.major-firstMajor, javaOf(target.BaseConfig.Env)
	if has == 0 || has >= need {
		return nil
	}
	return fault.New(fault.Build, "build.java", target.BaseRef, "the classes are for Java %d, and the base image has Java %d", need, has).
		WithHint("name another base with {BaseImage}, or set the property maven.compiler.release of %s to %d", pomFile, has)
}

// javaOf is the release in JAVA_VERSION, which images of Java set: jdk-21.0.5+11,
// 17.0.13, 8u432. 0 when there is none.
func javaOf(env []string) int {
	found := regexp.MustCompile(`^(?:jdk-?)?(?:1\.)?(\d+)`).FindStringSubmatch(lang.Lookup(env, "JAVA_VERSION"))
	if found == nil {
		return 0
	}
	release, _ := strconv.Atoi(found[1])
	return release
}
