// Package ssm has the shape of the AWS client that Traefik names; no call is made.
package ssm

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

var errNoAWS = errors.New("built without AWS")

// Options configures a client.
type Options struct{}

// Client calls nothing.
type Client struct{}

// NewFromConfig returns a client that refuses.
func NewFromConfig(aws.Config, ...func(*Options)) *Client { return &Client{} }

// DescribeInstanceInformationInput is the request.
type DescribeInstanceInformationInput struct {
	Filters []types.InstanceInformationStringFilter
}

// DescribeInstanceInformationOutput is the response.
type DescribeInstanceInformationOutput struct{ InstanceInformationList []types.InstanceInformation }

// DescribeInstanceInformationPaginator refuses at the first page.
type DescribeInstanceInformationPaginator struct{ done bool }

// NewDescribeInstanceInformationPaginator returns a paginator.
func NewDescribeInstanceInformationPaginator(*Client, *DescribeInstanceInformationInput) *DescribeInstanceInformationPaginator {
	return &DescribeInstanceInformationPaginator{}
}

// HasMorePages is true until the first page was asked for.
func (p *DescribeInstanceInformationPaginator) HasMorePages() bool { return !p.done }

// NextPage refuses.
func (p *DescribeInstanceInformationPaginator) NextPage(context.Context, ...func(*Options)) (*DescribeInstanceInformationOutput, error) {
	p.done = true
	return nil, errNoAWS
}
