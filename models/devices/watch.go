package devices

import "time"

// Guard is when so many devices seem gone at once that it is rather the platform that does not hear them (i4.md B.6).
type Guard struct {
	Percent int
	Minimum int
	Freeze  time.Duration
}

type watched struct{}
