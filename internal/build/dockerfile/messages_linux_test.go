package dockerfile

import (
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// What is wrong with a Dockerfile is said with its place, in the parser's own
// spelling, and with the name that was probably meant.
func TestMessages(t *testing.T) {
	const two = "FROM busybox AS build\nRUN true\n"
	for _, tt := range []struct{ name, text, want, hint string }{
		{"only an ARG", "ARG VERSION=1\n", "Dockerfile:1: the file ends without a FROM", "FROM scratch"},
		{"only comments", "# nothing\n", "Dockerfile:1: file with no instructions", ""},
		{"misspelt instruction", "FROM scratch\nCPOY a /\n", "Dockerfile:2: unknown instruction: CPOY (did you mean COPY?)", ""},
		{"misspelt flag", "FROM scratch\nCOPY --chwon=1 a /\n", "Dockerfile:2: unknown flag: --chwon (did you mean ch", ""},
		{"spelling of the parser", "FROM scratch\nCOPY a\n", "Dockerfile:2: COPY requires at least two arguments", ""},
		{"no arguments", "FROM\n", "Dockerfile:1: FROM requires either one or three arguments", ""},
		{"no value", "FROM scratch\nENV\n", "Dockerfile:2: ENV requires at least one argument", ""},
		{"unset variable in FROM", "FROM busybox:${TAG}\n", "Dockerfile:1: FROM busybox:${TAG}: the variable TAG has no value", "{Dockerfile.Args} TAG=VALUE"},
		{"misspelt stage", two + "FROM scratch\nCOPY --from=biuld /bin /bin\n", `Dockerfile:3: there is no stage "biuld" above`, `did you mean the stage "build" of line 1?`},
		{"stage below", "FROM runtime\nFROM busybox AS runtime\nRUN true\nFROM scratch\nCOPY --from=0 / /\n", `Dockerfile:1: no image "runtime" can be had, and the stage of that name is defined below, in line 2`, "move it up"},
		{"parents", "FROM scratch\nCOPY --parents a /\n", "Dockerfile:2: COPY --parents is not supported", "COPY a/b a/b"},
		{"missing file", "FROM scratch\nCOPY nope /\n", "Dockerfile:2: nope: there is no such file", ""},
		{"port", "FROM scratch\nEXPOSE 70000\n", `Dockerfile:2: EXPOSE: "70000" is no port: "70000" is not a number from 0 to 65535`, ""},
		{"owner without files", "FROM scratch\nCOPY --chown=eve a /\n", `Dockerfile:2: user "eve" is not in the image's /etc/passwd: there are no files yet`, "--chown=65532:65532"},
		{"warnings as errors", "# check=error=true\nFROM busybox\nCMD true\n", "Dockerfile: lint violation found for rules: JSONArgsRecommended", ""},
		{"unknown check", "# check=wish=true\nFROM busybox\n", "Dockerfile: # check=wish=true: invalid check option", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t, tt.text, map[string]string{"a": ""})
			_, err := p.build(Options{})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || fault.KindOf(err) != fault.Build {
				t.Errorf("err = %v (%v), want %s…", err, fault.KindOf(err), tt.want)
			}
			if !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("hint = %q, want …%s…", fault.HintOf(err), tt.hint)
			}
		})
	}
}

// Stages that the target does not need are not looked at.
func TestStagesThatAreNotNeeded(t *testing.T) {
	p := newProject(t, `FROM busybox AS unused
ADD https://example.com/x.tar.gz /
RUN --mount=type=ssh true
FROM nobody/has:this AS unused2
FROM scratch
COPY a /a
`, map[string]string{"a": ""})
	if _, err := p.build(Options{}); err != nil {
		t.Error(err)
	}
	needed, err := Needs(t.Context(), Spec{Dir: p.dir, Report: &p.told})
	if err != nil {
		t.Fatal(err)
	}
	defer needed.Close()
	if len(needed.Images) != 0 {
		t.Errorf("images %q", needed.Images)
	}
}

// The warnings are those of docker build, each once and with its line.
func TestLintWarnings(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"none", "FROM busybox AS a\nENV A=1\nCMD [\"true\", \"$A\"]\n", nil},
		{"JSON in single quotes", "FROM busybox\nCMD ['node', 'x']\n", []string{"Dockerfile:2: JSONArgsRecommended: JSON arguments recommended for CMD"}},
		{"a shell of one's own", "FROM busybox\nSHELL [\"/bin/sh\", \"-ec\"]\nCMD true\n", nil},
		{"two commands", "FROM busybox\nCMD [\"a\"]\nCMD [\"b\"]\n", []string{"Dockerfile:2: MultipleInstructionsDisallowed: Multiple CMD"}},
		{"casing", "FROM busybox\nworkdir /x\nUSER 1\n", []string{"Dockerfile:2: ConsistentInstructionCasing: Command 'workdir' should match"}},
		{"casing of AS", "FROM busybox as a\n", []string{"Dockerfile:1: FromAsCasing: 'as' and 'FROM' keywords' casing do not match"}},
		{"one name twice", "FROM busybox AS a\nFROM busybox AS a\n", []string{"Dockerfile:2: DuplicateStageName: Duplicate stage name"}},
		{"undefined variable", "FROM busybox\nENV HOST=a\nWORKDIR /$HSOT\n", []string{"Dockerfile:3: UndefinedVar: Usage of undefined variable '$HSOT' (did you mean $HOST?)"}},
		{"variable of the base", "FROM busybox\nENV X=$PATH\n", nil},
		{"undefined in FROM", "FROM busybox${SUFFIX}\n", []string{"Dockerfile:1: UndefinedArgInFrom: FROM argument 'SUFFIX' is not declared"}},
		{"mapped port", "FROM busybox\nEXPOSE 80:8080/TCP\n", []string{
			"Dockerfile:2: ExposeProtoCasing: Defined protocol '80:8080/TCP'",
			"Dockerfile:2: ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '80:8080/TCP'",
		}},
		{"ports as they are meant", "FROM busybox\nEXPOSE 80 53/udp 9000-9001/sctp :1\n", nil},
		{"relative folder", "FROM busybox\nWORKDIR a\nWORKDIR b\n", []string{`Dockerfile:2: WorkdirRelativePath: Relative workdir "a"`}},
		{"secret in the image", "FROM busybox\nARG GITHUB_TOKEN\nENV DB_PASSWORD=x API_KEY_FILE=/k\n", []string{
			`Dockerfile:2: SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "GITHUB_TOKEN")`,
			`Dockerfile:3: SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "DB_PASSWORD")`,
		}},
		{"old form", "FROM busybox\nENV A b\nLABEL c d\n", []string{"Dockerfile:2: LegacyKeyValueFormat", "Dockerfile:3: LegacyKeyValueFormat"}},
		{"empty continuation", "FROM busybox\nCMD [\"a\", \\\n\n  \"b\"]\n", []string{"Dockerfile:4: NoEmptyContinuation: Empty continuation line"}},
		{"reserved name", "FROM busybox AS context\n", []string{"Dockerfile:1: ReservedStageName: "}},
		{"platform of the target", "FROM --platform=$TARGETPLATFORM busybox\n", []string{"Dockerfile:1: RedundantTargetPlatform: "}},
		{"constant platform", "FROM --platform=linux/amd64 busybox\nFROM --platform=linux/amd64 busybox AS amd64\n", []string{"Dockerfile:1: FromPlatformFlagConstDisallowed: "}},
		{"owner", "FROM busybox\nCOPY --chown=eve:eve a /\n", []string{
			`Dockerfile:2: user "eve" is not in the image's /etc/passwd: root takes the place`,
			`Dockerfile:2: group "eve" is not in the image's /etc/group: root takes the place`,
		}},
		{"skipped", "# check=skip=JSONArgsRecommended\nFROM busybox\nCMD true\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t, tt.text, map[string]string{"a": ""})
			if _, err := p.build(Options{}); err != nil {
				t.Fatal(err)
			}
			ok := len(p.told.warnings) == len(tt.want)
			for i := 0; ok && i < len(tt.want); i++ {
				ok = strings.HasPrefix(p.told.warnings[i], tt.want[i])
			}
			if !ok {
				t.Errorf("warnings %q, want %q", p.told.warnings, tt.want)
			}
		})
	}
}

func TestExclude(t *testing.T) {
	p := newProject(t, "FROM scratch\nCOPY --exclude=*.md --exclude=sub/b src /dst/\n", map[string]string{"src/a": "", "src/readme.md": "", "src/sub/b": "", "src/sub/c": ""})
	image, err := p.build(Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantAdded(t, image, "5 0755 0:0 dst", "0 0644 0:0 dst/a", "5 0755 0:0 dst/sub", "0 0644 0:0 dst/sub/c")
}
