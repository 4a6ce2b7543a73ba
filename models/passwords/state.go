package passwords

import (
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

// StateOf is what the north sees of the verifiers of one account at this point of the transaction (resolutions 1). It asks nobody's permission:
// it is for events.
func StateOf(tx *store.Tx, account models.ID) (models.PasswordState, error) {
	found, err := states(tx, []models.ID{account})
	return found[account].Password, err
}
