// Package java builds Maven and Gradle projects with the host's JDK and tools:
// Spring Boot and Quarkus applications and other classes with a main method. What
// the tool makes is taken apart: what it depends on is a layer below the project's own classes, and Java
// reads plain jars, which starts faster than a jar of jars.
package java

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// Language is Java.
type Language struct{}

var _ lang.Language = Language{}

// home is the folder of the application in the image.
const home = "app"

// argFile is what java reads its class path and main class from: both are known
// only when the project is built, and need no shell this way.
const argFile = home + "/java.args"

// Name implements lang.Language.
func (Language) Name() string { return "java" }

// Detect implements lang.Language.
func (Language) Detect(project fs.FS) bool {
	return exists(project, pomFile) || gradleFile(project) != ""
}

// gradleFile is the file by which a Gradle project is known, or "".
func gradleFile(project fs.FS) string {
	for _, name := range []string{"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"} {
		if exists(project, name) {
			return name
		}
	}
	return ""
}

// Plan implements lang.Language.
func (Language) Plan(_ context.Context, p *lang.Project) (*lang.Plan, error) {
	found, err := inspectProject(p)
	if err != nil {
		return nil, err
	}
	plan := &lang.Plan{
		Style:      found.style(),
		Base:       lang.Base{Ref: "docker.io/library/eclipse-temurin:" + strconv.Itoa(baseRelease(found.release)) + "-jre"},
		Entrypoint: []string{"java", "@/" + argFile},
		WorkingDir: "/" + home,
		Detail:     found,
	}
	switch {
	case found.quarkus:
		plan.Env = []string{"QUARKUS_HTTP_PORT=${PORT:8080}", "QUARKUS_HTTP_HOST=0.0.0.0"}
	case found.spring:
		// Spring puts in the value of $PORT. Requests under way finish when a pod
		// ends, also with releases before 3.4, which need to be told.
		plan.Env = []string{"SERVER_PORT=${PORT:8080}", "SERVER_SHUTDOWN=graceful"}
	}
	return plan, nil
}

// inspectProject reads the poms, or where there are none the files of Gradle.
func inspectProject(p *lang.Project) (*project, error) {
	files := p.Source.FS()
	if gradleFile(files) != "" && !exists(files, pomFile) {
		return inspectGradle(files)
	}
	found, err := inspect(files)
	if err != nil {
		return nil, err
	}
	return found, found.buildable(p.Dir)
}

// baseRelease is the release with long-term support that runs classes for
// release; those are what base images are made of.
func baseRelease(release int) int {
	if release == 0 {
		return 21 // not told
	}
	for _, lts := range []int{17, 21, 25} {
		if release <= lts {
			return lts
		}
	}
	return release
}

// Layers implements lang.Language.
func (Language) Layers(_ context.Context, p *lang.Project, plan *lang.Plan, target lang.Target) ([]lang.Layer, error) {
	found, ok := plan.Detail.(*project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	made := func(name, from string) lang.Layer {
		return lang.Layer{Name: name, From: from, Files: func(ctx context.Context) ([]layer.File, func() error, error) {
			app, err := found.build(ctx, p)
			if err != nil {
				return nil, nil, err
			}
			if err := app.suits(target); err != nil {
				return nil, nil, err
			}
			return app.layers[name], nil, nil
		}}
	}
	layers := []lang.Layer{made(dependencies, "the released jars that the project leads to")}
	if found.snapshots {
		layers = append(layers, made(snapshots, "the jars of SNAPSHOT versions"))
	}
	return append(layers, made(application, "what "+found.tool()+" makes of the project")), nil
}
