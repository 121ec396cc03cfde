package classfile

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Classes as the compiler makes them: constants of every kind, fields, and
// methods called main that are none.
const source = `package a;

import java.util.function.Supplier;

public class Main {
  static final long L = 1L << 40;
  double d = 2.5;
  String text = "x" + d;
  Supplier<String> s = () -> text + L;
  void main(String arg) {}
  public static void main(String[] args) { System.out.println(new Main().s.get()); }
  record Point(int x, int y) {}
  interface Other { int main(String[] args); }
  static class NotPublic { static void main(String[] args) {} }
  static class Inherits extends Main {}
}
`

func TestHasMain(t *testing.T) {
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("needs a JDK")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Main.java"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("javac", "-d", dir, filepath.Join(dir, "Main.java")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	classes, err := filepath.Glob(filepath.Join(dir, "a", "*.class"))
	if err != nil || len(classes) != 5 {
		t.Fatalf("%v, %v", classes, err)
	}
	for _, file := range classes {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := HasMain(raw), filepath.Base(file) == "Main.class"; got != want {
			t.Errorf("%s: %v", filepath.Base(file), got)
		}
		for n := range raw {
			HasMain(raw[:n]) // does not panic, whatever is cut
		}
	}
}

func FuzzHasMain(f *testing.F) {
	f.Add([]byte("\xca\xfe\xba\xbe\x00\x00\x00\x3d\x00\x02\x01\x00\x01a"))
	f.Fuzz(func(_ *testing.T, class []byte) { HasMain(class) })
}
