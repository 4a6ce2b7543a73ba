package accounts_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/accounts"
	"github.com/softacs/softacs/models/configuration"
	"github.com/softacs/softacs/models/store"
	"github.com/softacs/softacs/models/store/storetest"
)

// action is the input of one of the account's actions.
func (f *fixture) action(a *models.Account, key string, reason models.SuspendReason) accounts.ActionInput {
	return accounts.ActionInput{IdempotencyKey: key, Account: accounts.Ref{ID: a.ID}, Reason: reason}
}

// did is the account after an action that has to succeed.
func (f *fixture) did(result accounts.Result, err error) *models.Account {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
	return result.Account
}

// told lists what the log says since the events that were there before: type, code, state and reason.
func (f *fixture) told(before int) (list []string) {
	f.Helper()
	for _, e := range f.events()[before:] {
		entry := fmt.Sprint(e.Type, " ", e.Payload.V["code"], " ", e.Payload.V["state"])
		if reason := e.Payload.V["reason"]; reason != nil {
			entry += fmt.Sprint(" ", reason)
		}
		list = append(list, entry)
	}
	return list
}

func (f *fixture) reasons(a *models.Account) (list []string) {
	f.Helper()
	found, err := f.room.Suspensions(f.ctx, []models.ID{a.ID})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range found[a.ID] {
		list = append(list, string(s.Reason)+" by "+s.ByName+" "+s.Note)
	}
	return list
}

// desired is what a device is to be set to.
func (f *fixture) desired(id models.ID) map[string]string {
	f.Helper()
	values := map[string]string{}
	f.inTx(func(tx *store.Tx) error {
		delivery, err := f.configuration.Everything(tx, f.device(tx, id), "")
		if err != nil || delivery == nil {
			return err
		}
		for _, v := range delivery.Values {
			values[v.Name] = v.Value
		}
		return nil
	})
	return values
}

func TestSuspendAndResume(t *testing.T) {
	each(t, func(f *fixture) {
		a := f.provision(input("1"))
		pc, mobile := f.bind(a, "a1", models.PC), f.bind(a, "a2", models.Mobile)
		f.inTx(func(tx *store.Tx) error { // the PC has confirmed what it was sent
			return tx.DB.Model(&models.Binding{}).Where("device_id = ?", pc).Updates(map[string]any{"state": models.BindingActive, "confirmed_at": tx.Now}).Error
		})
		f.clock.Advance(time.Hour)
		before := len(f.events())
		suspend := f.action(a, "s1", models.SuspendNonPayment)
		suspend.Note, suspend.WorkOrderExternalID, suspend.ExpectedVersion = "three months", "wo-1", 1
		a = f.did(f.room.Suspend(f.ctx, suspend))
		want(f.T, "the state", a.State, models.AccountSuspended)
		want(f.T, "its reason", a.StateReason, "NON_PAYMENT")
		want(f.T, "since", a.StateChangedAt, f.clock.Now())
		want(f.T, "the version", a.Version, 2)
		wantList(f.T, "reasons in force", f.reasons(a), "NON_PAYMENT by bss three months")
		wantList(f.T, "events", f.told(before),
			"ACCOUNT_STATE_CHANGED account.suspended SUSPENDED NON_PAYMENT",
			"BINDING_CHANGED client.suspended SUSPENDED SUSPENDED", "BINDING_CHANGED client.suspended SUSPENDED SUSPENDED",
			"CONFIGURATION_CHANGED config.pending PENDING", "CONFIGURATION_CHANGED config.pending PENDING")
		e := f.events()[before]
		if fmt.Sprintf("%v %v %v", e.Payload.V["suspensions"], e.Payload.V["previousState"], e.Payload.V["workOrderExternalId"]) != "[NON_PAYMENT] ACTIVE wo-1" {
			f.Errorf("the event says %v", e.Payload.V)
		}
		if text := fmt.Sprint(f.audits("suspendAccount")[0].Changes.V); strings.Contains(text, "three months") || !strings.Contains(text, "NON_PAYMENT") {
			f.Errorf("the audit row says %s", text)
		}
		for _, id := range []models.ID{pc, mobile} {
			values := f.desired(id)
			if secret, set := values[configuration.AuthPassword]; !set || secret != "" || values[configuration.LineEnable] != "Disabled" || values[configuration.PublicURI] != "" {
				f.Errorf("a device is to be set to %v", values)
			}
			f.inTx(func(tx *store.Tx) error {
				want(f.T, "the device's account", f.device(tx, id).AccountState, models.AccountSuspended)
				return nil
			})
		}

		// The same reason again changes nothing, another one adds up; each is lifted on its own.
		again := f.action(a, "s2", models.SuspendNonPayment)
		want(f.T, "the version", f.did(f.room.Suspend(f.ctx, again)).Version, 2)
		result, err := f.room.Suspend(f.ctx, suspend)
		want(f.T, "a replay", result.Replayed, true)
		want(f.T, "its error", err, nil)
		before = len(f.events())
		f.clock.Advance(time.Hour)
		a = f.did(f.room.Suspend(f.ctx, f.action(a, "s3", models.SuspendCustomerRequest)))
		want(f.T, "since", a.StateChangedAt, f.clock.Now().Add(-time.Hour))
		wantList(f.T, "reasons in force", f.reasons(a), "NON_PAYMENT by bss three months", "CUSTOMER_REQUEST by bss ")
		wantList(f.T, "events", f.told(before), "ACCOUNT_STATE_CHANGED account.suspended SUSPENDED CUSTOMER_REQUEST")
		refused(f.T, errOf(f.room.Resume(f.ctx, f.action(a, "r0", models.SuspendFraud))), models.StateConflict, "input", "reason")
		before = len(f.events())
		a = f.did(f.room.Resume(f.ctx, f.action(a, "r1", models.SuspendNonPayment)))
		want(f.T, "the state", a.State, models.AccountSuspended)
		want(f.T, "its reason", a.StateReason, "CUSTOMER_REQUEST")
		wantList(f.T, "events", f.told(before), "ACCOUNT_STATE_CHANGED account.resumed SUSPENDED NON_PAYMENT")
		before = len(f.events())
		a = f.did(f.room.Resume(f.ctx, f.action(a, "r2", "")))
		want(f.T, "the state", a.State, models.AccountActive)
		want(f.T, "its reason", a.StateReason, "")
		wantList(f.T, "reasons in force", f.reasons(a))
		wantList(f.T, "events", f.told(before), "ACCOUNT_STATE_CHANGED account.resumed ACTIVE CUSTOMER_REQUEST",
			"BINDING_CHANGED client.resumed ACTIVE", "BINDING_CHANGED client.resumed PENDING",
			"CONFIGURATION_CHANGED config.pending PENDING", "CONFIGURATION_CHANGED config.pending PENDING")
		if values := f.desired(pc); values[configuration.AuthPassword] != "example-sip-secret" || values[configuration.LineEnable] != "Enabled" {
			f.Errorf("a device is to be set to %v", values)
		}
		refused(f.T, errOf(f.room.Resume(f.ctx, f.action(a, "r3", ""))), models.StateConflict, "input", "account")
	})
}

func errOf(_ accounts.Result, err error) error { return err }

// as is another API client with the permissions everywhere.
func as(t *testing.T, n byte, permissions ...models.Permission) context.Context {
	return models.WithActor(t.Context(), models.Actor{
		Kind: models.APIClientActor, ID: models.ID{n}, Name: fmt.Sprintf("client %d", n), Grants: []models.Grant{{Permissions: permissions}},
	})
}

func TestWhoLiftsASuspension(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.Region = "north"
		a := f.provision(in)
		fraudDesk, bss, security := as(f.T, 7, models.AccountWrite), as(f.T, 8, models.AccountWrite), as(f.T, 9, models.AccountWrite, models.SecurityAdmin)
		for _, ctx := range []context.Context{fraudDesk, bss} {
			for i, reason := range []models.SuspendReason{models.SuspendFraud, models.SuspendMaintenance} {
				f.did(f.room.Suspend(ctx, f.action(a, fmt.Sprint("s", i), reason)))
			}
		}
		wantList(f.T, "reasons in force", f.reasons(a), "FRAUD by client 7 ", "MAINTENANCE by client 7 ")
		before := len(f.events())
		refused(f.T, errOf(f.room.Resume(bss, f.action(a, "r0", models.SuspendFraud))), models.PolicyDenied, "input", "reason")
		want(f.T, "the state", f.did(f.room.Resume(bss, f.action(a, "r1", ""))).State, models.AccountSuspended)
		wantList(f.T, "reasons in force", f.reasons(a), "FRAUD by client 7 ")
		refused(f.T, errOf(f.room.Resume(bss, f.action(a, "r2", ""))), models.PolicyDenied, "input", "reason")
		elsewhere := models.WithActor(f.Context(), models.Actor{Kind: models.APIClientActor, ID: models.ID{6}, Grants: []models.Grant{
			{Permissions: []models.Permission{models.AccountWrite}}, {Permissions: []models.Permission{models.SecurityAdmin}, Regions: []string{"south"}}}})
		refused(f.T, errOf(f.room.Resume(elsewhere, f.action(a, "r3", ""))), models.PolicyDenied, "input", "reason")
		want(f.T, "events of what was lifted", len(f.events())-before, 1)
		want(f.T, "the state", f.did(f.room.Resume(fraudDesk, f.action(a, "r4", models.SuspendFraud))).State, models.AccountActive)

		f.did(f.room.Suspend(fraudDesk, f.action(a, "s5", models.SuspendRegulatory)))
		want(f.T, "the state", f.did(f.room.Resume(security, f.action(a, "r5", ""))).State, models.AccountActive)
	})
}

func TestTerminate(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.InitialPassword = "Blue-Kite-42!"
		a := f.provision(in)
		pc := f.bind(a, "a1", models.PC)
		f.did(f.room.Suspend(f.ctx, f.action(a, "s", models.SuspendFraud)))
		suspended := f.desired(pc)
		f.clock.Advance(time.Hour)
		before := len(f.events())
		terminate := f.action(a, "t", "")
		terminate.Note = "moved away"
		a = f.did(f.room.Terminate(f.ctx, terminate))
		want(f.T, "the state", a.State, models.AccountTerminated)
		want(f.T, "its reason", a.StateReason, "moved away")
		want(f.T, "terminatedAt", a.TerminatedAt, f.clock.Now())
		want(f.T, "the number is free", a.LiveMsisdn, nil)
		wantList(f.T, "reasons in force", f.reasons(a))
		wantList(f.T, "events", f.told(before), "ACCOUNT_STATE_CHANGED account.terminated TERMINATED", "CONFIGURATION_CHANGED config.pending PENDING")
		if closed := f.desired(pc); fmt.Sprint(closed) != fmt.Sprint(suspended) {
			f.Errorf("after the suspension %v, after the closing %v", suspended, closed)
		}
		result, err := f.room.Terminate(f.ctx, terminate)
		want(f.T, "a replay", result.Replayed, true)
		want(f.T, "its error", err, nil)
		states, err := f.passwords.States(f.ctx, []models.ID{a.ID})
		if err != nil || states[a.ID].Password != models.PasswordSet {
			f.Errorf("a client that proves its password hears nothing of the closing: %v, %v", states, err)
		}
		for name, err := range map[string]error{
			"modify": errOf(f.room.Modify(f.ctx, accounts.ModifyInput{IdempotencyKey: "x", Account: accounts.Ref{ID: a.ID}})),
			"close":  errOf(f.room.Terminate(f.ctx, f.action(a, "t2", ""))), "suspend": errOf(f.room.Suspend(f.ctx, f.action(a, "s2", models.SuspendFraud))),
			"resume": errOf(f.room.Resume(f.ctx, f.action(a, "r2", ""))), "activate": errOf(f.room.Activate(f.ctx, f.action(a, "a2", ""))),
		} {
			if e := refused(f.T, err, models.StateConflict, "input", "account"); len(e.AllowedActions) != 0 || e.CurrentState != "TERMINATED" {
				f.Errorf("%s: %+v", name, e)
			}
		}

		// Number and identities are another account's now; the external id is not.
		newer := input("2")
		newer.Msisdn = a.Msisdn
		b := f.provision(newer)
		for _, ref := range []accounts.Ref{{Msisdn: a.Msisdn}, {IMPU: "tel:+862162345678"}} {
			if got, err := f.room.ByRef(f.ctx, ref); err != nil || got == nil || got.ID != b.ID {
				f.Errorf("%+v names %v, %v", ref, got, err)
			}
		}
		want(f.T, "the second closing", f.did(f.room.Terminate(f.ctx, f.action(b, "t3", ""))).State, models.AccountTerminated)
		third := input("3")
		third.ExternalID = "s-1"
		refused(f.T, errOf(f.room.Provision(f.ctx, third)), models.AlreadyExists, "input", "externalId")
	})
}

func TestAPendingAccountIsClosed(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.Activate = false
		a := f.provision(in)
		e := refused(f.T, errOf(f.room.Suspend(f.ctx, f.action(a, "s", models.SuspendFraud))), models.StateConflict, "input", "account")
		wantList(f.T, "allowed actions", e.AllowedActions, "activateAccount", "modifyAccount", "terminateAccount", "unlockAccount")
		want(f.T, "the state", f.did(f.room.Terminate(f.ctx, f.action(a, "t", ""))).State, models.AccountTerminated)
	})
}

// The secret of an account that was changed while it was suspended is asked for when it serves again.
func TestResumeAsksTheDirectory(t *testing.T) {
	core := &directory{secret: "from the core"}
	eachWith(t, accounts.Config{Secret: accounts.AskDirectory, Directory: core}, func(f *fixture) {
		in := input("1")
		in.SipPassword = ""
		a := f.provision(in)
		f.did(f.room.Suspend(f.ctx, f.action(a, "s", models.SuspendMaintenance)))
		f.modify(accounts.ModifyInput{IdempotencyKey: "m", Account: accounts.Ref{ID: a.ID}, SipPassword: accounts.Null[models.Secret]()})
		want(f.T, "the secret", f.secret(a), "")
		a = f.did(f.room.Resume(f.ctx, f.action(a, "r", "")))
		want(f.T, "the secret", f.secret(a), "from the core")
		if !slices.Contains(f.events(models.AccountStateChanged)[1].Payload.V["fields"].([]any), any("sipSecretSource")) {
			f.Error("nobody was told where the secret is from")
		}
	})
}

func TestActionsRefuse(t *testing.T) {
	each(t, func(f *fixture) {
		in := input("1")
		in.Region = "north"
		a := f.provision(in)
		actions := map[string]func(context.Context, accounts.ActionInput) (accounts.Result, error){
			"suspendAccount": f.room.Suspend, "resumeAccount": f.room.Resume, "terminateAccount": f.room.Terminate,
			"unlockAccount": f.room.Unlock, "endLogins": f.room.EndLogins,
		}
		for name, act := range actions {
			good := f.action(a, name, "")
			if name == "suspendAccount" || name == "resumeAccount" {
				good.Reason = models.SuspendFraud
			}
			change := func(f func(*accounts.ActionInput)) accounts.ActionInput {
				bad := good
				f(&bad)
				return bad
			}
			refused(f.T, errOf(act(f.ctx, change(func(in *accounts.ActionInput) { in.IdempotencyKey = "" }))), models.Required, "input", "idempotencyKey")
			refused(f.T, errOf(act(f.ctx, change(func(in *accounts.ActionInput) { in.Account = accounts.Ref{ExternalID: "x"} }))), models.NotFound, "input", "account")
			e := refused(f.T, errOf(act(f.ctx, change(func(in *accounts.ActionInput) { in.ExpectedVersion = 9 }))), models.VersionConflict, "input", "expectedVersion")
			want(f.T, "the current version", e.CurrentVersion, 1)
			refused(f.T, errOf(act(f.ctx, change(func(in *accounts.ActionInput) { in.Note = strings.Repeat("x", 256) }))), models.TooLong, "input", "note")
			refused(f.T, errOf(act(f.ctx, change(func(in *accounts.ActionInput) { in.WorkOrderExternalID = "a\nb" }))), models.Invalid, "input", "workOrderExternalId")
			refused(f.T, errOf(act(f.ctx, change(func(in *accounts.ActionInput) { in.Reason = "BOREDOM" }))), models.Invalid, "input", "reason")
			wrong := models.AccountCare
			if name == "unlockAccount" || name == "endLogins" {
				wrong = models.AccountWrite
			}
			refused(f.T, errOf(act(storetest.As(f.T, wrong, models.AccountRead), good)), models.Forbidden)
			refused(f.T, errOf(act(storetest.In(f.T, []string{"south"}), good)), models.NotFound, "input", "account")
		}
		refused(f.T, errOf(f.room.Suspend(f.ctx, f.action(a, "s", ""))), models.Required, "input", "reason")
		want(f.T, "events", len(f.events()), 1)
		f.inTx(func(tx *store.Tx) error {
			n, err := gorm.G[models.AuditEntry](tx.DB).Count(tx.Context(), "*")
			want(f.T, "audit rows", n, 1)
			return err
		})
		f.did(f.room.Suspend(f.ctx, f.action(a, "s", models.SuspendFraud)))
		refused(f.T, errOf(f.room.Suspend(f.ctx, f.action(a, "s", models.SuspendRegulatory))), models.IdempotencyKeyReused, "input", "idempotencyKey")
	})
}
