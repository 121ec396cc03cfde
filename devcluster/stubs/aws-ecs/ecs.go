// Package ecs has the shape of the AWS client that Traefik names; no call is made.
package ecs

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

var errNoAWS = errors.New("built without AWS")

// Options configures a client.
type Options struct{}

// Client calls nothing.
type Client struct{}

// NewFromConfig returns a client that refuses.
func NewFromConfig(aws.Config, ...func(*Options)) *Client { return &Client{} }

// ListClustersInput is the request.
type ListClustersInput struct{}

// ListClustersOutput is the response.
type ListClustersOutput struct{ ClusterArns []string }

// ListClustersPaginator refuses at the first page.
type ListClustersPaginator struct{ done bool }

// NewListClustersPaginator returns a paginator.
func NewListClustersPaginator(*Client, *ListClustersInput) *ListClustersPaginator {
	return &ListClustersPaginator{}
}

// HasMorePages is true until the first page was asked for.
func (p *ListClustersPaginator) HasMorePages() bool { return !p.done }

// NextPage refuses.
func (p *ListClustersPaginator) NextPage(context.Context, ...func(*Options)) (*ListClustersOutput, error) {
	p.done = true
	return nil, errNoAWS
}

// ListTasksInput is the request.
type ListTasksInput struct {
	Cluster       *string
	DesiredStatus types.DesiredStatus
}

// ListTasksOutput is the response.
type ListTasksOutput struct{ TaskArns []string }

// ListTasksPaginator refuses at the first page.
type ListTasksPaginator struct{ done bool }

// NewListTasksPaginator returns a paginator.
func NewListTasksPaginator(*Client, *ListTasksInput) *ListTasksPaginator {
	return &ListTasksPaginator{}
}

// HasMorePages is true until the first page was asked for.
func (p *ListTasksPaginator) HasMorePages() bool { return !p.done }

// NextPage refuses.
func (p *ListTasksPaginator) NextPage(context.Context, ...func(*Options)) (*ListTasksOutput, error) {
	p.done = true
	return nil, errNoAWS
}

// DescribeTasksInput is the request.
type DescribeTasksInput struct {
	Cluster *string
	Tasks   []string
}

// DescribeTasksOutput is the response.
type DescribeTasksOutput struct{ Tasks []types.Task }

// DescribeTasks refuses.
func (*Client) DescribeTasks(context.Context, *DescribeTasksInput, ...func(*Options)) (*DescribeTasksOutput, error) {
	return nil, errNoAWS
}

// DescribeContainerInstancesInput is the request.
type DescribeContainerInstancesInput struct {
	Cluster            *string
	ContainerInstances []string
}

// DescribeContainerInstancesOutput is the response.
type DescribeContainerInstancesOutput struct{ ContainerInstances []types.ContainerInstance }

// DescribeContainerInstances refuses.
func (*Client) DescribeContainerInstances(context.Context, *DescribeContainerInstancesInput, ...func(*Options)) (*DescribeContainerInstancesOutput, error) {
	return nil, errNoAWS
}

// DescribeTaskDefinitionInput is the request.
type DescribeTaskDefinitionInput struct{ TaskDefinition *string }

// DescribeTaskDefinitionOutput is the response.
type DescribeTaskDefinitionOutput struct{ TaskDefinition *types.TaskDefinition }

// DescribeTaskDefinition refuses.
func (*Client) DescribeTaskDefinition(context.Context, *DescribeTaskDefinitionInput, ...func(*Options)) (*DescribeTaskDefinitionOutput, error) {
	return nil, errNoAWS
}
