package types

import "github.com/softacs/softacs/models/desk"

// Line is a line of a timeline at its place.
type Line struct {
	desk.Line
	Cursor string
}
