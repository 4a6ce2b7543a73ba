package aaa

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2866"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/lines"
)

// listener is a Server on a free port whose reports the test takes.
type listener struct {
	*Server
	t    *testing.T
	addr string
	stop func() // returns when everything is answered
}

func listen(t *testing.T, take func(context.Context, []lines.Report) ([]bool, error)) *listener {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{
		Secret: models.Secret(secret), Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Take: take, Clock: models.SystemClock{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ctx, conn)
	}()
	l := &listener{Server: s, t: t, addr: conn.LocalAddr().String(), stop: func() { cancel(); <-done }}
	t.Cleanup(l.stop)
	return l
}

// client is one access server.
func (l *listener) client() net.Conn {
	l.t.Helper()
	conn, err := net.Dial("udp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (l *listener) send(conn net.Conn, p *radius.Packet) {
	l.t.Helper()
	wire, err := p.Encode()
	must(err)
	if _, err := conn.Write(wire); err != nil {
		l.t.Fatal(err)
	}
}

// answered waits for the next answer, which has to be to p.
func (l *listener) answered(conn net.Conn, p *radius.Packet) {
	l.t.Helper()
	datagram := make([]byte, radius.MaxPacketLength)
	must(conn.SetReadDeadline(time.Now().Add(time.Minute)))
	n, err := conn.Read(datagram)
	if err != nil {
		l.t.Fatal(err)
	}
	if got, err := radius.Parse(datagram[:n], secret); err != nil || got.Identifier != p.Identifier {
		l.t.Fatalf("%+v, %v; an answer to %d was expected", got, err, p.Identifier)
	}
}

func start() *radius.Packet { return request(rfc2866.AcctStatusType_Value_Start, nil) }

// Who is answered need not send again, so nobody is answered whose report was not taken.
func TestOnlyWhatWasTakenIsAnswered(t *testing.T) {
	t.Parallel()
	var outcomes = []func() ([]bool, error){
		func() ([]bool, error) { return nil, errors.New("the database is away") },
		func() ([]bool, error) { return []bool{false}, nil },
		func() ([]bool, error) { return []bool{true}, nil },
	}
	next := make(chan func() ([]bool, error))
	l := listen(t, func(context.Context, []lines.Report) ([]bool, error) { return (<-next)() })
	conn := l.client()
	for n, outcome := range outcomes {
		p := start()
		p.Identifier = byte(n)
		l.send(conn, p)
		next <- outcome // it is in a commit of its own
		if n == 2 {
			l.answered(conn, p) // the first answer of all
		}
	}
	for outcome, want := range map[Outcome]uint64{Failed: 1, Full: 1, Taken: 1} {
		if n := l.Stats()[Count{Start, outcome}]; n != want {
			t.Errorf("%s: %d", outcome, n)
		}
	}
}

// What comes while a commit runs is one commit, in the order of its coming; who sends again is answered again.
func TestReportsAreTakenTogether(t *testing.T) {
	t.Parallel()
	batches, release := make(chan int, 10), make(chan struct{})
	l := listen(t, func(_ context.Context, reports []lines.Report) ([]bool, error) {
		batches <- len(reports)
		<-release
		taken := make([]bool, len(reports))
		for i := range taken {
			taken[i] = true
		}
		return taken, nil
	})
	conn := l.client()
	var packets []*radius.Packet
	for n := range 5 {
		p := start()
		p.Identifier = byte(n / 2) // every other is a repetition
		packets = append(packets, p)
	}
	l.send(conn, packets[0])
	if n := <-batches; n != 1 {
		t.Fatalf("%d reports", n)
	}
	for _, p := range packets[1:] {
		l.send(conn, p)
	}
	ignored := request(rfc2866.AcctStatusType_Value_Failed, nil) // answered at once: all before it were read
	l.send(conn, ignored)
	l.answered(conn, ignored)
	close(release)
	if n := <-batches; n != 4 {
		t.Errorf("%d reports in the second commit", n)
	}
	for _, p := range packets {
		l.answered(conn, p)
	}
}

// A stop answers what was read.
func TestStopAnswersWhatWasRead(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}), make(chan struct{})
	l := listen(t, func(ctx context.Context, _ []lines.Report) ([]bool, error) {
		close(began)
		<-release
		return []bool{true}, ctx.Err()
	})
	conn, p := l.client(), start()
	l.send(conn, p)
	<-began
	stopped := make(chan struct{})
	go func() { l.stop(); close(stopped) }()
	close(release)
	l.answered(conn, p)
	<-stopped
}
