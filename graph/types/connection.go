package types

import (
	"context"

	"github.com/softacs/softacs/models"
)

// PageInfo tells where a page is in its list. An empty cursor is null.
type PageInfo struct {
	HasNextPage, HasPreviousPage bool
	StartCursor, EndCursor       string
}

// Count counts the rows behind a connection when the field is asked for; nil when that would need a scan (resolutions 76).
type Count func(context.Context) (*int64, error)

// TotalCount calls it.
func (c Count) TotalCount(ctx context.Context) (*int64, error) { return c(ctx) }

// AccountConnection is a page of accounts.
type AccountConnection struct {
	Edges    []*AccountEdge
	Nodes    []*models.Account
	PageInfo *PageInfo
	Count
}

// AccountEdge is an account at its place in a list.
type AccountEdge struct {
	Cursor string
	Node   *models.Account
}

// DeviceConnection is a page of devices.
type DeviceConnection struct {
	Edges    []*DeviceEdge
	Nodes    []*models.Device
	PageInfo *PageInfo
	Count
}

// DeviceEdge is a device at its place in a list.
type DeviceEdge struct {
	Cursor string
	Node   *models.Device
}
