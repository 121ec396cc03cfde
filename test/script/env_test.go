package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

// isolate gives one script a home, settings and caches of its own.
func isolate(e *testscript.Env, tools []string) error {
	home := filepath.Join(e.WorkDir, ".home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	e.Values[testValue{}] = e.T()
	e.Vars = append(e.Vars, tools...)
	e.Vars = append(e.Vars, toolenv.Home(home)...)
	return nil
}

// condition knows [go], [mvn], [npm], [pip], [cargo], [root] and [full] beside testscript's own.
func condition(name string) (bool, error) {
	switch name {
	case "go", "mvn", "npm", "pip", "cargo":
		_, err := exec.LookPath(name)
		return err == nil, nil
	case "full":
		return os.Getenv("FULL") == "1", nil
	case "root":
		return os.Getuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition [%s]", name)
}
