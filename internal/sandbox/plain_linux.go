package sandbox

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/fault"
)

const argPlain = "kn-lite-plain"

// killAfter is how long a plain container has to end what it has started.
const killAfter = 10 * time.Second

// StartPlain starts a program of the files in s.Root where there are no namespaces:
// as a process of this machine, which sees its network and, unless this is root, its
// files. It ends with this process all the same. Overlay and mounts are not to be had.
func StartPlain(ctx context.Context, s Start) (*Process, error) {
	if len(s.Command.Mounts) > 0 || s.Overlay != nil {
		return nil, errors.ErrUnsupported
	}
	raw, err := json.Marshal(order{Root: s.Root, Command: &s.Command, Single: os.Geteuid() != 0, Groups: s.Groups, Highest: highestID})
	if err != nil {
		return nil, err
	}
	c := &Process{own: func(*os.File) error { return nil }, done: make(chan struct{}), begun: make(chan struct{}), execs: map[int]chan containerReply{}}
	theirs, err := c.connect()
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
	}()
	if err != nil {
		c.abandon()
		return nil, err
	}
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{argPlain}, Env: []string{}, Dir: "/"}
	cmd.Stdout, cmd.Stderr = theirs[3], theirs[4]
	// It has no box, and no lock of one.
	cmd.ExtraFiles = []*os.File{theirs[0], theirs[1], theirs[1], theirs[2]}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	apart(cmd.SysProcAttr)
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		c.abandon()
		return nil, err
	}
	c.kill = func() error {
		// It ends what it has started. If it cannot, it ends itself.
		time.AfterFunc(killAfter, func() { _ = cmd.Process.Kill() })
		return c.channel.send(containerOrder{Signal: syscall.SIGKILL})
	}
	go func() {
		_ = cmd.Wait()
		c.end(podReply{Exit: cmd.ProcessState.ExitCode()})
	}()
	if err := c.begin(ctx, raw, s.Out, s.Err); err != nil {
		return nil, err
	}
	go c.listen()
	return c, nil
}

// enterPlain is what enterContainer is where there are no namespaces. This process
// ends when the channel does, and ends all that it has started before.
func (c *container) enterPlain() (err error) {
	o := &c.order
	if c.proc, err = os.OpenRoot("/proc/self"); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt orphans: %w", err)
	}
	// A root that knows few ids, as in some containers, can be nobody else.
	few := min(mappedIDs("/proc/self/uid_map"), mappedIDs("/proc/self/gid_map")) < idCount
	if os.Geteuid() == 0 && unix.Chroot(o.Root) == nil {
		c.chrooted, o.Single = true, few
		makeDevices()
		return unix.Chdir("/")
	}
	o.Single = true
	return o.translate()
}

// makeDevices makes those that programs count on, as far as this root may.
func makeDevices() {
	_ = os.Mkdir("/dev", 0o755)
	_ = os.Mkdir("/tmp", 0o1777)
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		at := "/dev/" + name
		if unix.Mknod(at, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))) == nil {
			_ = os.Chmod(at, 0o666) // whatever the umask is
		}
	}
}

// hardenPlain is harden for a process that outlives this one's death long enough to
// end its family.
func hardenPlain() error {
	unix.Umask(0o022)
	return errors.Join(unix.CloseRange(firstOfPod, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC), closeInherited(firstOfPod))
}

// confinePlain is confine as far as it goes: limits of a user's processes would be
// for all of them.
func (o *order) confinePlain() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core files: %w", err)
	}
	if err := filter(false); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if err := dropCapabilities(); !errors.Is(err, unix.EPERM) {
		return err
	}
	return nil // this container's root has few itself
}

// translate makes the paths that a command begins with those of the host.
func (o *order) translate() error {
	c := o.Command
	path := lookup(c.Env, "PATH")
	var dirs []string
	for _, dir := range filepath.SplitList(path) {
		dirs = append(dirs, filepath.Join(o.Root, dir))
	}
	c.Env = slices.DeleteFunc(c.Env, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") })
	c.Env = append(c.Env, "PATH="+strings.Join(append(dirs, path), ":"))
	c.Dir, c.User = filepath.Join(o.Root, c.Dir), ""
	c.Args = o.translated(c.Args)
	return os.MkdirAll(c.Dir, 0o755)
}

// translated are arguments, of which those that name files of the image name them
// where they are.
func (o *order) translated(args []string) []string {
	out := slices.Clone(args)
	for i, arg := range out {
		if o.has(arg) {
			out[i] = filepath.Join(o.Root, arg)
		}
	}
	return out
}

// loader puts the image's own loader and libraries before a program that needs them.
func (o *order) loader(program string, args []string) (string, []string, error) {
	f, err := os.Open(program)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	var head [256]byte
	n, _ := io.ReadFull(f, head[:]) // a short one is no program, as the kernel says
	if line, ok := bytes.CutPrefix(head[:n], []byte("#!")); ok {
		text, _, _ := strings.Cut(string(line), "\n")
		words := strings.Fields(text)
		if len(words) > 0 && o.has(words[0]) {
			at := filepath.Join(o.Root, words[0])
			return o.loader(at, slices.Concat([]string{at}, words[1:], []string{program}, args[1:]))
		}
		return program, args, nil
	}
	if name := interpreter(f); o.has(name) {
		at := filepath.Join(o.Root, name)
		return at, slices.Concat([]string{at, "--library-path", o.libraries(), program}, args[1:]), nil
	}
	return program, args, nil
}

// interpreter is the loader that a program names, if any.
func interpreter(program io.ReaderAt) string {
	file, err := elf.NewFile(program)
	if err != nil {
		return "" // the kernel says what is wrong with it
	}
	for _, part := range file.Progs {
		if part.Type != elf.PT_INTERP {
			continue
		}
		if name, err := io.ReadAll(io.LimitReader(part.Open(), 4096)); err == nil {
			return string(bytes.TrimRight(name, "\x00"))
		}
	}
	return ""
}

// has reports whether an absolute path names something in the image.
func (o *order) has(name string) bool {
	if !filepath.IsAbs(name) || filepath.Clean(name) == "/" {
		return false
	}
	_, err := os.Lstat(filepath.Join(o.Root, name))
	return err == nil
}

// libraries are the image's folders of them.
func (o *order) libraries() string {
	var found []string
	for _, pattern := range []string{"lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", "lib/*-linux-*", "usr/lib/*-linux-*"} {
		names, err := filepath.Glob(filepath.Join(o.Root, pattern))
		if err == nil {
			found = append(found, names...)
		}
	}
	return strings.Join(found, ":")
}

// endFamily kills everything that this process has started, generation after
// generation: what loses its parent becomes a child of this one. proc is its folder
// in /proc.
func endFamily(proc *os.Root) {
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	for range 5000 {
		var pids []int
		tasks, err := fs.Glob(proc.FS(), "task/*/children")
		if err != nil {
			return
		}
		for _, task := range tasks {
			raw, err := proc.ReadFile(task)
			if err != nil {
				continue
			}
			for text := range strings.FieldsSeq(string(raw)) {
				if pid, err := strconv.Atoi(text); err == nil {
					pids = append(pids, pid)
				}
			}
		}
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		var status syscall.WaitStatus
		for {
			if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
		<-pause.C
	}
}

// noSpace is what an answer that the disk is full means without a box.
func noSpace(text string) error {
	return fault.New(fault.Failure, "sandbox.start", "", "%s", text)
}
