package models

// StockState is where a magic screen is in its life.
type StockState string

// The stock states of the schema.
const (
	Stock     StockState = "STOCK"     // where registerDevice leaves it
	Allocated StockState = "ALLOCATED" // an order names it, or it has found its order by its line
	Active    StockState = "ACTIVE"    // it has what its order says
	Returned  StockState = "RETURNED"  // it was bound, and is no more
	Stolen    StockState = "STOLEN"    // nobody is served by it
)

// StockMove is what happens to a magic screen.
type StockMove string

// The moves. The first two are an order's, the next three a binding's, the rest an operator's.
const (
	OrderScreen    StockMove = "order"    // an account names its serial number
	WithdrawScreen StockMove = "withdraw" // it does so no more, and the screen was never bound
	BindScreen     StockMove = "bind"
	ConfirmScreen  StockMove = "confirm"
	UnbindScreen   StockMove = "unbind"
	RestockScreen  StockMove = "restock"
	ReturnScreen   StockMove = "return"
	StealScreen    StockMove = "steal"
)

// StockMoves is the state table of a magic screen: in which states a move is possible and where it leads. In any other state it changes nothing.
var StockMoves = map[StockMove]struct {
	From []StockState
	To   StockState
}{
	OrderScreen:    {[]StockState{Stock, Returned}, Allocated},
	WithdrawScreen: {[]StockState{Allocated}, Stock},
	BindScreen:     {[]StockState{Stock, Returned}, Allocated},
	ConfirmScreen:  {[]StockState{Stock, Allocated, Active, Returned}, Active},
	UnbindScreen:   {[]StockState{Allocated, Active}, Returned},
	RestockScreen:  {[]StockState{Allocated, Active, Returned, Stolen}, Stock},
	ReturnScreen:   {[]StockState{Stock, Allocated, Active, Stolen}, Returned},
	StealScreen:    {[]StockState{Stock, Allocated, Active, Returned}, Stolen},
}

// Screen is what is remembered of a magic screen that has asked for its order (i4.md B.4).
type Screen struct {
	DeviceID ID `gorm:"primaryKey"`
	// Fingerprint and Issuer are those of the certificate that it last asked with; empty if it had none.
	Fingerprint string
	Issuer      string
	// Noted is the code of the event about the last refusal, so that what is repeated with each heartbeat is told once; NotedAt is when.
	Noted   string
	NotedAt Time
	// Resets counts its returns from the factory state, while it was bound, since ResetsSince.
	Resets      int
	ResetsSince Time
}
