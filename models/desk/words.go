package desk

import "github.com/softacs/softacs/models"

// Kind is what a line of a timeline is about.
type Kind string

// The kinds of the schema.
const (
	KindOrder         Kind = "ORDER"
	KindState         Kind = "STATE"
	KindLogin         Kind = "LOGIN"
	KindPresence      Kind = "PRESENCE"
	KindConfiguration Kind = "CONFIGURATION"
	KindSMS           Kind = "SMS"
	KindDiagnostic    Kind = "DIAGNOSTIC"
	KindUpgrade       Kind = "UPGRADE"
	KindFault         Kind = "FAULT"
	KindSecurity      Kind = "SECURITY"
	KindOperator      Kind = "OPERATOR"
	KindStatistics    Kind = "STATISTICS"
)

// kinds says of which kind the events of a type are. What people and programs did, from the audit log, is OPERATOR.
var kinds = map[models.EventType]Kind{
	"WORK_ORDER_STATE_CHANGED":     KindOrder,
	"BULK_STATE_CHANGED":           KindOrder,
	"ACCOUNT_CREATED":              KindState,
	"ACCOUNT_CHANGED":              KindState,
	"ACCOUNT_STATE_CHANGED":        KindState,
	"PASSWORD_CHANGED":             KindLogin,
	"DEVICE_REGISTERED":            KindLogin,
	"DEVICE_INFORM":                KindLogin,
	"BINDING_CHANGED":              KindLogin,
	"DEVICE_BOOTSTRAP":             KindPresence,
	"DEVICE_REACHABILITY_CHANGED":  KindPresence,
	"CONFIGURATION_CHANGED":        KindConfiguration,
	"DEVICE_PARAMETER_CHANGED":     KindConfiguration,
	"TASK_STATE_CHANGED":           KindConfiguration,
	"SMS_STATE_CHANGED":            KindSMS,
	"DIAGNOSTIC_COMPLETED":         KindDiagnostic,
	"UPGRADE_JOB_STATE_CHANGED":    KindUpgrade,
	"UPGRADE_TARGET_STATE_CHANGED": KindUpgrade,
	"ALARM_RAISED":                 KindFault,
	"ALARM_CLEARED":                KindFault,
	"SECURITY":                     KindSecurity,
	"STATISTICS_RECEIVED":          KindStatistics,
}

// told is how something that happened is said, and how bad it is.
type told struct {
	says  words
	level Level
}

// titles are the words for what happened, by the code of the event.
var titles = map[string]told{
	"account.activated":              {words{"账户已激活", "Account activated"}, Good},
	"account.changed":                {words{"账户已修改", "Account changed"}, Good},
	"account.created":                {words{"账户已创建", "Account created"}, Good},
	"account.resumed":                {words{"账户已复机", "Account resumed"}, Good},
	"account.suspended":              {words{"账户已停机", "Account suspended"}, Broken},
	"account.terminated":             {words{"账户已销户", "Account closed"}, Broken},
	"alarm.cleared":                  {words{"告警解除", "Alarm cleared"}, Good},
	"alarm.raised":                   {words{"告警产生", "Alarm raised"}, Broken},
	"client.authenticated":           {words{"终端认证通过", "Client authenticated"}, Good},
	"client.bootstrap":               {words{"终端初始化", "Device bootstrap"}, Good},
	"client.bound":                   {words{"终端已绑定", "Device bound"}, Good},
	"client.logoff_stale":            {words{"过期的下线通知，已忽略", "Stale logoff, ignored"}, Good},
	"client.offline":                 {words{"终端离线", "Client offline"}, Degraded},
	"client.online":                  {words{"终端上线", "Client online"}, Good},
	"client.reauth_required":         {words{"终端须重新认证", "Devices must authenticate again"}, Degraded},
	"client.rebound":                 {words{"终端已重新绑定", "Device bound again"}, Good},
	"client.resumed":                 {words{"绑定已恢复", "Binding resumed"}, Good},
	"client.suspended":               {words{"绑定已暂停", "Binding suspended"}, Degraded},
	"client.unbound":                 {words{"终端已解绑", "Device unbound"}, Good},
	"client.value_changed":           {words{"参数变更上报", "Parameter change reported"}, Good},
	"config.applied":                 {words{"配置已生效", "Configuration applied"}, Good},
	"config.drift":                   {words{"终端改动了配置", "Device changed its configuration"}, Degraded},
	"config.failed":                  {words{"配置失败", "Configuration failed"}, Broken},
	"config.pending":                 {words{"配置待下发", "Configuration pending"}, Good},
	"device.registered":              {words{"终端已登记", "Device registered"}, Good},
	"diag.answered":                  {words{"诊断已结束，等待结果", "Test done, result awaited"}, Good},
	"diag.completed":                 {words{"诊断完成", "Test completed"}, Good},
	"diag.failed":                    {words{"诊断失败", "Test failed"}, Degraded},
	"diag.queued":                    {words{"诊断已排队", "Test queued"}, Good},
	"diag.started":                   {words{"诊断已下发", "Test started"}, Good},
	"mobile.identified":              {words{"手机号码识别通过", "Mobile identified by its number"}, Good},
	"password.changed":               {words{"密码已修改", "Password changed"}, Good},
	"password.requested":             {words{"已申请一次性密码", "One-time password requested"}, Good},
	"password.unlocked":              {words{"锁定已解除", "Locks ended"}, Good},
	"presence.mass_expiry_suspected": {words{"疑似大面积离线", "Mass loss of heartbeats suspected"}, Good},
	"screen.bound":                   {words{"魔屏已绑定", "Screen bound"}, Good},
	"screen.recovered":               {words{"魔屏不再被盗", "Screen no longer stolen"}, Good},
	"screen.seen":                    {words{"魔屏首次出现", "Screen seen first"}, Good},
	"screen.stolen":                  {words{"魔屏标记为被盗", "Screen marked stolen"}, Broken},
	"screen.swap_detected":           {words{"魔屏已更换", "Screen swapped"}, Good},
	"screen.waiting":                 {words{"魔屏等待订单", "Screen waits for its order"}, Good},
	"security.auth_failed":           {words{"认证失败", "Authentication failed"}, Degraded},
	"security.certificate_changed":   {words{"证书已更换", "Another certificate"}, Degraded},
	"security.challenge_invalid":     {words{"认证挑战无效", "Challenge not valid"}, Degraded},
	"security.client_type_mismatch":  {words{"终端类型不一致", "Client type differs"}, Degraded},
	"security.device_conflict":       {words{"超过终端数限制", "Too many devices"}, Broken},
	"security.foreign_command_key":   {words{"不属于该终端的传输结果", "Result of a transfer that is not its own"}, Degraded},
	"security.foreign_number":        {words{"号码与绑定账户不符", "Number of another account"}, Degraded},
	"security.frequent_resets":       {words{"频繁恢复出厂设置", "Many factory resets"}, Degraded},
	"security.identity_mismatch":     {words{"终端标识不一致", "Device identity differs"}, Degraded},
	"security.imsi_mismatch":         {words{"IMSI 不一致", "IMSI differs"}, Degraded},
	"security.line_mismatch":         {words{"宽带线路不一致", "Access line differs"}, Degraded},
	"security.locked":                {words{"已锁定", "Locked"}, Broken},
	"security.malformed":             {words{"请求格式错误", "Malformed request"}, Degraded},
	"security.network_id_failed":     {words{"网络号码识别失败", "Network identification failed"}, Degraded},
	"security.package_rejected":      {words{"升级包被拒绝", "Package rejected"}, Broken},
	"security.password_rejected":     {words{"新密码被拒绝", "New password rejected"}, Degraded},
	"security.rate":                  {words{"错误认证过多", "Rate of wrong proofs"}, Degraded},
	"security.rate_limited":          {words{"请求过于频繁", "Too many requests"}, Degraded},
	"security.register_refused":      {words{"终端登记被拒绝", "Registration refused"}, Broken},
	"security.screen_bound_to_other": {words{"魔屏属于其他账户", "Screen of another account"}, Broken},
	"security.screen_returned":       {words{"已退回的魔屏出现", "Returned screen seen"}, Broken},
	"security.screen_stolen":         {words{"被盗魔屏出现", "Stolen screen seen"}, Broken},
	"security.server_proof_rejected": {words{"终端不认可平台证明", "Platform's proof rejected"}, Degraded},
	"security.sim_changed":           {words{"SIM 卡已更换", "SIM changed"}, Broken},
	"sms.delivered":                  {words{"短信已送达", "SMS delivered"}, Good},
	"sms.failed":                     {words{"短信发送失败", "SMS failed"}, Degraded},
	"sms.queued":                     {words{"短信已排队", "SMS queued"}, Good},
	"sms.submitted":                  {words{"短信已提交", "SMS submitted"}, Good},
	"sms.unavailable":                {words{"短信无法发送", "No SMS can be sent"}, Degraded},
	"stats.conflict":                 {words{"通话统计前后矛盾", "Call statistics contradict earlier ones"}, Degraded},
	"stats.missing":                  {words{"通话统计停止上报", "Call statistics stopped coming"}, Degraded},
	"stats.received":                 {words{"收到通话统计", "Call statistics received"}, Good},
	"task.acknowledged":              {words{"任务已确认", "Task acknowledged"}, Good},
	"task.cancelled":                 {words{"任务已取消", "Task cancelled"}, Good},
	"task.expired":                   {words{"任务已过期", "Task expired"}, Degraded},
	"task.failed":                    {words{"任务失败", "Task failed"}, Degraded},
	"task.pending":                   {words{"任务等待终端", "Task waits for device"}, Good},
	"task.sent":                      {words{"任务已发送", "Task sent"}, Good},
	"task.succeeded":                 {words{"任务成功", "Task succeeded"}, Good},
	"webhook.given_up":               {words{"Webhook 已停止推送", "Webhook given up"}, Degraded},
}

// types are the words for an event whose code has none.
var types = map[models.EventType]words{
	"WORK_ORDER_STATE_CHANGED":     {"工单状态", "Work order"},
	"BULK_STATE_CHANGED":           {"批量操作", "Bulk operation"},
	"ACCOUNT_CREATED":              {"账户创建", "Account created"},
	"ACCOUNT_CHANGED":              {"账户变更", "Account changed"},
	"ACCOUNT_STATE_CHANGED":        {"账户状态", "Account state"},
	"PASSWORD_CHANGED":             {"密码", "Password"},
	"DEVICE_REGISTERED":            {"终端登记", "Device registered"},
	"DEVICE_INFORM":                {"终端上报", "Device inform"},
	"BINDING_CHANGED":              {"绑定变更", "Binding"},
	"DEVICE_BOOTSTRAP":             {"终端初始化", "Device bootstrap"},
	"DEVICE_REACHABILITY_CHANGED":  {"在线状态", "Reachability"},
	"CONFIGURATION_CHANGED":        {"配置", "Configuration"},
	"DEVICE_PARAMETER_CHANGED":     {"参数变更", "Parameter changed"},
	"TASK_STATE_CHANGED":           {"任务状态", "Task"},
	"SMS_STATE_CHANGED":            {"短信状态", "SMS"},
	"DIAGNOSTIC_COMPLETED":         {"诊断完成", "Diagnostic completed"},
	"UPGRADE_JOB_STATE_CHANGED":    {"升级活动", "Upgrade job"},
	"UPGRADE_TARGET_STATE_CHANGED": {"升级终端", "Upgrade target"},
	"ALARM_RAISED":                 {"告警产生", "Alarm raised"},
	"ALARM_CLEARED":                {"告警恢复", "Alarm cleared"},
	"SECURITY":                     {"安全", "Security"},
	"STATISTICS_RECEIVED":          {"统计上报", "Statistics received"},
}

// deeds are the words for what was done to an account, by the action of the audit log; another one is said by its name.
var deeds = map[string]words{
	"provisionAccount":     {"开户", "Account provisioned"},
	"modifyAccount":        {"修改账户", "Account modified"},
	"activateAccount":      {"激活账户", "Account activated"},
	"suspendAccount":       {"停机", "Account suspended"},
	"resumeAccount":        {"复机", "Account resumed"},
	"terminateAccount":     {"销户", "Account closed"},
	"changeAccountNumber":  {"改号", "Number changed"},
	"resetAccountPassword": {"重置密码", "Password reset"},
	"unlockAccount":        {"解除锁定", "Account unlocked"},
	"endLogins":            {"强制下线", "Logins ended"},
	"sendNotice":           {"发送通知短信", "Notice sent"},
}

// details are the parts of a payload that say more, in the order in which they are shown; none of them is personal data.
var details = []string{"reason", "failure", "kind", "purpose", "providerStatus", "fields"}
