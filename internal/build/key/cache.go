package key

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

// settled is how old a file's last change has to be before its digest is kept.
// A younger file may change again without a new time stamp: file systems count
// in steps of up to two seconds (git calls such entries racily clean).
const settled = 2 * time.Second

// Cache remembers digests of files by what the file system says about them, as
// git's index does: path, size, modification and change time in nanoseconds,
// device and inode. The change time cannot be set by programs, so a file whose
// modification time was put back is read again. Where the system has no change
// time, nothing is remembered.
type Cache struct {
	file  string
	now   func() time.Time
	old   map[string]string // path → stamp and digest, from the file
	mutex sync.Mutex        // of what follows
	used  map[string]string // what this run has seen, for Save
	dirty bool
}

// OpenCache reads the cache in file, which need not exist. A nil now makes a
// cache that remembers nothing.
func OpenCache(file string, now func() time.Time) *Cache {
	c := &Cache{file: file, now: now, old: map[string]string{}, used: map[string]string{}}
	raw, err := sealed.Read(file)
	if err != nil || now == nil {
		return c
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		// STAMP DIGEST PATH, and paths may have spaces in them.
		if value, path, ok := strings.Cut(lines.Text(), "\t"); ok {
			c.old[path] = value
		}
	}
	return c
}

// Digest is the SHA-256 of the file's content, in hex. info is its os.Stat.
func (c *Cache) Digest(path string, info fs.FileInfo) (string, error) {
	return c.DigestBy(path, info, func() (string, error) { return hashFile(path, info) })
}

// DigestBy is Digest of a file that hash reads, when it has to be read.
func (c *Cache) DigestBy(path string, info fs.FileInfo, hash func() (string, error)) (string, error) {
	stamp, changed, ok := stampOf(info)
	// A line of the file is one path.
	ok = ok && c.now != nil && !strings.ContainsAny(path, "\n\t")
	if !ok {
		return hash()
	}
	for _, value := range []string{c.seen(path), c.old[path]} {
		if known, found := strings.CutPrefix(value, stamp+" "); found {
			c.use(path, value, false)
			return known, nil
		}
	}
	before := c.now()
	digest, err := hash()
	if err != nil {
		return "", err
	}
	again, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if s, _, _ := stampOf(again); s == stamp && before.Sub(changed) > settled {
		c.use(path, stamp+" "+digest, true)
	}
	return digest, nil
}

// seen is what this run knows about the file at path.
func (c *Cache) seen(path string) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.used[path]
}

func (c *Cache) use(path, value string, fresh bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.used[path] = value
	c.dirty = c.dirty || fresh
}

// Save keeps what this run has seen. Its error is for the curious: without the
// cache the next run only takes longer.
func (c *Cache) Save() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.now == nil || !c.dirty && len(c.used) == len(c.old) {
		return nil
	}
	var out bytes.Buffer
	for path, value := range c.used {
		out.WriteString(value + "\t" + path + "\n")
	}
	return sealed.Write(c.file, out.Bytes())
}
