// Package api is a plugin's view of its host. See ../../README.md.
package api

import "context"

// LogLevel is a level of severity.
type LogLevel int32

// Logger receives a plugin's log lines.
type Logger interface {
	IsEnabled(LogLevel) bool
	Log(context.Context, LogLevel, string)
}
