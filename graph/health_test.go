package graph_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store"
)

const healthOf = `query($e: String!, $l: String!) { account(ref: {externalId: $e}) { health { level since causes { code level since message(locale: $l) device { serialNumber } suggestedActions } } } }`

// sick is an account whose world was made so that one condition holds.
type sick struct {
	level   string
	zh, en  string // messages
	since   string
	device  any
	actions string
	more    map[string]any // of the input of provisionAccount
	devices int
	// make does it, after the account is there; device is the first of its devices.
	make func(h *house, tx *store.Tx, account, device models.ID) error
}

// set changes columns of a row.
func set(table, key string, id func(account, device models.ID) models.ID, columns map[string]any) func(*house, *store.Tx, models.ID, models.ID) error {
	return func(_ *house, tx *store.Tx, account, device models.ID) error {
		return tx.DB.Table(table).Where(key+" = ?", id(account, device)).Updates(columns).Error
	}
}

func theAccount(a, _ models.ID) models.ID { return a }
func theDevice(_, d models.ID) models.ID  { return d }

const (
	minute    = "2026-01-05T02:00:00.000Z" // when everything began
	later     = "2026-01-05T05:00:00.000Z" // when the test goes on
	muchLater = 3 * time.Hour
)

func began(h *house) models.Time { return h.clock.Now().Add(-muchLater) }

// report is a report of call statistics of 100 packets, of which some were lost.
func report(lost, delayMicros int64, due models.Time) func(*house, *store.Tx, models.ID, models.ID) error {
	return func(h *house, tx *store.Tx, account, device models.ID) error {
		counters := models.DocOf(map[string]int64{"line.stats.packetsReceived": 100})
		return tx.DB.Create(&models.StatisticsReport{DeviceID: device, BootID: "b", Seq: 1, PreviousSeq: -1, AccountID: account, ReceivedAt: began(h), DueAt: due,
			Hash: make([]byte, 32), Counters: counters, Deltas: models.DocOf(map[string]int64{"line.stats.packetsReceived": 100 - lost, "line.stats.packetsLost": lost}),
			Gauges: models.DocOf(map[string]int64{"line.stats.averageRoundTripDelay": delayMicros})}).Error
	}
}

// screen is a magic screen that is not bound to the account, but named by its order.
func screen(stock models.StockState, noted string, waits bool) func(*house, *store.Tx, models.ID, models.ID) error {
	return func(h *house, tx *store.Tx, account, device models.ID) error {
		d := models.Device{ID: models.NewID(), Key: models.DeviceKey("screen " + device.String()), ClientType: models.MagicScreen, SerialNumber: device.String(), StockState: stock}
		if waits {
			d.WaitingAt = began(h)
		}
		if err := tx.DB.Create(&d).Error; err != nil {
			return err
		}
		if err := tx.DB.Table("accounts").Where("id = ?", account).Update("screen_serial", d.SerialNumber).Error; err != nil {
			return err
		}
		return tx.DB.Create(&models.Screen{DeviceID: d.ID, Noted: noted}).Error
	}
}

// ill is every condition by its code.
var ill = map[string]sick{
	"ACCOUNT_PENDING": {level: "BROKEN", zh: "账户尚未激活", en: "The account is not active yet", since: later, actions: "[activateAccount]", more: map[string]any{"activate": false}},
	"ACCOUNT_SUSPENDED": {level: "BROKEN", zh: "账户已停机（欠费）", en: "The account is suspended (non-payment)", since: later, actions: "[resumeAccount]",
		make: set("accounts", "id", theAccount, map[string]any{"state": "SUSPENDED", "state_reason": "NON_PAYMENT"})},
	"ACCOUNT_TERMINATED": {level: "BROKEN", zh: "账户已销户", en: "The account is closed", since: minute, actions: "[]",
		make: set("accounts", "id", theAccount, map[string]any{"state": "TERMINATED", "terminated_at": 1767578400000})},
	"SIP_SECRET_MISSING": {level: "BROKEN", zh: "没有 SIP 密码，线路无法注册", en: "There is no SIP secret, so the line cannot register", actions: "[modifyAccount]", devices: 1,
		make: set("accounts", "id", theAccount, map[string]any{"sip_secret_source": "NONE"})},
	"PASSWORD_LOCKED": {level: "BROKEN", zh: "登录失败次数过多，账户已锁定", en: "The account is locked after too many failed logins", actions: "[unlockAccount resetAccountPassword]", devices: 1,
		make: lock},
	"OFFLINE": {level: "BROKEN", zh: "所有终端均离线", en: "Every device is offline", since: minute, actions: "[]", devices: 2,
		make: func(h *house, tx *store.Tx, account, _ models.ID) error {
			return tx.DB.Table("devices").Where("account_id = ?", account).Updates(map[string]any{"reachability": "OFFLINE", "reachability_at": began(h)}).Error
		}},
	"REAUTH_REQUIRED": {level: "BROKEN", zh: "终端须重新登录后才能使用", en: "The device must authenticate again before it is served", device: true, actions: "[resetAccountPassword]", devices: 1,
		make: set("devices", "id", theDevice, map[string]any{"reauth_required": true})},
	"MUST_CHANGE_PASSWORD": {level: "BROKEN", zh: "用户须先修改一次性密码", en: "The one-time password must be changed before the device is served", device: true, actions: "[resetAccountPassword]",
		devices: 1, make: set("devices", "id", theDevice, map[string]any{"must_change_password": true})},
	"CONFIG_FAILED": {level: "BROKEN", zh: "配置下发失败：9007 Device.X", en: "The configuration was refused: 9007 Device.X", since: minute, device: true, actions: "[redeliverConfiguration modifyAccount createDeviceTask]",
		devices: 1, make: func(h *house, tx *store.Tx, _, device models.ID) error {
			return tx.DB.Create(&models.Configuration{DeviceID: device, State: models.ConfigurationFailed, Failure: "9007 Device.X", ChangedAt: began(h)}).Error
		}},
	"OLD_VERSION": {level: "BROKEN", zh: "软件版本过低：1.4.9", en: "The software is too old: 1.4.9", device: true, actions: "[createDeviceTask]", devices: 1,
		make: set("devices", "id", theDevice, map[string]any{"software_version": "1.4.9"})},
	"IMSI_CHANGED": {level: "DEGRADED", zh: "SIM 卡与登记的不一致", en: "The SIM card is not the one that is known", since: minute, device: true, actions: "[modifyAccount resetAccountPassword]", devices: 1,
		make: func(h *house, tx *store.Tx, account, device models.ID) error {
			return tx.DB.Create(&models.Event{ID: models.NewID(), Type: models.Security, OccurredAt: began(h), Subject: models.Subject{Kind: models.KindAccount, ID: account},
				AccountID: account, DeviceID: device, Payload: models.DocOf(map[string]any{"code": "security.sim_changed"})}).Error
		}},
	"STALE": {level: "DEGRADED", zh: "终端心跳超时，可能已离线", en: "No device was heard of when it should have been", since: "2026-01-01T02:00:00.000Z", actions: "[]", devices: 1,
		make: func(h *house, tx *store.Tx, _, device models.ID) error {
			return tx.DB.Table("device_presence").Where("device_id = ?", device).Update("last_inform_at", began(h).Add(-96*time.Hour)).Error
		}},
	"CONFIG_PENDING": {level: "DEGRADED", zh: "配置超过一小时未下发", en: "A configuration has waited for more than an hour", since: minute, device: true, actions: "[redeliverConfiguration createDeviceTask]", devices: 1,
		make: func(h *house, tx *store.Tx, _, device models.ID) error {
			return tx.DB.Create(&models.Configuration{DeviceID: device, State: models.ConfigurationPending, ChangedAt: began(h)}).Error
		}},
	"SIP_REGISTER_REJECTED": {level: "BROKEN", zh: "线路注册被拒绝（SIP 403）", en: "The registration of the line was refused (SIP 403)", since: minute, device: true,
		actions: "[redeliverConfiguration runDiagnostic]", devices: 2, make: func(h *house, tx *store.Tx, _, device models.ID) error {
			return tx.DB.Create(&models.LineRegistration{DeviceID: device, LineIndex: 1, Status: models.LineError, Since: began(h), SipStatus: 403, Reason: "Forbidden"}).Error
		}},
	"CONFIG_DRIFT": {level: "DEGRADED", zh: "终端反复改动已下发的配置", en: "The device keeps changing back what it is given", device: true, actions: "[redeliverConfiguration]", devices: 1,
		make: func(_ *house, tx *store.Tx, _, device models.ID) error {
			return tx.DB.Create(&models.Configuration{DeviceID: device, State: models.ConfigurationApplied, Drifting: true}).Error
		}},
	"SCREEN_STOLEN": {level: "BROKEN", zh: "魔屏已报失，不再提供服务", en: "The screen was reported stolen and is not served", actions: "[modifyAccount]", devices: 1,
		make: screen(models.Stolen, "", false)},
	"SCREEN_WAITING": {level: "BROKEN", zh: "魔屏未获服务：订单尚未就绪", en: "The screen is not served: its order is not ready", since: minute, actions: "[modifyAccount]", devices: 1,
		make: screen(models.Allocated, "screen.waiting", true)},
	"SCREEN_LINE_MISMATCH": {level: "BROKEN", zh: "魔屏未获服务：宽带线路与订单不符", en: "The screen is not served: it is on another line than its order says", since: minute,
		device: true, actions: "[modifyAccount]", devices: 1, make: func(h *house, tx *store.Tx, account, device models.ID) error {
			if err := set("devices", "id", theDevice, map[string]any{"client_type": models.MagicScreen, "waiting_at": began(h)})(h, tx, account, device); err != nil {
				return err
			}
			return tx.DB.Create(&models.Screen{DeviceID: device, Noted: "security.line_mismatch"}).Error
		}},
	"SCREEN_OF_TWO": {level: "BROKEN", zh: "魔屏未获服务：它已绑定一个账户，又被另一账户的订单登记", en: "The screen is not served: it is bound to one account and ordered for another", since: minute,
		actions: "[modifyAccount]", devices: 1, make: screen(models.Active, "security.screen_bound_to_other", true)},
	"UPGRADE_FAILED": {level: "DEGRADED", zh: "最近一次升级失败", en: "The latest upgrade failed", since: minute, device: true, actions: "[createDeviceTask]", devices: 1,
		make: func(h *house, tx *store.Tx, _, device models.ID) error {
			for i, state := range []models.TaskState{models.TaskSucceeded, models.TaskFailed} {
				id := models.ID{0xff, byte(i)}
				if err := tx.DB.Create(&models.Task{ID: id, DeviceID: device, Kind: models.DownloadTask, State: state, Request: models.Sealed("x"), CompletedAt: began(h)}).Error; err != nil {
					return err
				}
				if err := tx.DB.Create(&models.DeviceDownload{TaskID: id, DeviceID: device, PackageID: models.NewID()}).Error; err != nil {
					return err
				}
			}
			return nil
		}},
	"BAD_MEDIA": {level: "DEGRADED", zh: "通话质量差（MOS 2.5）", en: "Calls are poor (MOS 2.5)", since: minute, device: true, actions: "[runDiagnostic]", devices: 1, make: report(0, 2_000_000, 9)},
	"HIGH_LOSS": {level: "DEGRADED", zh: "丢包率高（5.0%）", en: "Many packets are lost (5.0 %)", since: minute, device: true, actions: "[runDiagnostic]", devices: 1, make: report(5, 0, 9)},
	"STATISTICS_MISSING": {level: "DEGRADED", zh: "终端停止上报通话统计", en: "The device stopped reporting call statistics", since: minute, device: true, actions: "[createDeviceTask]", devices: 1,
		make: report(0, 0, 0)},
	"SMS_UNDELIVERED": {level: "DEGRADED", zh: "最近一条短信未送达", en: "The latest SMS did not arrive", since: minute, actions: "[modifyAccount resetAccountPassword]", devices: 1,
		make: func(h *house, tx *store.Tx, account, _ models.ID) error {
			for i, state := range []models.SmsState{models.SmsDelivered, models.SmsUndeliverable} {
				if err := tx.DB.Create(&models.SmsMessage{ID: models.ID{account[15], byte(i)}, AccountID: account, State: state, FinalAt: began(h)}).Error; err != nil {
					return err
				}
			}
			return nil
		}},
	"PASSWORD_NONE": {level: "DEGRADED", zh: "未设置登录密码", en: "There is no login password", actions: "[resetAccountPassword]", devices: 1, more: map[string]any{"initialPassword": nil}},
	"NO_DEVICE":     {level: "UNKNOWN", zh: "尚无终端登录", en: "No device has logged in", actions: "[]"},
	"NEVER_SEEN": {level: "UNKNOWN", zh: "终端从未上线", en: "No device was ever heard of", actions: "[]", devices: 1,
		make: set("devices", "id", theDevice, map[string]any{"reachability": "NEVER_SEEN"})},
}

// patient makes an account with devices that are online and fine, and then ill.
func (h *house) patient(i int, name string, s sick) {
	h.Helper()
	number := fmt.Sprintf("8621623450%02d", i)
	more := map[string]any{"region": "north", "boundMobile": "+8613812340001", "initialPassword": "Blue-Kite-42!"}
	maps.Copy(more, s.more)
	h.must(h.bss, provisionAccount, h.input(name, "+"+number, more))
	serials := []string{}
	for j := range s.devices {
		serials = append(serials, fmt.Sprintf("%s-%d", name, j))
	}
	h.bind(models.Number(number), serials...)
	err := h.store.InTx(models.WithActor(h.Context(), models.System("test")), func(tx *store.Tx) error {
		var a models.Account
		if err := tx.DB.Where("external_id = ?", name).Take(&a).Error; err != nil {
			return err
		}
		var list []models.Device
		if err := tx.DB.Where("account_id = ?", a.ID).Order("id").Find(&list).Error; err != nil {
			return err
		}
		var first models.ID
		for _, d := range list {
			if first.IsZero() {
				first = d.ID
			}
			if err := tx.DB.Table("devices").Where("id = ?", d.ID).Updates(map[string]any{"reachability": "ONLINE", "software_version": "1.10"}).Error; err != nil {
				return err
			}
			if err := tx.DB.Table("device_presence").Where("device_id = ?", d.ID).Update("last_inform_at", h.clock.Now()).Error; err != nil {
				return err
			}
		}
		if s.make == nil {
			return nil
		}
		return s.make(h, tx, a.ID, first)
	})
	if err != nil {
		h.Fatalf("%s: %v", name, err)
	}
}

// lock is what too many wrong proofs leave behind.
func lock(h *house, tx *store.Tx, account, _ models.ID) error {
	subject := tx.HMAC("lockout account", "account "+account.String())
	return tx.DB.Create(&models.Lockout{Scope: "account", Subject: subject[:], AccountID: account, Failures: 5, LockedUntil: h.clock.Now().Add(time.Hour)}).Error
}

func TestEveryConditionOfHealthIsTold(t *testing.T) {
	onBoth(t, func(h *house) {
		h.clock.Advance(muchLater)
		h.bss = h.token("bss", clientSecret)
		rows := regexp.MustCompile(`(?m)^\t\{"([A-Z_]+)", `).FindAllStringSubmatch(read(h.T, "../models/desk/conditions.go"), -1)
		for _, row := range rows {
			if _, tested := ill[row[1]]; !tested {
				h.Errorf("nothing is ill with %s", row[1])
			}
		}
		if len(rows) != len(ill) {
			h.Errorf("%d rows, %d are tested", len(rows), len(ill))
		}
		served := map[any]bool{}
		for _, f := range h.must(h.bss, `{ __type(name: "Mutation") { fields { name } } }`, nil).at("__type.fields").([]any) {
			served[dig(f, "name")] = true
		}
		h.patient(99, "well", sick{devices: 2})
		h.must(h.bss, healthOf, map[string]any{"e": "well", "l": "en"}).want("account.health", "map[causes:[] level:GOOD since:<nil>]")
		for i, code := range slices.Sorted(maps.Keys(ill)) {
			s := ill[code]
			h.patient(i, code, s)
			a := h.must(h.bss, healthOf, map[string]any{"e": code, "l": "zh-CN"})
			a.want("account.health.level", s.level)
			a.want("account.health.causes.0.code", code)
			a.want("account.health.causes.0.level", s.level)
			a.want("account.health.causes.0.message", s.zh)
			a.want("account.health.causes.0.suggestedActions", s.actions)
			a.want("account.health.causes.1", nil)
			var since, device any
			if s.since != "" {
				since = s.since
			}
			if s.device != nil {
				device = code + "-0"
			}
			a.want("account.health.causes.0.since", since)
			a.want("account.health.since", since)
			a.want("account.health.causes.0.device.serialNumber", device)
			h.must(h.bss, healthOf, map[string]any{"e": code, "l": "en-GB"}).want("account.health.causes.0.message", s.en)
			for _, action := range strings.Fields(strings.Trim(s.actions, "[]")) {
				if !served[action] {
					h.Errorf("%s suggests %s, which is no mutation", code, action)
				}
			}
		}
		h.ask(h.bss, healthOf, map[string]any{"e": "CONFIG_FAILED", "l": "fr"}).refused(200, models.BadUserInput)

		// The customer's new SIM card is in a device that is not theirs yet.
		h.patient(98, "new-sim", sick{devices: 1, make: func(h *house, tx *store.Tx, account, _ models.ID) error {
			return ill["IMSI_CHANGED"].make(h, tx, account, models.NewID())
		}})
		h.must(h.bss, healthOf, map[string]any{"e": "new-sim", "l": "en"}).want("account.health.causes", "[map[code:IMSI_CHANGED device:<nil> level:DEGRADED message:The SIM card is not the one that is known since:"+minute+" suggestedActions:[modifyAccount resetAccountPassword]]]")

		// Whoever may not read devices is told what is wrong, and not with which.
		reader := h.client("reader", nil, models.AccountRead)
		h.must(reader, `{ account(ref: {externalId: "CONFIG_FAILED"}) { health { causes { code } } } }`, nil).want("account.health.causes", "[map[code:CONFIG_FAILED]]")
		h.ask(reader, healthOf, map[string]any{"e": "CONFIG_FAILED", "l": "en"}).refused(200, models.Forbidden)
		elsewhere := h.with("elsewhere", h.role("read", nil, models.AccountRead), h.role("south", []string{"south"}, models.DeviceRead))
		b := h.must(elsewhere, healthOf, map[string]any{"e": "CONFIG_FAILED", "l": "en"})
		b.want("account.health.causes.0.code", "CONFIG_FAILED")
		b.want("account.health.causes.0.device", nil)

		// However many accounts, devices and rows there are: the same statements.
		staff := h.client("staff", nil, models.AccountRead, models.DeviceRead)
		h.must(staff, `{ viewer { regions } }`, nil)
		for query, most := range map[string]int64{
			`{ account(ref: {externalId: "OFFLINE"}) { passwordState health { level causes { code device { serialNumber reachability } } } } }`:                                                                   6,
			`{ accounts(first: 50) { nodes { passwordState health { level causes { code device { serialNumber } } } } } }`:                                                                                        6,
			`{ account(ref: {externalId: "OFFLINE"}) { state msisdn passwordState lockedUntil health { level since causes { code message device { serialNumber } } } bindings { nodes { id state boundAt } } } }`: 6,
		} {
			ctx, n := store.CountStatements(h.Context())
			if a := h.askIn(ctx, staff, query, nil, nil); a.status != 200 || a.body["errors"] != nil || n.Load() > most {
				h.Errorf("%s: %d statements of at most %d: %.300s", query, n.Load(), most, a.text)
			}
		}
	})
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
