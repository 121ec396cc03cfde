// Package progress is the one way in which anything that takes time reports how it
// goes on: builds, transfers, deploys, pods. internal/term shows it to people.
package progress

// Reporter receives what an operation reports. Implementations are safe for
// concurrent use: several platforms are built and several layers are sent at a time.
type Reporter interface {
	// Start announces something that takes a while, e.g. "compile for linux/arm64".
	// total is its size in bytes, 0 where there is nothing to count. Exactly one call
	// of the Task's Done, Fail or Drop follows.
	Start(label string, total int64) Task

	Step(text string)   // something has been achieved
	Note(text string)   // worth knowing
	Warn(text string)   // probably not what the user wants
	Debug(text string)  // shown on request only
	Output(text string) // what a toolchain or a pod prints, unchanged
}

// Task is one thing under way.
type Task interface {
	Update(label string) // what it is doing or waiting for now
	Add(n int64)         // n more bytes are done
	Done(text string)    // it is done; text says what has been achieved
	Fail()               // it has failed; the error itself is returned to the caller
	Drop()               // it ends with nothing to say
}

// End ends task with Done(text), or with Fail if there is an error.
func End(task Task, text string, err error) {
	if err != nil {
		task.Fail()
		return
	}
	task.Done(text)
}

// Nop returns a Reporter that drops everything.
func Nop() Reporter { return nop{} }

type nop struct{}

func (nop) Start(string, int64) Task { return nop{} }
func (nop) Step(string)              {}
func (nop) Note(string)              {}
func (nop) Warn(string)              {}
func (nop) Debug(string)             {}
func (nop) Output(string)            {}
func (nop) Update(string)            {}
func (nop) Add(int64)                {}
func (nop) Done(string)              {}
func (nop) Fail()                    {}
func (nop) Drop()                    {}
