package main

import (
	"context"
	"fmt"
	"strings"
)

// filler marks devices that are only there to be many.
const filler = "Filler"

// fill makes the table of devices n rows long by copies under other keys, so that what a heartbeat costs can be seen not to depend on it.
func (b *benchRun) fill(ctx context.Context) error {
	pool, driver, err := openPlain(b.Database)
	if err != nil {
		return err
	}
	defer pool.Close()
	random, key := "RANDOM_BYTES(16)", "HEX(RANDOM_BYTES(16))"
	if driver == "sqlite" {
		random, key = "randomblob(16)", "hex(randomblob(16))"
	}
	found, err := pool.QueryContext(ctx, "SELECT * FROM devices WHERE 1 = 0")
	if err != nil {
		return err
	}
	columns, err := found.Columns()
	_ = found.Close()
	if err != nil {
		return err
	}
	values := make([]string, len(columns))
	for i, column := range columns {
		switch values[i] = column; column {
		case "id":
			values[i] = random
		case "device_key", "serial_number":
			values[i] = key
		case "manufacturer":
			values[i] = "'" + filler + "'"
		case "account_id":
			values[i] = "NULL"
		}
	}
	insert := "INSERT INTO devices (" + strings.Join(columns, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM devices LIMIT "
	for have := b.Clients; have < b.Devices; {
		more := min(have, b.Devices-have, 100_000)
		if _, err := pool.ExecContext(ctx, fmt.Sprint(insert, more)); err != nil {
			return fmt.Errorf("fill the table of devices: %w", err)
		}
		have += more
	}
	return nil
}
