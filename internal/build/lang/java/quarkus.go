package java

import (
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// quarkusRunner starts what Quarkus has built.
const quarkusRunner = "quarkus-run.jar"

// takeQuarkus makes the files of the image from the folder quarkus-app, which is
// laid out for that: its libraries change rarely
// (https://quarkus.io/guides/maven-tooling#fast-jar).
func takeQuarkus(dir string) (*app, error) {
	a := &app{layers: map[string][]layer.File{}}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, to := filepath.ToSlash(rel), application
		if strings.HasPrefix(name, "lib/") {
			if to = dependencies; strings.Contains(name, "-SNAPSHOT") {
				to = snapshots
			}
		}
		a.layers[to] = append(a.layers[to], onDisk(home+"/"+name, at, info))
		return nil
	})
	a.layers[application] = append(a.layers[application], layer.Bytes(argFile, 0o644, argumentFile([]string{
		"-Djava.util.logging.manager=org.jboss.logmanager.LogManager", "-jar", "/" + home + "/" + quarkusRunner,
	})))
	return a, err
}
