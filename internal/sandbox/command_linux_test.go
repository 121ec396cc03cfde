package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestFindProgram(t *testing.T) {
	root := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin/run": 0o755, "bin/text": 0o644, "sbin/run": 0o755, "sbin/text": 0o755, "app/tool": 0o755, "app/node_modules/.bin/tsc": 0o755} {
		at := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, nil, mode)); err != nil {
			t.Fatal(err)
		}
	}
	bin, sbin, app := filepath.Join(root, "bin"), filepath.Join(root, "sbin"), filepath.Join(root, "app")
	for _, tt := range []struct{ name, path, want string }{
		{"run", bin + ":" + sbin, bin + "/run"},
		{"text", bin + ":" + sbin, sbin + "/text"}, // the first one is not for running
		{"tool", bin + ":.", app + "/tool"},
		{"tsc", "node_modules/.bin:" + bin, app + "/node_modules/.bin/tsc"},
		{"./tool", "", app + "/tool"},
		{"../bin/run", "", bin + "/run"},
		{bin + "/text", "", bin + "/text"}, // whether it runs is the kernel's word
		{"none", bin, ""},
		{"node_modules", ".", ""},
		{"tool", "", ""},
		{"./none", bin, ""},
	} {
		got, err := findProgram(tt.name, tt.path, app)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s in %q: %q, %v; want %q", tt.name, tt.path, got, err, tt.want)
		}
		if err != nil && (fault.KindOf(err) != fault.Build || !errors.As(err, new(*noProgramError)) || !strings.Contains(err.Error(), "no such program in the image")) {
			t.Errorf("%s: %v (%v)", tt.name, err, fault.KindOf(err))
		}
	}
}

// The last one counts, as for a program that is given the same name twice.
func TestLookupEnv(t *testing.T) {
	env := []string{"A=1", "HOME=", "AB=2", "A=3", "C"}
	for name, want := range map[string]string{"A": "3", "AB": "2", "HOME": "", "C": "", "B": ""} {
		if got := lookup(env, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestExplainProgram(t *testing.T) {
	p := (program{path: "/app/run"})
	if p.explain(nil) != nil {
		t.Error("a success is explained")
	}
	for err, want := range map[error]string{
		&os.PathError{Op: "fork/exec", Path: "/app/run", Err: syscall.ENOEXEC}: "/app/run: not a program of this machine's architecture",
		&os.PathError{Op: "fork/exec", Path: "/app/run", Err: syscall.EACCES}:  "permission denied",
	} {
		if got := p.explain(err); fault.KindOf(got) != fault.Build || !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v (%v)", err, got, fault.KindOf(got))
		}
	}
}

// An id that the sandbox has not would be the kernel's EINVAL, after the fact.
func TestIDsThatAreNotThere(t *testing.T) {
	o := &order{Highest: 65535}
	for _, who := range []User{{UID: 65536}, {GID: 70000}, {Groups: []uint32{1, 100001}}} {
		err := o.giveOutput(who)
		if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "the highest in this sandbox is 65535") {
			t.Errorf("%+v: %v", who, err)
		}
		if err := (&order{Single: true}).giveOutput(who); err != nil {
			t.Errorf("%+v where there is one user only: %v", who, err)
		}
	}
}

func TestProcessLimit(t *testing.T) {
	if got := (&order{}).processes(); got != maxProcesses {
		t.Errorf("%d by default", got)
	}
	if got := (&order{Processes: 7}).processes(); got != 7 {
		t.Errorf("%d of 7", got)
	}
}

// How a process in the sandbox has ended is known by what it said, by its exit and by its complaint.
func TestReadAnswer(t *testing.T) {
	exit := func(script string) error { return exec.Command("/bin/sh", "-c", script).Run() }
	for name, tt := range map[string]struct {
		said      string
		complaint string
		readErr   error
		waitErr   error
		want      string // in the error
		answered  string // the error that was answered
	}{
		"all is well":                 {said: `{}`},
		"an answer and an exit code":  {said: `{}`, waitErr: exit("exit 3")},
		"an answer, then killed":      {said: `{}`, waitErr: exit("kill -9 $$"), want: "signal: killed"},
		"an error, then killed":       {said: `{"error":"no"}`, waitErr: exit("kill -9 $$"), answered: "no"},
		"nothing":                     {waitErr: exit("exit 1"), complaint: " panic: oops\n", want: "the process in the sandbox ended early: exit status 1: panic: oops"},
		"half an answer":              {said: `{"err`, waitErr: exit("kill -9 $$"), want: "ended early: signal: killed"},
		"an answer that broke off":    {said: `{}`, readErr: io.ErrUnexpectedEOF, waitErr: exit("exit 1"), want: "ended early"},
		"a complaint that has no end": {waitErr: exit("exit 2"), complaint: strings.Repeat("x", 5000), want: strings.Repeat("x", 2000)},
	} {
		got, err := readAnswer([]byte(tt.said), tt.complaint, tt.readErr, tt.waitErr)
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) || got.Error != tt.answered {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil && len(err.Error()) > 2200 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// users looks up the users of the root that it runs on.
func users(raw json.RawMessage, _ io.Reader, _ io.Writer) (any, error) {
	return lookupAll(raw, func(text string) string {
		u, err := LookupUser(text)
		if err != nil {
			return fmt.Sprintf("%v: %v", fault.KindOf(err), err)
		}
		return fmt.Sprint(u.UID, " ", u.GID, " ", u.Groups, " ", u.Home)
	})
}

// owners does the same with what --chown names.
func owners(raw json.RawMessage, _ io.Reader, _ io.Writer) (any, error) {
	return lookupAll(raw, func(text string) string {
		o, err := LookupOwner(text)
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(o.UID, " ", o.GID, " ", o.Unknown)
	})
}

func lookupAll(raw json.RawMessage, one func(string) string) (any, error) {
	var texts []string
	if err := json.Unmarshal(raw, &texts); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, text := range texts {
		out[text] = one(text)
	}
	return out, nil
}

func TestUsersOfTheImage(t *testing.T) {
	box := openBox(t)
	root := newRoot(t, box)
	etc := filepath.Join(root, "etc")
	if err := errors.Join(os.Mkdir(etc, 0o755),
		os.WriteFile(filepath.Join(etc, "passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n# a comment\nbroken\nhalf:x:7\nodd:x:many:7::/odd:\nada:x:1000:1001:Ada:/home/ada:/bin/sh\n1234:x:50:51::/named:\nada:x:2000:2000::/second:\n"), 0o644),
		os.WriteFile(filepath.Join(etc, "group"), []byte("root:x:0:\nadm:x:4:ada,eve\nada:x:1001:ada\nvideo:x:44:eve,ada\nempty\nwheel:x:x:ada\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	for guest, want := range map[string]map[string]string{
		"users": {
			"": "0 0 [0] /root", "root": "0 0 [0] /root", "0": "0 0 [0] /root", ":": "0 0 [0] /root",
			"ada": "1000 1001 [1001 4 44] /home/ada", "1000": "1000 1001 [1001 4 44] /home/ada",
			"ada:video": "1000 44 [44] /home/ada", "ada:7": "1000 7 [7] /home/ada", "5000:6000": "5000 6000 [6000] /", "5000": "5000 0 [0] /",
			"1234":      "50 51 [51] /named", // a name that looks like a number is a name
			"eve":       `build: user "eve" is not in the image's /etc/passwd`,
			"odd":       `build: user "odd" is not in the image's /etc/passwd`,
			"half":      `build: user "half" is not in the image's /etc/passwd`,
			"ada:none":  `build: group "none" is not in the image's /etc/group`,
			"ada:wheel": `build: group "wheel" is not in the image's /etc/group`,
			"-1":        `build: user "-1" is not in the image's /etc/passwd`, "4294967295": `build: user "4294967295" is not in the image's /etc/passwd`,
		},
		"owners": {
			"0": "0 0 []", "1000": "1000 1000 []", "ada": "1000 1001 []", "ada:root": "1000 0 []", "root:ada": "0 1001 []", "1000:": "1000 1000 []", ":44": "0 44 []",
			"eve":      `0 0 [user "eve" is not in the image's /etc/passwd]`,
			"eve:none": `0 0 [user "eve" is not in the image's /etc/passwd group "none" is not in the image's /etc/group]`,
		},
	} {
		var texts []string
		for text := range want {
			texts = append(texts, text)
		}
		got := map[string]string{}
		if err := box.Call(t.Context(), Call{Root: root, Guest: guest, Args: texts, Reply: &got}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", guest, diff)
		}
	}
	// An image without these files has root, and whoever is a number.
	var got map[string]string
	if err := box.Call(t.Context(), Call{Root: newRoot(t, box), Guest: "users", Args: []string{"", "1000", "ada"}, Reply: &got}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"": "0 0 [0] /root", "1000": "1000 0 [0] /", "ada": `build: user "ada" is not in the image's /etc/passwd`}, got); diff != "" {
		t.Error(diff)
	}
}
