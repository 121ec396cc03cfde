// Package log is where an ACME client would log to.
package log

// StdLogger is the standard library's logger.
type StdLogger interface {
	Fatal(args ...any)
	Fatalln(args ...any)
	Fatalf(format string, args ...any)
	Print(args ...any)
	Println(args ...any)
	Printf(format string, args ...any)
}

// Logger receives nothing.
var Logger StdLogger
