// Package types holds the SSM shapes that Traefik names; see ../../README.md.
package types

// InstanceInformation is one managed machine.
type InstanceInformation struct {
	InstanceId *string
	IPAddress  *string
}

// InstanceInformationStringFilter selects machines.
type InstanceInformationStringFilter struct {
	Key    *string
	Values []string
}
