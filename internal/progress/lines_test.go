package progress_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress"
)

func TestLinesAreTheContract(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	l := progress.NewLines(&out, func() time.Time { return now })
	task := l.Start("pushing <layer>", 1000)
	task.Add(100) // too early for a line of its own
	now = now.Add(time.Second)
	task.Add(150)
	task.Add(-50)
	task.Update("pushing again")
	task.Update("pushing again")
	task.Done("pushed")
	l.Start("look", 0).Drop()
	l.Start("build", 0).Fail()
	l.Step("s")
	l.Note("n")
	l.Warn("w")
	l.Debug("d")
	l.Output("\x1b[31mred\x1b[0m \xff\nmore")
	l.Fail(progress.Failure{Reason: "usage", Message: "no", Hint: "do", ExitCode: 2})
	const head, later = `{"apiVersion":"kn-lite.dev/v1","kind":"Event","time":"2026-01-02T02:04:05Z",`, `{"apiVersion":"kn-lite.dev/v1","kind":"Event","time":"2026-01-02T02:04:06Z",`
	want := head + `"type":"start","task":1,"label":"pushing <layer>","total":1000}
` + later + `"type":"progress","task":1,"label":"pushing <layer>","bytes":250,"total":1000}
` + later + `"type":"update","task":1,"label":"pushing again","bytes":200,"total":1000}
` + later + `"type":"done","task":1,"label":"pushing again","bytes":200,"total":1000,"text":"pushed"}
` + later + `"type":"start","task":2,"label":"look"}
` + later + `"type":"drop","task":2,"label":"look"}
` + later + `"type":"start","task":3,"label":"build"}
` + later + `"type":"fail","task":3,"label":"build"}
` + later + `"type":"step","text":"s"}
` + later + `"type":"note","text":"n"}
` + later + `"type":"warning","text":"w"}
` + later + `"type":"debug","text":"d"}
` + later + `"type":"output","text":"\u001b[31mred\u001b[0m \ufffd\nmore"}
` + later + `"type":"error","error":{"reason":"usage","message":"no","hint":"do","exitCode":2}}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// Several layers are sent at a time: each line stays one, and ids are not shared.
func TestLinesOfManyTasks(t *testing.T) {
	reader, writer := io.Pipe()
	l := progress.NewLines(writer, time.Now)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			task := l.Start(fmt.Sprintf("layer %d", i), 100)
			for range 10 {
				task.Add(10)
			}
			task.Done(strings.Repeat("x", 5000))
		})
	}
	go func() {
		wg.Wait()
		writer.Close()
	}()
	decoder := json.NewDecoder(reader)
	labels, ended := map[int]string{}, 0
	for {
		var e progress.Event
		err := decoder.Decode(&e)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e.Type {
		case "start":
			if labels[e.Task] != "" {
				t.Errorf("task %d starts twice", e.Task)
			}
			labels[e.Task] = e.Label
		case "done":
			ended++
			if labels[e.Task] != e.Label || e.Bytes != 100 {
				t.Errorf("%+v belongs to %q", e, labels[e.Task])
			}
		}
	}
	if len(labels) != 20 || ended != 20 {
		t.Errorf("%d tasks, %d ended", len(labels), ended)
	}
}
