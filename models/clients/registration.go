package clients

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
)

// registration is flow 6.1.2 (i4.md B.2): challenge, proof, and one atomic delivery of everything the client needs.
type registration struct {
	*Visit
	// then is the next step, take what waits for the reply to the last one.
	then func(ctx context.Context) (*models.Request, error)
	take func(ctx context.Context, reply models.Reply) error

	message    models.AuthMessage
	challenged models.Time
	// askedAgain: the client was not ready with its proof and was asked a second time (resolutions 50).
	askedAgain bool

	// own are the values that belong to this REGISTER: the platform's proof and the new HTTP credentials.
	own      []models.Value
	delivery *configuration.Delivery
	outcome  models.Outcome
}

func newRegistration(v *Visit) *registration {
	f := &registration{Visit: v}
	f.then = f.challenge
	return f
}

func (f *registration) next(ctx context.Context) (*models.Request, error) {
	if f.then == nil {
		return nil, nil
	}
	step := f.then
	f.then = nil
	return step(ctx)
}

func (f *registration) answer(ctx context.Context, reply models.Reply) error {
	if f.take == nil {
		return nil
	}
	take := f.take
	f.take = nil
	return take(ctx, reply)
}

// broke leaves everything to the next Inform: what was committed is confirmed or proved again (resolutions 1).
func (*registration) broke(context.Context) error { return nil }

// tell ends the flow with an outcome.
func (f *registration) tell(outcome models.Outcome) {
	f.then = func(context.Context) (*models.Request, error) {
		return &models.Request{Method: models.SetParameterValues, Outcome: &outcome}, nil
	}
}

// failed ends the flow with Status 50, unless the error is one that the HTTP door answers with 503.
func (f *registration) failed(ctx context.Context, err error) error {
	if models.CodeOf(err) == models.Unavailable {
		return err
	}
	f.tell(internalError(ctx, "register", f.Visit, err))
	return nil
}

// challenge checks what the Inform says and sends the challenge; unknown numbers get one too, so that nobody learns which numbers exist.
func (f *registration) challenge(ctx context.Context) (*models.Request, error) {
	request, err := f.tryChallenge(ctx)
	if err != nil {
		if err := f.failed(ctx, err); err != nil {
			return nil, err
		}
		return f.next(ctx)
	}
	return request, nil
}

func (f *registration) tryChallenge(ctx context.Context) (*models.Request, error) {
	if wrong := f.parse(); wrong != "" {
		if wrong == clientTypeName && f.device != nil {
			if err := f.room.store.InTx(ctx, func(tx *store.Tx) error { return mistyped(tx, f.Visit) }); err != nil {
				return nil, err
			}
		}
		return f.refuse(malformed(wrong)), nil
	}
	var account models.ID
	var refusal *models.Outcome
	err := f.room.store.View(ctx, func(tx *store.Tx) error {
		a, err := accounts.ForNumber(tx, f.message.Number)
		if err != nil {
			return err
		}
		account = idOf(a)
		lock, err := f.room.Passwords.LockedFor(tx, f.message.Number, account, f.in.Key)
		if err == nil && lock.RetryAfter > 0 {
			refusal = &models.Outcome{Result: models.ResultLocked, Delivery: models.DeliveryFailed, RetryAfter: lock.RetryAfter, Limit: f.room.Passwords.Tries(), Times: lock.Failures}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return f.refuse(*refusal), nil
	}
	random, rounds, err := f.room.Passwords.Salt(ctx, f.message.Number, account)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	f.message.ServerNonce = hex.EncodeToString(nonce)
	f.challenged = f.room.clock.Now()
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
	}, nil
}

func (f *registration) refuse(outcome models.Outcome) *models.Request {
	return &models.Request{Method: models.SetParameterValues, Outcome: &outcome}
}

// parse reads the Inform; it names the first parameter that is missing, malformed or of a kind that this platform does not play.
func (f *registration) parse() (wrong string) {
	claimed, known := models.ClientTypeOf(f.in.Claimed)
	t := f.clientType()
	number, numberOK := f.room.config.Plan.Normalise(f.in.Get(userName))
	session := f.in.Get(loginSessionID)
	switch {
	case !known, claimed != t, t != models.PC:
		return clientTypeName
	case !numberOK:
		return userName
	case f.in.Get(mode) != "challenge":
		return mode
	case f.in.Get(algorithm) != models.ProofAlgorithm:
		return algorithm
	case f.in.Get(purpose) != string(models.ToRegister):
		return purpose
	case !isHex(f.in.Get(clientNonce), 32):
		return clientNonce
	case session == "", len(session) > maxLoginSessionID:
		return loginSessionID
	}
	f.message = models.AuthMessage{
		Purpose: models.ToRegister, Number: number, DeviceKey: f.in.Key, ClientType: t, ClientNonce: strings.ToLower(f.in.Get(clientNonce)),
	}
	return ""
}

// ready follows the challenge. A client that refuses it cannot prove anything.
func (f *registration) ready(_ context.Context, reply models.Reply) error {
	if reply.Fault != nil {
		f.tell(denied(models.ResultChallengeInvalid))
		return nil
	}
	f.then = f.ask
	return nil
}

func (f *registration) ask(context.Context) (*models.Request, error) {
	f.take = f.prove
	return &models.Request{Method: models.GetParameterValues, Names: []string{proof, timestamp, clientNonce}}, nil
}

// maxTimestamp bounds AU.Timestamp, string(20) in the book, with room for fractions of a second.
const maxTimestamp = 32

// prove takes the proof. What it covers must be what was asked, in this session and in time.
func (f *registration) prove(ctx context.Context, reply models.Reply) error {
	if reply.Fault != nil {
		f.tell(denied(models.ResultChallengeInvalid))
		return nil
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
	late := f.room.clock.Now().Sub(f.challenged) > f.room.config.ChallengeTTL
	if given[proof] == "" || late || !strings.EqualFold(given[clientNonce], f.message.ClientNonce) {
		f.tell(denied(models.ResultChallengeInvalid))
		return nil
	}
	f.message.Timestamp = given[timestamp]
	if f.message.Timestamp == "" || len(f.message.Timestamp) > maxTimestamp {
		f.tell(malformed(timestamp))
		return nil
	}
	if err := f.authenticate(ctx, given[proof]); err != nil {
		return f.failed(ctx, err)
	}
	return nil
}

// deliver sends everything at once: the platform's proof, the credentials and the configuration.
func (f *registration) deliver(context.Context) (*models.Request, error) {
	request := &models.Request{Method: models.SetParameterValues, Values: slices.Clone(f.own), Outcome: &f.outcome}
	if f.delivery != nil {
		request.Values = append(request.Values, f.delivery.Values...)
		request.Version = f.delivery.Version
		request.Without = f.delivery.Dropped
	}
	f.take = f.delivered
	return request, nil
}

// delivered takes the client's answer to the delivery.
func (f *registration) delivered(ctx context.Context, reply models.Reply) error {
	if reply.Fault != nil {
		return f.rejected(ctx, *reply.Fault)
	}
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error {
		if f.delivery != nil {
			if err := f.room.Configuration.Applied(tx, f.device, f.epoch, f.delivery, reply.Status); err != nil {
				return err
			}
		}
		_, err := bindings.Confirm(tx, f.device.ID)
		return err
	})
	if err != nil && !errors.Is(err, configuration.ErrOvertaken) {
		return err
	}
	if f.delivery != nil {
		f.key = models.ParameterKey(f.delivery.Version)
	}
	return nil
}

// deniedByClient is the fault of a client that does not believe the platform's proof (i4.md C.2.2).
const deniedByClient = 9001

// rejected takes a fault on the delivery: nothing of it was applied. The binding stays PENDING until a later REGISTER.
func (f *registration) rejected(ctx context.Context, fault models.Fault) error {
	if fault.Code == deniedByClient {
		f.flows = f.flows[:1] // whoever does not believe the proof is told nothing more
		return f.room.store.InTx(ctx, func(tx *store.Tx) error {
			return security(tx, "security.server_proof_rejected", nil, f.device, map[string]any{"fault": fault.Code})
		})
	}
	if f.delivery == nil {
		return f.instead(ctx)
	}
	var retry *configuration.Delivery
	err := f.room.store.InTx(ctx, func(tx *store.Tx) (err error) {
		retry, err = f.room.Configuration.Refused(tx, f.device, f.epoch, f.delivery, fault)
		return err
	})
	if err != nil && !errors.Is(err, configuration.ErrOvertaken) {
		return err
	}
	f.configured = true
	if retry == nil {
		f.tell(models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryFailed})
		return nil
	}
	f.delivery = retry
	f.own = slices.DeleteFunc(f.own, func(v models.Value) bool { return slices.Contains(retry.Dropped, v.Name) })
	f.then = f.deliver
	return nil
}

// instead follows a refused ALREADY_DONE with everything: what may be left out of a delivery is known there, and the new HTTP credentials
// have to arrive, because each REGISTER replaces them.
func (f *registration) instead(ctx context.Context) error {
	err := f.room.store.InTx(ctx, func(tx *store.Tx) error { return f.prepare(tx, f.device) })
	if err != nil && !errors.Is(err, configuration.ErrOvertaken) {
		return err
	}
	if err != nil || f.delivery == nil {
		f.delivery = nil
		f.tell(models.Outcome{Result: models.ResultOK, Delivery: models.DeliveryFailed})
		return nil
	}
	f.outcome.Result = models.ResultOK
	f.then = f.deliver
	return nil
}
