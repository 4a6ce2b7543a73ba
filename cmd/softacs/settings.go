package main

import (
	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/bindings"
	"github.com/softacs/softacs/models/passwords"
)

// Config is every setting (docs/operations.md lists them). Durations are in seconds.
type Config struct {
	Database  models.Secret `koanf:"database"`
	North     Listener      `koanf:"north"`
	South     South         `koanf:"south"`
	Portal    Listener      `koanf:"portal"`
	AAA       AAA           `koanf:"aaa"`
	Admin     Listener      `koanf:"admin"`
	Lab       bool          `koanf:"lab"`
	LabRemote bool          `koanf:"labAllowRemote"`
	Bootstrap struct {
		AdminPassword models.Secret `koanf:"adminPassword"`
		APIClient     models.Secret `koanf:"apiClient"`
	} `koanf:"bootstrap"`
	SMS        models.Secret `koanf:"sms"`
	SecretKeys string        `koanf:"secretKeys"`
	IMS        struct {
		Secret string `koanf:"secret"`
		Domain string `koanf:"domain"`
	} `koanf:"ims"`
	Reporting struct {
		TimeZone string `koanf:"timeZone"`
	} `koanf:"reporting"`
	Migrate struct {
		Auto bool `koanf:"auto"`
	} `koanf:"migrate"`
	Packages struct {
		Dir      string `koanf:"dir"`
		MaxBytes int64  `koanf:"maxBytes"`
		URL      string `koanf:"url"`
	} `koanf:"packages"`
	Upgrade struct {
		VendorKeys []string `koanf:"vendorKeys"`
	} `koanf:"upgrade"`
	Webhooks struct {
		Timeout int `koanf:"timeout"`
	} `koanf:"webhooks"`
	I4 I4 `koanf:"i4"`
}

// Listener is where a door listens; an empty portal.addr or admin.addr is off.
type Listener struct {
	Addr string `koanf:"addr"`
}

// South is the south door.
type South struct {
	Addr string `koanf:"addr"`
	TLS  struct {
		Cert     string   `koanf:"cert"`
		Key      string   `koanf:"key"`
		ClientCA string   `koanf:"clientCA"`
		CRL      []string `koanf:"crl"`
		CRLGrace int      `koanf:"crlGrace"`
	} `koanf:"tls"`
}

// AAA is the listener for RADIUS accounting.
type AAA struct {
	Addr     string        `koanf:"addr"`
	Secret   models.Secret `koanf:"secret"`
	Clients  []string      `koanf:"clients"`
	Line     string        `koanf:"line"`
	MaxAge   int           `koanf:"maxAge"`
	MaxLines int64         `koanf:"maxLines"`
}

// I4 are the settings of interface I4 (i4.md E).
type I4 struct {
	Profile string `koanf:"profile"`
	ACS     struct {
		Path string `koanf:"path"`
	} `koanf:"acs"`
	Session struct {
		Timeout       int `koanf:"timeout"`
		MaxDuration   int `koanf:"maxDuration"`
		MaxRoundTrips int `koanf:"maxRoundTrips"`
	} `koanf:"session"`
	TLS struct {
		MinVersion string `koanf:"minVersion"`
	} `koanf:"tls"`
	HTTP struct {
		Digest struct {
			SHA256    bool `koanf:"sha256"`
			NonceTTL  int  `koanf:"nonceTtl"`
			NonceRing int  `koanf:"nonceRing"`
		} `koanf:"digest"`
	} `koanf:"http"`
	Number struct {
		Country string `koanf:"country"`
		Area    string `koanf:"area"`
	} `koanf:"number"`
	Auth     Auth `koanf:"auth"`
	Password struct {
		MustChangeInitial bool `koanf:"mustChangeInitial"`
	} `koanf:"password"`
	ChangePwd struct {
		Transport string `koanf:"transport"`
		Day       int    `koanf:"day"`
		Grace     int    `koanf:"grace"`
	} `koanf:"changepwd"`
	Reset struct {
		TTL int `koanf:"ttl"`
		Day int `koanf:"day"`
	} `koanf:"reset"`
	Mobile Mobile `koanf:"mobile"`
	Screen Screen `koanf:"screen"`
	GetPwd struct {
		TTL        int            `koanf:"ttl"`
		Length     int            `koanf:"length"`
		Alphabet   string         `koanf:"alphabet"`
		BindDevice bool           `koanf:"bindDevice"`
		Pad        int            `koanf:"padMilliseconds"`
		Limits     PasswordLimits `koanf:"limits"`
	} `koanf:"getpwd"`
	Lockout Lockout `koanf:"lockout"`
	CGN     struct {
		Ranges []string `koanf:"ranges"`
		Factor int      `koanf:"factor"`
	} `koanf:"cgn"`
	Limits DoorLimits `koanf:"limits"`
	Alarms struct {
		SecurityPer5Minutes int `koanf:"securityPer5Minutes"`
	} `koanf:"alarms"`
	Device struct {
		Max      map[string]int `koanf:"max"`
		Conflict string         `koanf:"conflict"`
	} `koanf:"device"`
	Register struct {
		ReportAlready bool `koanf:"reportAlready"`
	} `koanf:"register"`
	Upgrade struct {
		MinVersion map[string]string `koanf:"minVersion"`
		Spread     int               `koanf:"spread"`
		URLTTL     int               `koanf:"urlTtl"`
		NotifyOnly []string          `koanf:"notifyOnly"`
		InfoURL    map[string]string `koanf:"infoUrl"`
	} `koanf:"upgrade"`
	SMS struct {
		Template        string `koanf:"template"`
		CodeTemplate    string `koanf:"codeTemplate"`
		ChangedTemplate string `koanf:"changedTemplate"`
		Window          int    `koanf:"window"`
		TPS             int    `koanf:"tps"`
	} `koanf:"sms"`
	Stats struct {
		Interval int `koanf:"interval"`
	} `koanf:"stats"`
	Diag struct {
		Targets []string `koanf:"targets"`
		Timeout int      `koanf:"timeout"`
	} `koanf:"diag"`
	Drift     Drift                        `koanf:"drift"`
	Presence  Presence                     `koanf:"presence"`
	Heartbeat map[string]Heartbeat         `koanf:"heartbeat"`
	Defaults  map[string]map[string]string `koanf:"defaults"`
	Areas     map[string]map[string]string `koanf:"areas"`
	Services  map[string]struct {
		On  map[string]string `koanf:"on"`
		Off map[string]string `koanf:"off"`
	} `koanf:"services"`
}

// Auth is how clients prove themselves (i4.md C.2).
type Auth struct {
	Modes           []string `koanf:"modes"`
	AntiEnumeration bool     `koanf:"antiEnumeration"`
	Iterations      int      `koanf:"iterations"`
	MinIterations   int      `koanf:"minIterations"`
	ChallengeTTL    int      `koanf:"challengeTtl"`
	TimestampWindow int      `koanf:"timestampWindow"`
	Realm           string   `koanf:"realm"`
	LegacyPlaintext string   `koanf:"legacyPlaintext"`
}

// Mobile is the first authentication of mobile clients (i4.md B.3).
type Mobile struct {
	Modes           []string `koanf:"modes"`
	TrustedGateways []string `koanf:"trustedGateways"`
	MDNHeader       string   `koanf:"mdnHeader"`
	IMSIMismatch    string   `koanf:"imsiMismatch"`
	TokenTTL        int      `koanf:"tokenTtl"`
	CodeTTL         int      `koanf:"codeTtl"`
	CodeTries       int      `koanf:"codeTries"`
}

// Presence guards against taking an outage of ours for one of the devices (i4.md B.6).
type Presence struct {
	MassPercent   int `koanf:"massPercent"`
	MassMinimum   int `koanf:"massMinimum"`
	FreezeMinutes int `koanf:"freezeMinutes"`
}

// PasswordLimits are those of GETPWD (i4.md B.1).
type PasswordLimits struct {
	NumberSeconds   int `koanf:"numberSeconds"`
	NumberDay       int `koanf:"numberDay"`
	MDNDay          int `koanf:"mdnDay"`
	Device10Min     int `koanf:"device10min"`
	DeviceDay       int `koanf:"deviceDay"`
	IPHour          int `koanf:"ipHour"`
	GlobalPerSecond int `koanf:"globalPerSecond"`
}

// Lockout is what wrong proofs lead to (i4.md C.3).
type Lockout struct {
	Tries       int `koanf:"tries"`
	Minutes     int `koanf:"minutes"`
	MaxHours    int `koanf:"maxHours"`
	AccountHour int `koanf:"accountHour"`
	DeviceHour  int `koanf:"deviceHour"`
	IPHour      int `koanf:"ipHour"`
}

// DoorLimits are those of the south door.
type DoorLimits struct {
	Sessions         int `koanf:"sessions"`
	L0PerMinuteIP    int `koanf:"l0PerMinuteIp"`
	L0PerSecond      int `koanf:"l0PerSecond"`
	HeartbeatSeconds int `koanf:"heartbeatSeconds"`
	StatsMinutes     int `koanf:"statsMinutes"`
	DiagPerHour      int `koanf:"diagPerHour"`
}

// Drift is how the platform sees to it that clients keep what they confirmed (i4.md B.10).
type Drift struct {
	Interval int `koanf:"interval"`
	Sample   int `koanf:"sample"`
	PerDay   int `koanf:"perDay"`
}

// Heartbeat is how often a client type is to be heard of.
type Heartbeat struct {
	Interval int `koanf:"interval"`
	Missed   int `koanf:"missed"`
	Grace    int `koanf:"grace"`
}

// defaultConfig holds what is set when nobody sets anything; lab mode adds to it.
func defaultConfig() (c Config) {
	c.Database = "sqlite:data/softacs.db"
	c.North.Addr, c.South.Addr, c.Admin.Addr = "127.0.0.1:8080", "127.0.0.1:7547", "127.0.0.1:9090"
	c.South.TLS.CRLGrace = 86_400
	c.AAA.Line, c.AAA.MaxAge, c.AAA.MaxLines = "user-name", 7200, 2_000_000
	c.Reporting.TimeZone = "Asia/Shanghai"
	c.I4.ACS.Path = "/acs"
	c.I4.Session.Timeout, c.I4.Session.MaxDuration, c.I4.Session.MaxRoundTrips = 40, 300, 64
	c.I4.HTTP.Digest.SHA256, c.I4.HTTP.Digest.NonceTTL, c.I4.HTTP.Digest.NonceRing = true, 300, 1<<20
	c.I4.Number.Country, c.I4.Number.Area = "86", "21"
	p, door, policy := passwords.Defaults(), server.DefaultLimits, bindings.DefaultPolicy()
	c.I4.Auth = Auth{
		Modes: []string{"challenge"}, AntiEnumeration: true, Iterations: p.Iterations, MinIterations: 10_000, ChallengeTTL: 60,
		TimestampWindow: 300, LegacyPlaintext: "deny",
	}
	c.I4.TLS.MinVersion = "1.2"
	c.Packages.MaxBytes = 1 << 30
	c.Webhooks.Timeout = 10
	c.I4.Upgrade.Spread, c.I4.Upgrade.URLTTL, c.I4.Upgrade.NotifyOnly = 300, 86_400, []string{"Mobile"}
	c.I4.ChangePwd.Transport, c.I4.ChangePwd.Day, c.I4.ChangePwd.Grace = "verifier", 5, 600
	c.I4.Reset.TTL, c.I4.Reset.Day = 86_400, 5
	c.I4.Mobile = Mobile{
		Modes: []string{"network", "sms"}, MDNHeader: "X-Up-Calling-Line-Id", IMSIMismatch: "sms", TokenTTL: 120, CodeTTL: 300, CodeTries: 5,
	}
	c.I4.Screen.LineCheck = "warn"
	c.I4.CGN.Factor = 10
	c.I4.Alarms.SecurityPer5Minutes = p.AlarmRate
	c.I4.Presence = Presence{MassPercent: 20, MassMinimum: 50, FreezeMinutes: 60}
	c.I4.SMS.Window, c.I4.SMS.TPS = 10, 50
	c.I4.SMS.CodeTemplate = "【天翼宽带多媒体】手机客户端验证码：{code}，{min}分钟内有效，请勿告诉他人。"
	c.I4.SMS.ChangedTemplate = "【天翼宽带多媒体】您的客户端登录密码已修改。如非本人操作，请尽快联系客服。"
	g := &c.I4.GetPwd
	g.TTL, g.Length, g.Alphabet, g.BindDevice, g.Pad = int(p.OTPTTL.Seconds()), p.OTPLength, p.OTPAlphabet, p.BindDevice, 300
	g.Limits, c.I4.Lockout, c.I4.SMS.Template = PasswordLimits(p.Limits), Lockout(p.Lockout), p.Template
	c.I4.Stats.Interval = 86_400
	c.I4.Drift = Drift{Interval: 86_400, Sample: 16, PerDay: 3}
	c.I4.Limits = DoorLimits{
		Sessions: 20_000, L0PerMinuteIP: door.L0PerMinuteIP, L0PerSecond: door.L0PerSecond, HeartbeatSeconds: door.HeartbeatSeconds, StatsMinutes: 15,
		DiagPerHour: 6,
	}
	c.I4.Diag.Timeout = 600
	c.I4.Device.Conflict, c.I4.Device.Max = string(policy.Conflict), map[string]int{}
	for t, n := range policy.Max {
		c.I4.Device.Max[t.Wire()] = n
	}
	return c
}
