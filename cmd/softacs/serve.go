package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

type serveCommand struct {
	settings
	PrintConfig bool `help:"Print the effective configuration, secrets redacted, and end."`
}

// Run serves until ctx ends.
func (cmd serveCommand) Run(ctx context.Context) error {
	c, err := cmd.load()
	if err != nil {
		return err
	}
	if cmd.PrintConfig {
		return printConfig(c)
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	a, err := start(ctx, c, models.SystemClock{})
	if err != nil {
		return err
	}
	fmt.Println(a.readyLine())
	<-ctx.Done()
	return a.stop(ctx)
}

type migrateCommand struct{ settings }

// Run brings the schema up to date. It needs to know the database only.
func (cmd migrateCommand) Run(ctx context.Context) error {
	c, err := cmd.read()
	if err != nil {
		return err
	}
	return store.Migrate(ctx, c.Database)
}
