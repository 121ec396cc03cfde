package golang

import (
	"fmt"
	"strings"
)

// bind is the file of the wrapper that names the user's function.
func bind(p *pkg) []byte {
	value, create, instance := "f.Handle", "", ""
	if p.style == instanced {
		create = "\tinstance := f.New()\n"
		value, instance = "instance.Handle", ", instance: instance"
	}
	imports := ""
	if p.shape != nil {
		imports = "\t\"context\"\n"
		value = "eventHandler(" + p.shape.adapt(value) + ")"
	}
	return fmt.Appendf(nil, `package main

import (
%s	"log"

	f %q
)

func main() {
	log.SetFlags(0)
%s	if err := (function{handle: %s%s}).serve(); err != nil {
		log.Fatal(err)
	}
}
`, imports, p.importPath, create, value, instance)
}

// shape is the signature of a function of events: func(context, event), where
// either may be missing, to nothing, an error, *event.Event or both. It is one
// of the twelve that func's middleware knows.
type shape struct {
	context, event    bool // of the parameters
	answers, mayError bool // of the results
}

// adapt wraps handle in the one signature that the wrapper calls.
func (s shape) adapt(handle string) string {
	var args []string
	if s.context {
		args = append(args, "ctx")
	}
	if s.event {
		args = append(args, "in")
	}
	var body strings.Builder
	message := "_"
	if s.event {
		message = "m"
		body.WriteString("\t\tin, err := toEvent(m)\n\t\tif err != nil {\n\t\t\treturn nil, err\n\t\t}\n")
	}
	call := handle + "(" + strings.Join(args, ", ") + ")"
	switch {
	case s.answers && s.mayError:
		body.WriteString("\t\tout, err := " + call + "\n\t\treturn fromEvent(out, err)\n")
	case s.answers:
		body.WriteString("\t\treturn fromEvent(" + call + ", nil)\n")
	case s.mayError && s.event:
		body.WriteString("\t\treturn fromEvent(nil, " + call + ")\n")
	case s.mayError:
		body.WriteString("\t\treturn nil, " + call + "\n")
	default:
		body.WriteString("\t\t" + call + "\n\t\treturn nil, nil\n")
	}
	return "func(ctx context.Context, " + message + " message) (*message, error) {\n" + body.String() + "\t}"
}

// sdkFile joins the wrapper to the CloudEvents SDK of the user's module, by two
// of its packages that need nothing which the event's own package does not.
const sdkFile = `package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	"github.com/cloudevents/sdk-go/v2/types"
)

func toEvent(m message) (event.Event, error) {
	e := event.New(m.attributes["specversion"])
	for name, value := range m.attributes {
		switch name {
		case "specversion":
		case "id":
			e.SetID(value)
		case "source":
			e.SetSource(value)
		case "type":
			e.SetType(value)
		case "subject":
			e.SetSubject(value)
		case "dataschema", "schemaurl":
			e.SetDataSchema(value)
		case "datacontenttype":
			e.SetDataContentType(value)
		case "time":
			at, err := types.ParseTime(value)
			if err != nil {
				return e, refuse(http.StatusBadRequest, "not a CloudEvent: time: %w", err)
			}
			e.SetTime(at)
		default:
			e.SetExtension(name, value)
		}
	}
	e.DataEncoded = m.data
	if err := e.Validate(); err != nil {
		return e, refuse(http.StatusBadRequest, "not a CloudEvent: %w", err)
	}
	return e, nil
}

// fromEvent is the answer. As with the SDK's own client, an event gets an id and
// a time if it has none, and a result that means success is no error.
func fromEvent(e *event.Event, err error) (*message, error) {
	if protocol.IsACK(err) {
		err = nil
	}
	if e == nil {
		return nil, err
	}
	if e.ID() == "" {
		id := make([]byte, 16)
		if _, err := rand.Read(id); err != nil {
			return nil, err
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a UUID of version 4
		e.SetID(fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	}
	if e.Time().IsZero() {
		e.SetTime(time.Now())
	}
	if err := e.Validate(); err != nil {
		return nil, fmt.Errorf("the answer is not a CloudEvent: %w", err)
	}
	m := &message{data: e.Data(), attributes: map[string]string{
		"specversion": e.SpecVersion(), "id": e.ID(), "source": e.Source(), "type": e.Type(), "time": types.FormatTime(e.Time()),
	}}
	schema := "dataschema"
	if e.SpecVersion() == event.CloudEventsVersionV03 {
		schema = "schemaurl"
	}
	for name, value := range map[string]string{"subject": e.Subject(), schema: e.DataSchema(), "datacontenttype": e.DataContentType()} {
		if value != "" {
			m.attributes[name] = value
		}
	}
	for name, value := range e.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			return nil, fmt.Errorf("the answer's attribute %s: %w", name, err)
		}
		m.attributes[name] = text
	}
	return m, err
}
`
