package desk

import (
	"fmt"
	"strconv"
	"time"

	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/statistics"
)

// Level says how bad something is.
type Level string

// The levels of the schema.
const (
	Good     Level = "GOOD"
	Unknown  Level = "UNKNOWN"
	Degraded Level = "DEGRADED"
	Broken   Level = "BROKEN"
)

// badness orders the levels; the worst of its causes is an account's.
var badness = map[Level]int{Good: 0, Unknown: 1, Degraded: 2, Broken: 3}

const (
	// pendingLong is how long a configuration may wait for a device that is there: several heartbeats.
	pendingLong = time.Hour
	// poorMOS is where ITU-T G.107 Annex B begins to say "many users dissatisfied" (R = 70); highLoss is what G.711 with concealment does not hide.
	poorMOS  = 3.6
	highLoss = 5.0
	// lately is how long a foreign SIM card is told of that nobody has logged in after.
	lately = 7 * 24 * time.Hour
)

// finding is one time that a condition holds: of the account, or of one of its devices.
type finding struct {
	since  models.Time // zero: not known
	device *models.Device
	detail words // what stands for {} in the message
}

// condition is a row of the table: what may be wrong, how bad it is, how it is said and what usually helps. Actions are names of mutations.
type condition struct {
	code    string
	level   Level
	says    words
	actions []string
	// hold finds where the condition holds.
	hold func(r *Room, p *picture) []finding
}

// closed are the conditions of an account that is not meant to work: while one of them holds nothing else is looked at.
var closed = []condition{
	{"ACCOUNT_TERMINATED", Broken, words{"账户已销户", "The account is closed"}, nil,
		func(_ *Room, p *picture) []finding {
			return p.when(p.account.State == models.AccountTerminated, p.account.TerminatedAt)
		}},
	{"ACCOUNT_SUSPENDED", Broken, words{"账户已停机（{}）", "The account is suspended ({})"}, []string{"resumeAccount"},
		func(_ *Room, p *picture) []finding {
			if p.account.State != models.AccountSuspended {
				return nil
			}
			return []finding{{since: p.account.StateChangedAt, detail: suspensions[models.SuspendReason(p.account.StateReason)]}}
		}},
	{"ACCOUNT_PENDING", Broken, words{"账户尚未激活", "The account is not active yet"}, []string{"activateAccount"},
		func(_ *Room, p *picture) []finding {
			return p.when(p.account.State == models.AccountPending, p.account.StateChangedAt)
		}},
}

// suspensions are why an account is suspended.
var suspensions = map[models.SuspendReason]words{
	models.SuspendCustomerRequest: {"用户申请", "customer's request"},
	models.SuspendNonPayment:      {"欠费", "non-payment"},
	models.SuspendFraud:           {"欺诈", "fraud"},
	models.SuspendRegulatory:      {"监管要求", "regulatory"},
	models.SuspendMaintenance:     {"维护", "maintenance"},
}

// conditions are those of an active account, the worst first.
var conditions = []condition{
	{"SIP_SECRET_MISSING", Broken, words{"没有 SIP 密码，线路无法注册", "There is no SIP secret, so the line cannot register"}, []string{"modifyAccount"},
		func(_ *Room, p *picture) []finding { return p.when(p.account.SipSecretSource == models.SecretNone, 0) }},
	{"PASSWORD_LOCKED", Broken, words{"登录失败次数过多，账户已锁定", "The account is locked after too many failed logins"},
		[]string{"unlockAccount", "resetAccountPassword"},
		func(_ *Room, p *picture) []finding { return p.when(p.password.Password == models.PasswordLocked, 0) }},
	{"OFFLINE", Broken, words{"所有终端均离线", "Every device is offline"}, nil, func(_ *Room, p *picture) []finding {
		return p.when(len(p.devices) > 0 && p.best() == models.Offline, p.lastLeft())
	}},
	{"REAUTH_REQUIRED", Broken, words{"终端须重新登录后才能使用", "The device must authenticate again before it is served"}, []string{"resetAccountPassword"},
		ofEach(func(d *standing) (bool, models.Time, string) { return d.ReauthRequired, 0, "" })},
	{"MUST_CHANGE_PASSWORD", Broken, words{"用户须先修改一次性密码", "The one-time password must be changed before the device is served"}, []string{"resetAccountPassword"},
		ofEach(func(d *standing) (bool, models.Time, string) { return d.MustChangePassword, d.LoginAt, "" })},
	{"SCREEN_STOLEN", Broken, words{"魔屏已报失，不再提供服务", "The screen was reported stolen and is not served"}, []string{"modifyAccount"},
		signs(signScreen, func(s *sign, _ *standing) (bool, string) { return s.Word == string(models.Stolen), "" })},
	{"SCREEN_WAITING", Broken, words{"魔屏未获服务：订单尚未就绪", "The screen is not served: its order is not ready"}, []string{"modifyAccount"},
		signs(signScreen, func(s *sign, _ *standing) (bool, string) { return !stands[s.Word], "" })},
	{"SCREEN_LINE_MISMATCH", Broken, words{"魔屏未获服务：宽带线路与订单不符", "The screen is not served: it is on another line than its order says"}, []string{"modifyAccount"},
		signs(signScreen, func(s *sign, _ *standing) (bool, string) { return s.Word == "security.line_mismatch", "" })},
	{"SCREEN_OF_TWO", Broken, words{"魔屏未获服务：它已绑定一个账户，又被另一账户的订单登记", "The screen is not served: it is bound to one account and ordered for another"},
		[]string{"modifyAccount"},
		signs(signScreen, func(s *sign, _ *standing) (bool, string) { return s.Word == "security.screen_bound_to_other", "" })},
	{"CONFIG_FAILED", Broken, words{"配置下发失败：{}", "The configuration was refused: {}"}, []string{"redeliverConfiguration", "modifyAccount", "createDeviceTask"},
		ofEach(func(d *standing) (bool, models.Time, string) {
			return d.State == models.ConfigurationFailed, d.ChangedAt, d.Failure
		})},
	{"SIP_REGISTER_REJECTED", Broken, words{"线路注册被拒绝（SIP {}）", "The registration of the line was refused (SIP {})"}, []string{"redeliverConfiguration", "runDiagnostic"},
		ofEach(func(d *standing) (bool, models.Time, string) {
			return d.there() && d.Line.Refused(), d.Line.Since, strconv.Itoa(d.Line.SipStatus)
		})},
	{"OLD_VERSION", Broken, words{"软件版本过低：{}", "The software is too old: {}"}, []string{"createDeviceTask"}, func(r *Room, p *picture) []finding {
		return ofEach(func(d *standing) (bool, models.Time, string) {
			return d.SoftwareVersion != "" && models.TooOld(d.SoftwareVersion, r.config.MinVersion[d.ClientType]), 0, d.SoftwareVersion
		})(r, p)
	}},
	{"IMSI_CHANGED", Degraded, words{"SIM 卡与登记的不一致", "The SIM card is not the one that is known"}, []string{"modifyAccount", "resetAccountPassword"},
		signs(signSIM, func(s *sign, d *standing) (bool, string) { return d == nil || s.At >= d.LoginAt, "" })},
	{"STALE", Degraded, words{"终端心跳超时，可能已离线", "No device was heard of when it should have been"}, nil, func(_ *Room, p *picture) []finding {
		return p.when(p.best() == models.Stale, p.lastHeard())
	}},
	{"CONFIG_PENDING", Degraded, words{"配置超过一小时未下发", "A configuration has waited for more than an hour"}, []string{"redeliverConfiguration", "createDeviceTask"},
		func(r *Room, p *picture) []finding {
			return ofEach(func(d *standing) (bool, models.Time, string) {
				waits := d.State == models.ConfigurationPending || d.State == models.ConfigurationSent || d.State == models.ConfigurationCommitted
				return waits && d.there() && d.ChangedAt < p.now.Add(-pendingLong), d.ChangedAt, ""
			})(r, p)
		}},
	{"CONFIG_DRIFT", Degraded, words{"终端反复改动已下发的配置", "The device keeps changing back what it is given"}, []string{"redeliverConfiguration"},
		ofEach(func(d *standing) (bool, models.Time, string) { return d.Drifting, 0, "" })},
	{"UPGRADE_FAILED", Degraded, words{"最近一次升级失败", "The latest upgrade failed"}, []string{"createDeviceTask"},
		signs(signDownload, func(s *sign, _ *standing) (bool, string) { return s.Word == string(models.TaskFailed), "" })},
	{"BAD_MEDIA", Degraded, words{"通话质量差（MOS {}）", "Calls are poor (MOS {})"}, []string{"runDiagnostic"},
		signs(signReport, func(s *sign, _ *standing) (bool, string) {
			mos, _ := statistics.Media(s.report())
			return mos != nil && *mos < poorMOS, shown(mos)
		})},
	{"HIGH_LOSS", Degraded, words{"丢包率高（{}%）", "Many packets are lost ({} %)"}, []string{"runDiagnostic"},
		signs(signReport, func(s *sign, _ *standing) (bool, string) {
			_, loss := statistics.Media(s.report())
			return loss != nil && *loss >= highLoss, shown(loss)
		})},
	{"STATISTICS_MISSING", Degraded, words{"终端停止上报通话统计", "The device stopped reporting call statistics"}, []string{"createDeviceTask"},
		signs(signReport, func(s *sign, d *standing) (bool, string) { // the watch has looked for what follows and found nothing
			return s.Word == "" && d.reach == models.Online, ""
		})},
	{"SMS_UNDELIVERED", Degraded, words{"最近一条短信未送达", "The latest SMS did not arrive"}, []string{"modifyAccount", "resetAccountPassword"},
		signs(signSMS, func(s *sign, _ *standing) (bool, string) {
			return s.Word == string(models.SmsUndeliverable) || s.Word == string(models.SmsExpired) || s.Word == string(models.SmsRejected), ""
		})},
	{"PASSWORD_NONE", Degraded, words{"未设置登录密码", "There is no login password"}, []string{"resetAccountPassword"},
		func(_ *Room, p *picture) []finding { // mobile clients and magic screens prove themselves by other means
			return p.when(p.password.Password == models.PasswordNone && p.account.Includes(models.PC), 0)
		}},
	{"NO_DEVICE", Unknown, words{"尚无终端登录", "No device has logged in"}, nil,
		func(_ *Room, p *picture) []finding { return p.when(len(p.devices) == 0, 0) }},
	{"NEVER_SEEN", Unknown, words{"终端从未上线", "No device was ever heard of"}, nil,
		func(_ *Room, p *picture) []finding {
			return p.when(len(p.devices) > 0 && p.best() == models.NeverSeen, 0)
		}},
}

// stands are the words of a screen that have a condition of their own; whatever else was noted of one that waits, its order is not ready.
var stands = map[string]bool{string(models.Stolen): true, "security.line_mismatch": true, "security.screen_bound_to_other": true}

// ofEach looks at every device.
func ofEach(holds func(*standing) (bool, models.Time, string)) func(*Room, *picture) []finding {
	return func(_ *Room, p *picture) (found []finding) {
		for _, d := range p.devices {
			if ok, since, detail := holds(d); ok {
				found = append(found, finding{since, &d.Device, words{detail, detail}})
			}
		}
		return found
	}
}

// ofDevices are the kinds of evidence that are about a device of the account; one that was bound a moment ago is not known yet.
var ofDevices = map[string]bool{signDownload: true, signReport: true}

// signs looks at the evidence of one kind; d is the device of the account that it is about, nil for none.
func signs(kind string, holds func(s *sign, d *standing) (bool, string)) func(*Room, *picture) []finding {
	return func(_ *Room, p *picture) (found []finding) {
		seen := map[models.ID]bool{}
		for i := range p.signs {
			s := &p.signs[i]
			d := p.device(s.DeviceID)
			if s.Kind != kind || seen[s.DeviceID] || d == nil && ofDevices[kind] {
				continue
			}
			seen[s.DeviceID] = true
			if ok, detail := holds(s, d); ok {
				f := finding{since: s.At, detail: words{detail, detail}}
				if d != nil {
					f.device = &d.Device
				}
				found = append(found, f)
			}
		}
		return found
	}
}

// when is one finding of the account itself, if it holds.
func (p *picture) when(holds bool, since models.Time) []finding {
	if !holds {
		return nil
	}
	return []finding{{since: since}}
}

func shown(n *float64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%.1f", *n)
}
