// Package ec2 has the shape of the AWS client that Traefik names; no call is made.
package ec2

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

var errNoAWS = errors.New("built without AWS")

// Options configures a client.
type Options struct{}

// Client calls nothing.
type Client struct{}

// NewFromConfig returns a client that refuses.
func NewFromConfig(aws.Config, ...func(*Options)) *Client { return &Client{} }

// DescribeInstancesInput is the request.
type DescribeInstancesInput struct{ InstanceIds []string }

// DescribeInstancesOutput is the response.
type DescribeInstancesOutput struct{ Reservations []types.Reservation }

// DescribeInstancesPaginator refuses at the first page.
type DescribeInstancesPaginator struct{ done bool }

// NewDescribeInstancesPaginator returns a paginator.
func NewDescribeInstancesPaginator(*Client, *DescribeInstancesInput) *DescribeInstancesPaginator {
	return &DescribeInstancesPaginator{}
}

// HasMorePages is true until the first page was asked for.
func (p *DescribeInstancesPaginator) HasMorePages() bool { return !p.done }

// NextPage refuses.
func (p *DescribeInstancesPaginator) NextPage(context.Context, ...func(*Options)) (*DescribeInstancesOutput, error) {
	p.done = true
	return nil, errNoAWS
}
