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

// StockMoves is the state table of a magic screen: which move is possible in which state and where it leads.
var StockMoves = map[StockState]map[StockMove]StockState{
	Stock: {OrderScreen: Allocated, BindScreen: Allocated, ReturnScreen: Returned, StealScreen: Stolen},
	Allocated: {
		WithdrawScreen: Stock, BindScreen: Allocated, ConfirmScreen: Active, UnbindScreen: Returned,
		RestockScreen: Stock, ReturnScreen: Returned, StealScreen: Stolen,
	},
	Active:   {BindScreen: Active, ConfirmScreen: Active, UnbindScreen: Returned, RestockScreen: Stock, ReturnScreen: Returned, StealScreen: Stolen},
	Returned: {OrderScreen: Allocated, BindScreen: Allocated, RestockScreen: Stock, StealScreen: Stolen},
	Stolen:   {RestockScreen: Stock, ReturnScreen: Returned},
}

// From lists the states in which the move is possible.
func (m StockMove) From() (states []StockState) {
	for _, s := range []StockState{Stock, Allocated, Active, Returned, Stolen} {
		if _, possible := StockMoves[s][m]; possible {
			states = append(states, s)
		}
	}
	return states
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
