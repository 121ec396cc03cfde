//go:build !unix

package cli

import "os"

func hangup() os.Signal { return os.Interrupt }
