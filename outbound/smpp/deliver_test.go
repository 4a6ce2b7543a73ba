package smpp_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/sms"
	"github.com/softacs/softacs/models/store/storetest"
	"github.com/softacs/softacs/outbound/smpp"
	"github.com/softacs/softacs/outbound/smpp/smpptest"
)

// deliver delivers m and checks what it is answered with.
func (l *link) deliver(m *smpp.SM, want smpp.Status) {
	l.Helper()
	if status, err := l.centre.Deliver(m); err != nil || status != want {
		l.Errorf("answered %s, %v; want %s", status, err, want)
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	text := func(text string) *smpp.SM {
		return &smpp.SM{ESMClass: 0x04, Source: smpp.Address{Digits: "13800138000"}, Message: models.Secret(text)}
	}
	full := "id:0001715004 sub:001 dlvrd:001 submit date:2601050200 done date:2601050201 stat:DELIVRD err:000 text:id:7 stat:REJECTD err:9"
	report := func(id string, state models.SmsState, word string) sms.Report {
		return sms.Report{ProviderID: id, From: "13800138000", State: state, ProviderStatus: word}
	}
	ucs2 := text("\x00i\x00d\x00:\x005\x00 \x00s\x00t\x00a\x00t\x00:\x00E\x00X\x00P\x00I\x00R\x00E\x00D")
	ucs2.DataCoding = 8
	option := text("")
	option.ReceiptedMessageID, option.MessageState = "1A2B3C", 5
	both := text(full)
	both.ReceiptedMessageID = "1A2B3C"
	plain := &smpp.SM{ReceiptedMessageID: "1", MessageState: 2, Source: smpp.Address{Digits: "13800138000"}} // no esm_class
	notYet := text(full)
	notYet.ESMClass = 0x20
	for name, c := range map[string]struct {
		sm   *smpp.SM
		want sms.Report
	}{
		"as in appendix B":     {text(full), report("0001715004", models.SmsDelivered, "DELIVRD")},
		"undeliverable":        {text("id:a-1 sub:001 dlvrd:000 stat:UNDELIV err:011"), report("a-1", models.SmsUndeliverable, "UNDELIV 011")},
		"expired":              {text("ID:1 STAT:EXPIRED ERR:0"), report("1", models.SmsExpired, "EXPIRED")},
		"deleted":              {text("id:1 stat:DELETED"), report("1", models.SmsUndeliverable, "DELETED")},
		"unknown":              {text("id:1 stat:UNKNOWN"), report("1", models.SmsUndeliverable, "UNKNOWN")},
		"rejected":             {text("id:1 stat:REJECTD err:0B"), report("1", models.SmsRejected, "REJECTD 0B")},
		"on its way":           {text("id:1 stat:ENROUTE"), report("1", models.SmsSubmitted, "ENROUTE")},
		"accepted":             {text("id:1 stat:ACCEPTD"), report("1", models.SmsSubmitted, "ACCEPTD")},
		"a word of its own":    {text("id:1 stat:BUFFRED"), report("1", models.SmsSubmitted, "BUFFRED")},
		"nothing to read":      {text("hello"), report("", models.SmsSubmitted, "")},
		"UCS-2":                {ucs2, report("5", models.SmsExpired, "EXPIRED")},
		"optional parameters":  {option, report("1A2B3C", models.SmsUndeliverable, "UNDELIV")},
		"both":                 {both, report("1A2B3C", models.SmsDelivered, "DELIVRD")},
		"an ordinary class":    {plain, report("1", models.SmsDelivered, "DELIVRD")},
		"an intermediate note": {notYet, report("0001715004", models.SmsSubmitted, "DELIVRD")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := connect(t, smpptest.Config{}, nil)
			l.deliver(c.sm, smpp.OK)
			if reports, texts := l.heard.all(); len(reports) != 1 || reports[0] != c.want || len(texts) != 0 {
				t.Errorf("reported %+v, want %+v", reports, c.want)
			}
		})
	}
}

func TestAReceiptThatCannotBeKeptComesAgain(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	l.heard.fail = errNo
	l.deliver(&smpp.SM{ESMClass: 4, Message: "id:1 stat:DELIVRD"}, smpp.ReceiverTemporary)
}

// Receipts wait for the commit of their messages, whose answers come on the same connection.
func TestAReceiptThatWaitsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	l := connect(t, smpptest.Config{}, nil)
	l.heard.hold = make(chan struct{})
	for range 64 {
		go func() { _, _ = l.centre.Deliver(&smpp.SM{ESMClass: 4, Message: "id:1 stat:DELIVRD"}) }()
	}
	storetest.Eventually(t, "all of them wait", func() bool { reports, _ := l.heard.all(); return len(reports) == 64 })
	l.deliver(&smpp.SM{ESMClass: 4, Message: "id:2 stat:DELIVRD"}, smpp.ReceiverTemporary) // one too many
	if o := <-l.send(); o.err != nil || o.State != models.SmsSubmitted {
		t.Errorf("%+v", o)
	}
	l.stop() // gives back what waits
	if _, unbinds, _, _ := l.centre.Counts(); unbinds != 1 {
		t.Errorf("%d unbinds", unbinds)
	}
}

func TestMessagesOfSubscribers(t *testing.T) {
	t.Parallel()
	nonce := strings.Repeat("0123456789abcdef", 2)
	home, abroad := smpp.Address{NPI: 1, Digits: "13800138000"}, smpp.Address{TON: 1, NPI: 1, Digits: "8613800138000"}
	l := connect(t, smpptest.Config{}, nil)
	var want []string
	for _, c := range []struct {
		sm     smpp.SM
		status smpp.Status
		text   string
	}{
		{smpp.SM{Source: home, Message: models.Secret(nonce)}, smpp.OK, nonce},
		{smpp.SM{Source: abroad, Message: models.Secret(nonce), DataCoding: 1}, smpp.OK, nonce},
		{smpp.SM{Source: abroad, Message: "\x4f\xe1\xd8\x3d\xde\x00", DataCoding: 8}, smpp.OK, "信😀"},
		{smpp.SM{Source: abroad, Message: "\x05\x00\x03\x01\x01\x01abc", ESMClass: 0x40}, smpp.OK, "abc"},
		{smpp.SM{Source: abroad, Message: "id:1 stat:DELIVRD"}, smpp.OK, "id:1 stat:DELIVRD"}, // nobody forges a receipt
		{smpp.SM{Source: abroad, Message: "\xe9", DataCoding: 3}, smpp.OK, "é"},
		{smpp.SM{Source: abroad, Message: models.Secret(strings.Repeat("x", 300))}, smpp.OK, strings.Repeat("x", 300)},
		{smpp.SM{Source: abroad, Message: "odd", DataCoding: 8}, smpp.ReceiverRejects, ""},
		{smpp.SM{Source: abroad, Message: "\x01\x02", DataCoding: 4}, smpp.ReceiverRejects, ""},
		{smpp.SM{Source: abroad, Message: "\x09a", ESMClass: 0x40}, smpp.ReceiverRejects, ""},
		{smpp.SM{Source: abroad, ESMClass: 0x40}, smpp.ReceiverRejects, ""},
		{smpp.SM{Source: smpp.Address{TON: 5, Digits: "Telecom"}, Message: "x"}, smpp.ReceiverRejects, ""},
		{smpp.SM{Source: smpp.Address{TON: 5, Digits: "13800138000"}, Message: "x"}, smpp.ReceiverRejects, ""}, // a name that looks like a number
		{smpp.SM{Message: "x"}, smpp.ReceiverRejects, ""},
	} {
		l.deliver(&c.sm, c.status)
		if c.status == smpp.OK {
			want = append(want, "8613800138000 "+c.text)
		}
	}
	if reports, texts := l.heard.all(); len(reports) != 0 || !reflect.DeepEqual(texts, want) {
		t.Errorf("heard %q and %v, want %q", texts, reports, want)
	}
	l.heard.fail = errNo
	l.deliver(&smpp.SM{Source: abroad, Message: models.Secret(nonce)}, smpp.ReceiverTemporary)
}
