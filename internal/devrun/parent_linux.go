package devrun

import "syscall"

// endWithParent makes the system kill the program when kn-lite is killed.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGKILL }
