// Package labsms has the SMS senders of lab mode: Log writes each message to the log, File appends it to a file that a test or a person reads.
//
// They own the form of a line. They refuse to know the outbox: they implement sms.Sender. Both show the body in clear, which is their purpose
// and why nothing but lab mode may choose them.
package labsms

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
)

// Log sends a message to the log.
type Log struct{ Logger *slog.Logger }

// Send logs the message; it always arrives.
func (l Log) Send(ctx context.Context, m sms.Outgoing) (sms.Receipt, error) {
	l.Logger.InfoContext(ctx, "sms", "to", m.To.E164(), "text", m.Text.Reveal(), "purpose", m.Purpose)
	return sms.Receipt{State: models.SmsDelivered, ProviderStatus: "log"}, nil
}

// File sends a message to the end of a file, one JSON object a line: {"to","text","purpose","at"}.
type File struct{ Path string }

type line struct {
	To      string            `json:"to"`
	Text    string            `json:"text"`
	Purpose models.SmsPurpose `json:"purpose"`
	At      models.Time       `json:"at"`
}

// Send appends the line with a single write, so that a reader never sees two messages mixed. Opening the file each time lets it be moved away.
func (f File) Send(_ context.Context, m sms.Outgoing) (sms.Receipt, error) {
	text, err := json.Marshal(line{To: m.To.E164(), Text: m.Text.Reveal(), Purpose: m.Purpose, At: m.At})
	if err != nil {
		return sms.Receipt{}, err
	}
	file, err := os.OpenFile(f.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return sms.Receipt{}, fmt.Errorf("open the file of messages: %w", err)
	}
	n, err := file.Write(append(text, '\n'))
	closed := file.Close()
	switch {
	case err != nil && n == 0:
		return sms.Receipt{}, fmt.Errorf("append to the file of messages: %w", err)
	case err != nil || closed != nil:
		return sms.Receipt{State: models.SmsUndeliverable, ProviderStatus: "torn"}, nil // a part of it may have been read
	}
	return sms.Receipt{State: models.SmsDelivered, ProviderStatus: "file"}, nil
}
