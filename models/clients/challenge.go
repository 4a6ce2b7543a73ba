package clients

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/softacs/softacs/models"
)

// dialogue is a flow that goes on step by step: what it asks next, and what waits for the reply to the last request.
type dialogue struct {
	*Visit
	then func(ctx context.Context) (*models.Request, error)
	take func(ctx context.Context, reply models.Reply) error
}

func (f *dialogue) next(ctx context.Context) (*models.Request, error) {
	for f.then != nil {
		step := f.then
		f.then = nil
		if request, err := step(ctx); err != nil || request != nil {
			return request, err
		}
	}
	return nil, nil
}

func (f *dialogue) answer(ctx context.Context, reply models.Reply) error {
	if f.take == nil {
		return nil
	}
	take := f.take
	f.take = nil
	return take(ctx, reply)
}

// broke leaves everything to the next Inform: what was committed is confirmed or proved again.
func (*dialogue) broke(context.Context) error { return nil }

// tell ends the flow with an outcome.
func (f *dialogue) tell(outcome models.Outcome) {
	f.then = func(context.Context) (*models.Request, error) {
		return &models.Request{Method: models.SetParameterValues, Outcome: &outcome}, nil
	}
}

// challenge is what the flows with a proof have in common: the platform's challenge and the client's answer to it (i4.md C.2.2).
type challenge struct {
	dialogue
	message models.AuthMessage
	sent    models.Time
	// askedAgain: the client was not ready with its proof and was asked a second time (resolutions 50).
	askedAgain bool
	// wants are the parameters that are asked for beside the proof.
	wants []string
	// prove takes all that was asked for, with message complete; refuse ends the flow without it.
	prove  func(ctx context.Context, given map[string]string) error
	refuse func(ctx context.Context, outcome models.Outcome) error
}

// request is the challenge for an account with this salt.
func (f *challenge) request(random []byte, rounds int) *models.Request {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	f.message.ServerNonce = hex.EncodeToString(nonce)
	f.sent = f.room.clock.Now()
	f.take = f.ready
	return &models.Request{
		Method: models.SetParameterValues,
		Values: []models.Value{
			{Name: serverNonce, Value: f.message.ServerNonce},
			{Name: salt, Value: hex.EncodeToString(random)},
			{Name: iterations, Value: strconv.Itoa(rounds)},
			{Name: challengeTTL, Value: strconv.Itoa(int(f.room.config.ChallengeTTL.Seconds()))},
		},
		Outcome: &models.Outcome{Result: models.ResultPending, Delivery: models.DeliveryInitial},
	}
}

// ready follows the challenge. A client that refuses it cannot prove anything.
func (f *challenge) ready(ctx context.Context, reply models.Reply) error {
	if reply.Fault != nil {
		return f.refuse(ctx, denied(models.ResultChallengeInvalid))
	}
	f.then = f.ask
	return nil
}

func (f *challenge) ask(context.Context) (*models.Request, error) {
	f.take = f.answered
	return &models.Request{Method: models.GetParameterValues, Names: append([]string{proof, timestamp, clientNonce}, f.wants...)}, nil
}

// timestampLength bounds AU.Timestamp, string(20) in the book, with room for fractions of a second.
const timestampLength = 32

// answered takes the proof. What it covers must be what was asked, in this session and in time.
func (f *challenge) answered(ctx context.Context, reply models.Reply) error {
	if reply.Fault != nil {
		return f.refuse(ctx, denied(models.ResultChallengeInvalid))
	}
	given := map[string]string{}
	for _, v := range reply.Values {
		given[v.Name] = v.Value
	}
	if given[proof] == "" && !f.askedAgain {
		f.askedAgain = true
		f.then = f.ask
		return nil
	}
	late := f.room.clock.Now().Sub(f.sent) > f.room.config.ChallengeTTL
	if given[proof] == "" || late || !strings.EqualFold(given[clientNonce], f.message.ClientNonce) {
		return f.refuse(ctx, denied(models.ResultChallengeInvalid))
	}
	f.message.Timestamp = given[timestamp]
	if f.message.Timestamp == "" || len(f.message.Timestamp) > timestampLength {
		return f.refuse(ctx, malformed(timestamp))
	}
	return f.prove(ctx, given)
}
