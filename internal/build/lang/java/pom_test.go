package java

import (
	"testing"
	"testing/fstest"
)

func TestRelease(t *testing.T) {
	compiler := func(configuration string) string {
		return "<build><plugins><plugin><artifactId>maven-compiler-plugin</artifactId><configuration>" + configuration + "</configuration></plugin></plugins></build>"
	}
	for _, tt := range []struct {
		name, pom  string
		want, base int
	}{
		{"nothing", "", 0, 21},
		{"Spring's property", "<properties><java.version>17</java.version></properties>", 17, 17},
		{"the compiler's property first", "<properties><java.version>17</java.version><maven.compiler.release>21</maven.compiler.release></properties>", 21, 21},
		{"an old style", "<properties><java.version>1.8</java.version></properties>", 8, 17},
		{"a property of a property", "<properties><j>19</j><maven.compiler.target>${j}</maven.compiler.target></properties>", 19, 21},
		{"a property of itself", "<properties><java.version>${java.version}</java.version></properties>", 0, 21},
		{"the plugin", compiler("<release>25</release>"), 25, 25},
		{"the plugin, by a property", "<properties><my.java>22</my.java></properties>" + compiler("<target>${my.java}</target>"), 22, 25},
		{"newer than all", "<properties><java.version>26</java.version></properties>", 26, 26},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := inspect(fstest.MapFS{"pom.xml": {Data: []byte(pomOf(tt.pom))}})
			if err != nil {
				t.Fatal(err)
			}
			if found.release != tt.want || baseRelease(found.release) != tt.base {
				t.Errorf("release %d, base %d", found.release, baseRelease(found.release))
			}
		})
	}
}

func TestModules(t *testing.T) {
	module := func(name, java string) string {
		return "<project><parent><artifactId>app</artifactId><version>1.0-SNAPSHOT</version></parent><artifactId>" + name + "</artifactId><properties><java.version>" + java + "</java.version></properties>" +
			dependency("g", "core", "1.0-SNAPSHOT") + "</project>"
	}
	found, err := inspect(fstest.MapFS{
		"pom.xml":      {Data: []byte(pomOf("<packaging>pom</packaging><modules><module>core</module><module>web/pom.xml</module></modules><profiles><profile><modules><module>absent</module><module>core</module></modules></profile></profiles>"))},
		"core/pom.xml": {Data: []byte(module("core", "17"))},
		"web/pom.xml":  {Data: []byte(module("web", "21"))},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.poms) != 3 || found.release != 21 {
		t.Errorf("%d poms, Java %d", len(found.poms), found.release)
	}
	if found.floating != "" {
		t.Errorf("the project's own modules are no fixed versions: %s", found.floating)
	}
}

func TestFloating(t *testing.T) {
	for _, tt := range []struct {
		name, pom, want string
		snapshots       bool
	}{
		{"a release", dependency("g", "lib", "1.0"), "", false},
		{"a managed version", "<dependencies><dependency><groupId>g</groupId><artifactId>lib</artifactId></dependency></dependencies>", "", false},
		{"a snapshot", dependency("g", "lib", "1.0-SNAPSHOT"), "lib 1.0-SNAPSHOT", true},
		{"a snapshot by a property", "<properties><v>2-SNAPSHOT</v></properties>" + dependency("g", "lib", "${v}"), "lib 2-SNAPSHOT", true},
		{"a range", dependency("g", "lib", "[1.0,2.0)"), "lib [1.0,2.0)", false},
		{"the latest", dependency("g", "lib", "LATEST"), "lib LATEST", false},
		{"the parent", "<parent><groupId>g</groupId><artifactId>all</artifactId><version>1-SNAPSHOT</version></parent>", "all 1-SNAPSHOT", true},
		{"a plugin", "<build><plugins><plugin><artifactId>tool</artifactId><version>1-SNAPSHOT</version></plugin></plugins></build>", "tool 1-SNAPSHOT", true},
		{"an import", "<dependencyManagement>" + dependency("g", "bom", "1-SNAPSHOT") + "</dependencyManagement>", "bom 1-SNAPSHOT", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := inspect(fstest.MapFS{"pom.xml": {Data: []byte(pomOf(tt.pom))}})
			if err != nil {
				t.Fatal(err)
			}
			if found.floating != tt.want || found.snapshots != tt.snapshots {
				t.Errorf("floating %q, snapshots %v", found.floating, found.snapshots)
			}
		})
	}
}

func TestEncoding(t *testing.T) {
	pom := "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><project><artifactId>app</artifactId><name>B\xfccher</name><properties><java.version>17</java.version></properties></project>"
	found, err := inspect(fstest.MapFS{"pom.xml": {Data: []byte(pom)}})
	if err != nil || found.release != 17 || found.poms[0].root.text("name") != "Bücher" {
		t.Errorf("%+v, %v", found, err)
	}
}
