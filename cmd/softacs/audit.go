package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/events"
	"github.com/softacs/softacs/models/store"
)

// auditCommand is what is done about the audit log.
type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Check that no entry was changed or taken away."`
}

type auditVerifyCommand struct {
	settings
	Head string `help:"Head that an earlier run printed: the log must still hold it." placeholder:"SEQUENCE:HASH"`
}

// Run walks the chain and prints its head. It fails at the first entry that does not hold.
func (cmd auditVerifyCommand) Run(ctx context.Context) error {
	var kept events.AuditHead
	if cmd.Head != "" {
		var err error
		if kept, err = events.ParseAuditHead(cmd.Head); err != nil {
			return fmt.Errorf("--head: %w", err)
		}
	}
	return cmd.withStore(ctx, func(s *store.Store) error { return verifyAudit(ctx, s, kept, os.Stdout) })
}

func verifyAudit(ctx context.Context, s *store.Store, kept events.AuditHead, out io.Writer) error {
	held, err := events.New(s, models.SystemClock{}).VerifyAudit(ctx, kept)
	if _, e := fmt.Fprintf(out, "entries that hold: %d\nhead: %s\n", held.Sequence, held); err == nil {
		err = e
	}
	return err
}
