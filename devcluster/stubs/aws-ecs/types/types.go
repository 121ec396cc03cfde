// Package types holds the ECS shapes that Traefik names; see ../../README.md.
package types

// TransportProtocol is tcp or udp.
type TransportProtocol string

// The protocols.
const (
	TransportProtocolTcp TransportProtocol = "tcp"
	TransportProtocolUdp TransportProtocol = "udp"
)

// HealthStatus is a task's health.
type HealthStatus string

// The states of health.
const (
	HealthStatusHealthy   HealthStatus = "HEALTHY"
	HealthStatusUnhealthy HealthStatus = "UNHEALTHY"
)

// DesiredStatus is the state a task should have.
type DesiredStatus string

// DesiredStatusRunning is a running task.
const DesiredStatusRunning DesiredStatus = "RUNNING"

// NetworkMode is a task's network mode.
type NetworkMode string

// NetworkModeAwsvpc gives a task its own interface.
const NetworkModeAwsvpc NetworkMode = "awsvpc"

// PortMapping maps a container's port.
type PortMapping struct {
	ContainerPort, HostPort *int32
	Protocol                TransportProtocol
}

// NetworkBinding is a port mapping in force.
type NetworkBinding struct {
	ContainerPort, HostPort *int32
	Protocol                TransportProtocol
}

// NetworkInterface is a container's own interface.
type NetworkInterface struct{ PrivateIpv4Address, Ipv6Address *string }

// ContainerDefinition is a container as defined.
type ContainerDefinition struct {
	Name         *string
	DockerLabels map[string]string
	PortMappings []PortMapping
}

// Container is a container as running.
type Container struct {
	Name              *string
	NetworkInterfaces []NetworkInterface
	NetworkBindings   []NetworkBinding
}

// Attachment is a resource given to a task.
type Attachment struct{}

// Task is one running task.
type Task struct {
	TaskArn, TaskDefinitionArn, ContainerInstanceArn, Group, LastStatus *string

	HealthStatus HealthStatus
	Attachments  []Attachment
	Containers   []Container
}

// TaskDefinition is a task as defined.
type TaskDefinition struct {
	NetworkMode          NetworkMode
	ContainerDefinitions []ContainerDefinition
}

// ContainerInstance is a machine that runs tasks.
type ContainerInstance struct{ ContainerInstanceArn, Ec2InstanceId *string }
