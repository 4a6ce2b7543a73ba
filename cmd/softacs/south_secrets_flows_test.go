package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/softacs/softacs/acs/cwmp"
	"github.com/softacs/softacs/acs/sim"
	"github.com/softacs/softacs/models"
)

// The flows of TestNothingSecretIsTold, each with an account of its own; n numbers it.

// pcFlow is 6.1.1 and 6.1.2, with a wrong password, one request too many and a delivery that the client refuses.
func pcFlow(p *planted, n int) {
	ctx := p.t.Context()
	id, msisdn, mobile := p.newAccount(n, nil)
	client := p.listen(p.client(msisdn, p.config(nil)))
	p.want(0)(client.GetPassword(ctx))
	password := p.password(mobile, 1)
	p.secret("one-time password", password.Reveal())
	p.want(1)(client.Register(ctx, models.Secret(p.secret("wrong password", "Planted-Wrong-1!"))))
	p.want(0)(client.Register(ctx, password))
	p.want(10)(client.GetPassword(ctx))
	p.done(client.Heartbeat(ctx))
	p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "m", "account": object{"id": id}, "boundMobile": mobile[:13] + "9",
		"sipPassword": p.secret("rotated SIP secret", "planted-rotated-secret"), "imsi": p.secret("new IMSI", "460001234509999")})
	p.person("new mobile", mobile[3:13]+"9")
	client.SetFaults(sim.Faults{Parameters: map[string]int{"line.sip.authPassword": 9007}})
	p.done(client.Heartbeat(ctx))
	client.SetFaults(sim.Faults{})
	p.done(client.Inform(ctx, models.EventBootstrap, models.EventBoot, models.EventValueChange))
	client.Set("managementServer.password", p.secret("wrong management password", "PLANTEDWRONGMANAGEMENT2345"))
	if _, err := client.Heartbeat(ctx); status(err) != http.StatusUnauthorized {
		p.t.Error(err)
	}
}

// online is a registered PC client of a new account.
func (p *planted) online(n int) (id, msisdn string, client *sim.Client) {
	id, msisdn, _ = p.newAccount(n, nil)
	client = p.listen(p.client(msisdn, p.config(nil)))
	p.want(0)(client.Register(p.t.Context(), p.first(n)))
	return id, msisdn, client
}

// tasksFlow sets and reads secret parameters by tasks, of a client that quotes what it refuses too.
func tasksFlow(p *planted, n int) {
	_, _, client := p.online(n)
	device := p.deviceOf(client).text("id")
	taskSecret := p.secret("secret of a task", "planted-task-secret")
	for kind, more := range map[string]object{
		"SET_VALUES": {"values": []object{{"path": "Device.X_EXAMPLE.Password", "value": taskSecret}}},
		"GET_VALUES": {"paths": []string{"Device.ManagementServer.", "Device.X_CT-COM_UserInfo."}},
	} {
		input := object{"idempotencyKey": kind, "device": object{"id": device}, "kind": kind}
		for k, v := range more {
			input[k] = v
		}
		p.mutate("createDeviceTask", "task { id }", input)
	}
	client.Set("Device.X_EXAMPLE.Password", "")
	p.done(client.Heartbeat(p.t.Context()))
	quoted := p.secret("quoted secret of a task", "planted-quoted-secret")
	task := p.ask(client, "SET_VALUES", object{"values": []object{{"path": "Device.X_EXAMPLE.Password", "value": quoted}}})
	client.SetFaults(sim.Faults{Respond: func(request cwmp.Message) cwmp.Message {
		if _, ok := request.(*cwmp.SetParameterValues); !ok {
			return nil
		}
		return &cwmp.Fault{Code: 9003, String: "not " + quoted, Parameters: []cwmp.ParameterFault{{Name: "Device.X_EXAMPLE.Password", Code: 9007, String: quoted}}}
	}})
	p.done(client.Heartbeat(p.t.Context()))
	client.SetFaults(sim.Faults{})
	if got := p.wantTask(task, "FAILED"); got.text("fault.message") != "not [redacted]" {
		p.t.Errorf("%v", got)
	}
}

// configTaskFlow pushes secrets to a device's layer, as one that it takes and as one that it lacks, and reads back what it drifted to.
func configTaskFlow(p *planted, n int) {
	id, _, client := p.online(n)
	device := p.deviceOf(client).text("id")
	client.Set("Device.X_EXAMPLE.Password", "")
	task := p.push("secrets", object{"boundTo": object{"id": id}, "ids": []string{device}}, 600,
		object{"path": "Device.X_EXAMPLE.Password", "value": p.secret("secret of a config task", "planted-layer-secret")},
		object{"path": "Device.X_EXAMPLE.Other.Password", "value": p.secret("refused secret of a config task", "planted-refused-layer-secret")})
	p.progressed(task.text("id"), "RUNNING 1/0/1/0/0/0/0")
	p.done(client.Heartbeat(p.t.Context()))
	p.mirrors(task.text("id"))
	p.done(client.Change(p.t.Context(), map[string]string{"Device.X_EXAMPLE.Password": p.secret("drifted secret", "planted-drifted-secret"),
		"line.sip.authPassword": p.secret("drifted SIP secret", "planted-drifted-sip"), "sip.outboundProxyPort": "5070"}))
	p.done(client.Answered(p.t.Context(), 403, "Forbidden"))
	p.mutate("redeliverConfiguration", "device { registrations { number } }", object{"idempotencyKey": "again", "device": object{"id": device}})
	p.done(client.Heartbeat(p.t.Context()))
}

// takeOverFlow takes a binding over by another client.
func takeOverFlow(p *planted, n int) {
	_, msisdn, client := p.online(n)
	p.want(0)(p.listen(p.client(msisdn, p.config(nil))).Register(p.t.Context(), p.first(n)))
	p.want(12)(client.Heartbeat(p.t.Context()))
}

// brokenFlow loses answers and breaks the platform in the middle.
func brokenFlow(p *planted, n int) {
	_, _, client := p.online(n)
	p.observe(client, func(sim.Exchange) error { return errLost })
	if _, err := client.Register(p.t.Context(), p.first(n)); !errors.Is(err, errLost) {
		p.t.Error(err)
	}
	p.listen(client)
	p.exec("ALTER TABLE client_nonces RENAME TO client_nonces_away")
	p.want(50)(client.Register(p.t.Context(), p.first(n)))
	p.exec("ALTER TABLE client_nonces_away RENAME TO client_nonces")
	p.want(0)(client.Register(p.t.Context(), p.first(n)))
	for _, body := range []string{`<x>` + p.secrets["SIP secret 0"], strings.Repeat("<a>", 40) + p.secrets["SIP secret 0"]} {
		answer, err := http.Post(p.south, "text/xml", strings.NewReader(body))
		if err != nil {
			p.t.Fatal(err)
		}
		p.answers("a torn message", answer)
	}
}

// mobileFlow is 6.1.3 in its modes, with a forged token, a wrong code and another SIM card.
func mobileFlow(p *planted, n int) {
	ctx := p.t.Context()
	_, _, mdn := p.newAccount(n, nil)
	imsi := p.secrets[fmt.Sprint("IMSI ", n)]
	newPhone := func(imsi string) *sim.Client {
		return p.listen(p.phone(mdn, p.config(func(c *sim.Config) { c.IMSI = imsi })))
	}
	phone := newPhone(imsi)
	phone.SetFaults(sim.Faults{ForgeToken: func(token string) string { return token[:len(token)-10] + "AAAAAAAAAA" }})
	p.want(23)(phone.RegisterNetwork(ctx))
	phone.SetFaults(sim.Faults{})
	p.want(0)(phone.RegisterNetwork(ctx))
	p.done(phone.Heartbeat(ctx))
	other := newPhone(p.secret("other IMSI", "460001234508888"))
	p.want(23)(other.RegisterNetwork(ctx)) // another SIM card: a code by SMS has to tell
	p.want(20)(other.RegisterSMS(ctx))
	code := p.password(mdn, 1)
	p.secret("code", code.Reveal())
	p.want(1)(other.RegisterCode(ctx, models.Secret(p.secret("wrong code", "WRNGCDE9"))))
	p.want(0)(other.RegisterCode(ctx, code))
	third := newPhone(imsi)
	answer, err := http.Get(p.portal + "?cn=" + p.secrets["wrong code"])
	if err != nil {
		p.t.Fatal(err)
	}
	p.answers("a stranger at the portal", answer)
	p.want(0)(third.RegisterNetwork(ctx))
	p.done(third.Logoff(ctx, "UserExit"))
	p.assert(mdn, someRequestID)
	p.want(0)(newPhone(imsi).RegisterMO(ctx, someRequestID))
}

// screenFlow is 6.1.4: a screen waits, is served, is on another line, malformed, reset and swapped.
func screenFlow(p *planted, n int) {
	ctx := p.t.Context()
	line := fmt.Sprintf("ad-planted-%d", n)
	screen := func() *sim.Client {
		return p.listen(p.stocked(p.config(func(c *sim.Config) { c.BroadbandAccount = p.person("claimed line", "ad-claimed-1") })))
	}
	client, other := screen(), screen()
	p.registersScreen(client, 30)
	id, _, _ := p.newAccount(n, object{"clientTypes": []string{"MAGIC_SCREEN"}, "screenSerial": serialOf(client)})
	p.heartbeatSays(client, 0)
	p.done(client.Heartbeat(ctx))
	client.Set("ui.broadbandAccount", line)
	p.registersScreen(client, 0)
	client.Set("softClient.macAddress", "no address")
	p.registersScreen(client, 40)
	p.want(0)(client.ResetScreen(ctx))
	p.changeOrder(id, "swap", object{"screenSerial": serialOf(other)})
	p.registersScreen(client, 31)
	p.registersScreen(other, 0)
	p.restock(other, "STOLEN")
	p.registersScreen(other, 31)
}

// changeFlow is 6.1.5, with a wrong password and a wrong MAC.
func changeFlow(p *planted, n int) {
	ctx := p.t.Context()
	_, _, client := p.online(n)
	fresh := models.Secret(p.secret("changed password", "Planted-Blue-Kite-42!"))
	p.want(1)(client.ChangePassword(ctx, models.Secret(p.secrets["wrong password"]), fresh))
	client.SetFaults(sim.Faults{WrongMAC: true})
	if _, err := client.ChangePassword(ctx, p.first(n), fresh); err != nil {
		p.t.Error(err)
	}
	client.SetFaults(sim.Faults{})
	p.want(0)(client.ChangePassword(ctx, p.first(n), fresh))
	p.want(0)(client.Register(ctx, fresh))
	p.done(client.Logoff(ctx, "UserExit"))
}

// legacyFlow sends the password itself.
func legacyFlow(p *planted, n int) {
	_, msisdn, _ := p.newAccount(n, nil)
	client := p.listen(p.client(msisdn, p.config(nil)))
	p.want(1)(client.RegisterPlain(p.t.Context(), models.Secret(p.secret("wrong plain password", "Planted-Wrong-2!"))))
	p.want(0)(client.RegisterPlain(p.t.Context(), p.first(n)))
}

// careFlow is what a desk does for a customer.
func careFlow(p *planted, n int) {
	id, _, client := p.online(n)
	mobile := "+86" + p.personal[fmt.Sprint("mobile ", n)]
	p.query(`mutation($i: ResetAccountPasswordInput!) { resetAccountPassword(input: $i) { userErrors { message } } }`,
		object{"i": object{"account": object{"id": id}, "idempotencyKey": "reset"}})
	p.secret("reset code", p.password(mobile, 1).Reveal())
	p.done(client.Heartbeat(p.t.Context()))
}

// northFlow is people and programs of the north, right and wrong.
func northFlow(p *planted, _ int) {
	p.mutate("registerDevice", "acsPassword", object{"idempotencyKey": "s", "clientType": "PC", "acsPassword": p.secret("chosen ACS password", "planted-acs-password"),
		"identity": object{"oui": "00005E", "productClass": "IMSPC", "serialNumber": "planted-1"}})
	made := p.mutate("registerDevice", "acsPassword", object{"idempotencyKey": "g", "clientType": "PC",
		"identity": object{"oui": "00005E", "productClass": "IMSPC", "serialNumber": "planted-2"}})
	p.secret("generated ACS password", made.text("acsPassword"))
	operator := p.secret("operator's password", "Planted-Operator-7!")
	p.mutate("saveOperator", "operator { id }", object{"username": "sower", "initialPassword": operator, "roleIds": []string{}, "enabled": true})
	signIn := func(password string) *http.Response {
		body := strings.NewReader(fmt.Sprintf(`{"query": "mutation { signIn(username: \"sower\", password: \"%s\") { accessToken userErrors { message } } }"}`, password))
		r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.north+"/graphql", body)
		if err != nil {
			p.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", p.north)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		return answer
	}
	p.answers("a wrong operator's password", signIn(p.secret("wrong operator's password", "Planted-Wrong-3!")))
	answer := signIn(operator)
	var signedIn bytes.Buffer
	if _, err := signedIn.ReadFrom(answer.Body); err != nil {
		p.t.Fatal(err)
	}
	_ = answer.Body.Close()
	token := regexp.MustCompile(`"accessToken":"([^"]+)"`).FindStringSubmatch(signedIn.String())
	if token == nil || len(answer.Cookies()) != 1 {
		p.t.Fatalf("%s %v", signedIn.String(), answer.Header)
	}
	p.secret("operator's token", token[1])
	p.secret("refresh cookie", answer.Cookies()[0].Value)
	for what, header := range map[string][2]string{
		"a wrong client secret": {"/oauth/token", "Basic YnNzOnBsYW50ZWQtd3Jvbmctc2VjcmV0"}, "a wrong token": {"/graphql", "Bearer " + p.secret("wrong token", "planted.wrong.token")},
	} {
		r, err := http.NewRequestWithContext(context.WithoutCancel(p.t.Context()), http.MethodPost, p.north+header[0], strings.NewReader("grant_type=client_credentials"))
		if err != nil {
			p.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", header[1])
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		p.answers(what, answer)
	}
	p.secret("wrong client secret", "planted-wrong-secret")
	for _, wrong := range []object{
		{"idempotencyKey": "w1", "externalId": "w1", "msisdn": "+862169990001", "sipPassword": "planted-refused-secret\x01"},
		{"idempotencyKey": "w2", "externalId": "w2", "msisdn": "+862169990002", "sipPassword": []string{"planted-refused-secret"}},
		{"idempotencyKey": "w3", "externalId": "planted0", "msisdn": "+862169990003", "sipPassword": "planted-refused-secret"},
	} {
		p.tells("the refusal of an account", p.raw(`mutation($input: ProvisionAccountInput!) { provisionAccount(input: $input) { userErrors { message } } }`,
			object{"input": wrong}), map[string]string{"refused SIP secret": "planted-refused-secret"})
	}
	p.secret("refused SIP secret", "planted-refused-secret")
}

// webhookFlow tells a receiver of an account, with one secret and another, and one that is not there.
func webhookFlow(p *planted, n int) {
	r := newReceiver(p.t, nil)
	first, second := p.secret("webhook secret", "planted-webhook-secret"), p.secret("second webhook secret", "planted-second-webhook")
	r.secrets = []string{first, second}
	target := r.URL + "/?token=" + p.person("token in a URL", "planted-url-token")
	id := p.hook(target, object{"secret": first, "from": ""})
	p.mutate("saveWebhook", "webhook { version }", object{"id": id, "url": target, "types": []string{}, "secret": second})
	account, _, _ := p.newAccount(n, nil)
	r.awaits(account)
	p.hook("http://127.0.0.1:1/?token=planted-url-token", object{"secret": first, "from": ""})
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprint(r.events)
	for name, secret := range p.secrets {
		if strings.Contains(text, secret) {
			p.t.Errorf("a webhook tells the %s", name)
		}
	}
}

// traceFlow records a device through everything that carries secrets, and a client that writes its secrets where they do not belong.
func traceFlow(p *planted, n int) {
	ctx := p.t.Context()
	id, msisdn, mobile := p.newAccount(n, nil)
	client := p.listen(p.client(msisdn, p.config(nil)))
	p.want(0)(client.Register(ctx, p.first(n)))
	device := p.deviceOf(client).text("id")
	trace := func() {
		p.mutate("startDeviceTrace", "device { traceUntil }", object{"device": object{"id": device}, "minutes": 5, "reason": "a complaint"})
	}
	trace()
	p.want(0)(client.GetPassword(ctx))
	code := p.password(mobile, 1)
	p.secret("traced one-time password", code.Reveal())
	p.want(1)(client.Register(ctx, models.Secret(p.secrets["wrong password"])))
	p.want(0)(client.Register(ctx, code))
	fresh := models.Secret(p.secret("traced new password", "Planted-Green-Kite-43!"))
	p.want(0)(client.ChangePassword(ctx, code, fresh))
	p.want(0)(client.RegisterPlain(ctx, fresh))

	trace()
	secret := p.secret("traced SIP secret", "planted&traced<secret>")
	p.mutate("modifyAccount", "account { id }", object{"idempotencyKey": "t", "account": object{"id": id}, "sipPassword": secret})
	client.SetFaults(sim.Faults{Respond: func(request cwmp.Message) cwmp.Message { // a fault that quotes what it was sent
		if m, ok := request.(*cwmp.SetParameterValues); ok {
			refused := &cwmp.Fault{Code: 9003}
			for _, v := range m.Parameters {
				refused.String += v.Value + " "
				refused.Parameters = append(refused.Parameters, cwmp.ParameterFault{Name: v.Name, Code: 9007, String: "not " + v.Value})
			}
			return refused
		}
		return nil
	}})
	p.done(client.Heartbeat(ctx))
	client.SetFaults(sim.Faults{})
	client.Set("Device.X_EXAMPLE.Password", "")
	for kind, more := range map[string]object{
		"SET_VALUES": {"values": []object{{"path": "Device.X_EXAMPLE.Password", "value": p.secret("traced secret of a task", "planted-traced-task")}}},
		"GET_VALUES": {"paths": []string{"Device."}},
	} {
		p.ask(client, kind, more)
	}
	p.done(client.Inform(ctx, models.EventBootstrap, models.EventBoot))
	client.Queue(&cwmp.TransferComplete{CommandKey: "k", FaultCode: 9010, FaultString: "no reason"})
	p.done(client.Inform(ctx, models.EventBoot, models.EventValueChange))

	var kept strings.Builder
	sessions := p.query(`query($id: ID!) { node(id: $id) { ... on Device { sessions(first: 50) { nodes { outcome messages { fromDevice method body } } } } } }`, object{"id": device})
	fmt.Fprint(&kept, sessions)
	for _, method := range []string{"Inform", "InformResponse", "SetParameterValues", "SetParameterValuesResponse", "GetParameterValues", "GetParameterValuesResponse",
		"Fault", "TransferComplete", "TransferCompleteResponse"} {
		if !strings.Contains(kept.String(), "method:"+method+" ") && !strings.Contains(kept.String(), "method:"+method+"]") {
			p.t.Errorf("no %s was recorded", method)
		}
	}
	if !strings.Contains(kept.String(), "[redacted]") || !strings.Contains(kept.String(), "<cwmp:Inform>") || strings.Contains(kept.String(), "[not kept") {
		p.t.Errorf("recorded %s", kept.String())
	}
}
