package java

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

func needMaven(t *testing.T) string {
	t.Helper()
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		t.Skip("there is no mvn")
	}
	return mvn
}

func inputs(t *testing.T, p *lang.Project) *lang.Inputs {
	t.Helper()
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	in, err := Language{}.Inputs(context.Background(), p, plan)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestInputs(t *testing.T) {
	needMaven(t)
	p := openProject(t, map[string]string{"pom.xml": pomOf(dependency("g", "lib", "1.0")), "target/classes/A.class": ""})
	in := inputs(t, p)
	if in.Unknown != "" || len(in.Facts) != 1 || !regexp.MustCompile(`^[\d.]+, [\d.]+`).MatchString(in.Facts[0].Value) {
		t.Errorf("%+v", in)
	}
	if out, prune := in.Folders[0].Skip("target", true); !out || !prune {
		t.Error("what Maven has made counts as an input")
	}
	if out, _ := in.Folders[0].Skip("src/main/java/A.java", false); out {
		t.Error("the sources do not count")
	}

	p.Environ = append(p.Environ, "MAVEN_OPTS=-Xmx1g -Dmaven.repo.local=/elsewhere", "MAVEN_ARGS=-Pfast")
	settings := filepath.Join(lang.Lookup(p.Environ, "HOME"), ".m2", "settings.xml")
	if err := os.Mkdir(filepath.Dir(settings), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(settings, []byte("<settings><servers><server><password>canary</password></server></servers><activeProfiles><activeProfile>fast</activeProfile></activeProfiles></settings>"), 0o600); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range inputs(t, p).Facts {
		names = append(names, f.Name)
		if strings.Contains(f.Value, "canary") || strings.Contains(f.Value, "fast") {
			t.Errorf("%s is told: %s", f.Name, f.Value)
		}
	}
	if !slices.Equal(names, []string{"maven and java", "setting MAVEN_ARGS", "profiles of the user"}) {
		t.Errorf("%v", names)
	}
}

func TestInputsAreUnknown(t *testing.T) {
	p := openProject(t, map[string]string{"pom.xml": pomOf(dependency("g", "lib", "[1,2)"))})
	if in := inputs(t, p); !strings.HasPrefix(in.Unknown, "lib [1,2) is no fixed version") {
		t.Errorf("%+v", in)
	}
}

// The files that are read instead of asking Maven say what it would say.
func TestVersionsWithoutMaven(t *testing.T) {
	mvn := needMaven(t)
	p := openProject(t, nil)
	p.Environ = os.Environ()
	quick, err := versions(context.Background(), p, mvn)
	if err != nil {
		t.Fatal(err)
	}
	// Another place for the program hides its files.
	link := filepath.Join(t.TempDir(), "mvn")
	if err := os.WriteFile(link, []byte("#!/bin/sh\nexec '"+mvn+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	asked, err := versions(context.Background(), p, link)
	if err != nil || asked != quick {
		t.Errorf("the files say %q, Maven %q, %v", quick, asked, err)
	}
}

func TestInfluential(t *testing.T) {
	if got := influential("-Xmx1g -Dhttps.proxyHost=x -Pfast -Djavax.net.ssl.trustStore=/x"); got != "-Pfast" {
		t.Errorf("%q", got)
	}
}
