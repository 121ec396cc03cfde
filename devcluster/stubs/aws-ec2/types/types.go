// Package types holds the EC2 shapes that Traefik names; see ../../README.md.
package types

// InstanceStateName is the state of an instance.
type InstanceStateName string

// InstanceStateNameRunning is a running instance.
const InstanceStateNameRunning InstanceStateName = "running"

// InstanceState wraps the name.
type InstanceState struct{ Name InstanceStateName }

// Instance is one machine.
type Instance struct {
	InstanceId       *string
	PrivateIpAddress *string
	State            *InstanceState
}

// Reservation groups instances.
type Reservation struct{ Instances []Instance }
