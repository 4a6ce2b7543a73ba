package smpp

import (
	"regexp"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
)

// Kinds of deliver_sm (esm_class, SMPP 3.4 5.2.12).
const (
	kindMask         = 0x3C
	kindReceipt      = 0x04
	kindIntermediate = 0x20
)

// isReceipt tells a receipt from a message of a subscriber. The text decides nothing: subscribers write what they like.
func (m *SM) isReceipt() bool {
	kind := m.ESMClass & kindMask
	return kind == kindReceipt || kind == kindIntermediate || m.ReceiptedMessageID != ""
}

// The text of a receipt (SMPP 3.4 appendix B): "id:IIIIIIIIII sub:SSS dlvrd:DDD submit date:… done date:… stat:DDDDDDD err:E Text: …".
var (
	receiptID   = regexp.MustCompile(`(?i)(?:^|\s)id:(\S{1,64})`)
	receiptStat = regexp.MustCompile(`(?i)\sstat:([A-Z]{1,16})`)
	receiptErr  = regexp.MustCompile(`(?i)\serr:([0-9A-Z]{1,8})`)
	receiptText = regexp.MustCompile(`(?i)\stext:`)
)

// words are the words of message_state (5.2.28) and of the text of receipts.
var words = [...]string{1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN", 8: "REJECTD"}

// ended are the words that end a message. ACCEPTD is not among them: centres say it of what they took over, and the end follows.
var ended = map[string]models.SmsState{
	"DELIVRD": models.SmsDelivered, "EXPIRED": models.SmsExpired, "DELETED": models.SmsUndeliverable, "UNDELIV": models.SmsUndeliverable,
	"UNKNOWN": models.SmsUndeliverable, "REJECTD": models.SmsRejected,
}

// report reads a receipt. Optional parameters are believed before the text; a state that does not end the message is SUBMITTED.
func (m *SM) report() sms.Report {
	text, _ := m.text() // what is no text has no fields
	if end := receiptText.FindStringIndex(text); end != nil {
		text = text[:end[0]] // what follows is the subscriber's message
	}
	field := func(pattern *regexp.Regexp) string {
		if found := pattern.FindStringSubmatch(text); found != nil {
			return found[1]
		}
		return ""
	}
	r := sms.Report{ProviderID: m.ReceiptedMessageID, From: m.Source.Digits, State: models.SmsSubmitted}
	if r.ProviderID == "" {
		r.ProviderID = field(receiptID)
	}
	word := strings.ToUpper(field(receiptStat))
	if n := int(m.MessageState); n > 0 && n < len(words) {
		word = words[n]
	}
	if m.ESMClass&kindMask != kindIntermediate {
		if state, ok := ended[word]; ok {
			r.State = state
		}
	}
	r.ProviderStatus = word
	if code := field(receiptErr); strings.Trim(code, "0") != "" {
		r.ProviderStatus += " " + code
	}
	return r
}
