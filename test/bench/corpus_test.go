//go:build bench

package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// corpus is a folder with a Dockerfile whose image has /app/SUM: a digest over
// what RUN has seen.
type corpus struct {
	name    string
	base    string // language, see test/bases
	changed string // a file that every build takes
	tree    tree
	file    string // the Dockerfile; BASE is the base
	all     bool   // buildah and kaniko build it too, which takes more time than all else
}

// tree is the files of a context: the same bytes every time, a third of them as
// hard to compress as a program and the rest like source text.
type tree struct{ folders, files, bytes int }

// corpora are what people build: much source, stages for tools, packages of Node
// in many small files, a program of Go with a large context, many small steps,
// and stages that wait for nobody.
func corpora() []corpus {
	return []corpus{
		{
			name: "tree", base: "python", changed: "src-25/changed.txt", all: true, tree: tree{50, 100, 50e6},
			file: "FROM BASE\nWORKDIR /app\nCOPY . .\nRUN cat */*.txt | sha256sum > SUM && mkdir data\nCMD [\"cat\", \"/app/SUM\"]\n",
		},
		{
			name: "three stages", base: "java", changed: "src-05/changed.txt", tree: tree{10, 100, 20e6},
			file: `FROM BASE AS tools
WORKDIR /tools
RUN head -c 8000000 /dev/urandom > tool && head -c 400000 /dev/zero | split -a 3 -b 1000 - lib
FROM BASE AS build
WORKDIR /src
COPY . .
COPY --from=tools /tools /tools
RUN mkdir /out && cat */*.txt > /out/program && cat /src/*/*.txt | sha256sum > /out/SUM
FROM BASE
WORKDIR /app
COPY --from=build /out .
CMD ["cat", "/app/SUM"]
`,
		},
		{
			name: "Node", base: "python", changed: "src-05/changed.txt", tree: tree{10, 20, 1e6},
			file: `FROM BASE
WORKDIR /app
COPY src-00/000.txt package.json
RUN ["python3", "-c", "import os, random\nr = random.Random(1)\nfor p in range(500):\n  for f in range(40):\n    d = 'node_modules/package-%d/lib-%d' % (p, f % 4)\n    os.makedirs(d, exist_ok=True)\n    open('%s/%d.js' % (d, f), 'w').write(' '.join(str(r.randrange(99999)) for _ in range(300)))"]
COPY . .
RUN cat src-*/*.txt node_modules/*/*/*.js | sha256sum > SUM
CMD ["cat", "/app/SUM"]
`,
		},
		{
			name: "Go", base: "python", changed: "src-25/changed.txt", tree: tree{40, 50, 50e6},
			file: `FROM BASE AS build
WORKDIR /src
COPY src-00 src-00
RUN mkdir -p /modules && cp -r src-00 /modules/one && cp -r src-00 /modules/two
COPY . .
RUN mkdir /out && cat src-0*/*.txt > /out/program && cat */*.txt | sha256sum > /out/SUM
FROM scratch
COPY --from=build /out /app
`,
		},
		{name: "small steps", base: "python", changed: "src-01/changed.txt", tree: tree{4, 10, 400e3}, file: smallSteps()},
		{
			name: "independent stages", base: "python", changed: "src-05/changed.txt", tree: tree{10, 20, 2e6},
			file: independentStages(),
		},
	}
}

// smallSteps is 15 instructions that do next to nothing.
func smallSteps() string {
	var file strings.Builder
	file.WriteString("FROM BASE\nWORKDIR /app\n")
	for i := range 6 {
		fmt.Fprintf(&file, "RUN echo step %d > step-%d.txt\nCOPY src-00/00%d.txt copy-%d.txt\n", i, i, i, i)
	}
	file.WriteString("COPY src-01 last\nRUN cat *.txt last/*.txt | sha256sum > SUM\nRUN rm step-1.txt\nCMD [\"cat\", \"/app/SUM\"]\n")
	return file.String()
}

// independentStages is three stages that compute something each.
func independentStages() string {
	file := ""
	for i := range 3 {
		file += fmt.Sprintf("FROM BASE AS stage-%d\nWORKDIR /work\nCOPY . .\nRUN for i in 1 2 3 4 5 6 7 8; do cat */*.txt; done > all && sha256sum all > SUM-%d\n", i, i)
	}
	file += "FROM BASE\nWORKDIR /app\n"
	for i := range 3 {
		file += fmt.Sprintf("COPY --from=stage-%d /work/SUM-%d .\n", i, i)
	}
	return file + "RUN cat SUM-* > SUM\nCMD [\"cat\", \"/app/SUM\"]\n"
}

// write makes the folder.
func (c corpus) write(t *testing.T, dir, base string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the function returns an error when it has no image to push func return if err != nil { } := range for string int context layer")
	size := c.tree.bytes / c.tree.folders / c.tree.files
	for i := range c.tree.folders {
		folder := filepath.Join(dir, fmt.Sprintf("src-%02d", i))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range c.tree.files {
			content := make([]byte, 0, size+20)
			for len(content) < size {
				if j%3 == 0 {
					content = append(content, byte(random.Uint32()))
				} else {
					content = append(append(content, words[random.IntN(len(words))]...), ' ')
				}
			}
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%03d.txt", j)), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := strings.ReplaceAll(c.file, "BASE", base)
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
}
