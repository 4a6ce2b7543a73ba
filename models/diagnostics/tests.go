package diagnostics

import (
	"strconv"

	"github.com/softacs/softacs/models"
)

const (
	nameTaskID = "diag.taskId"
	// stateLeaf is the parameter of every test that starts it and says how it ended.
	stateLeaf = ".diagnosticsState"

	requested = "Requested"
	none      = "None"
)

const (
	// maxTransfer bounds what one transfer may move (i4.md B.8).
	maxTransfer = 50_000_000
	maxPacket   = 1472 // what fits into one Ethernet frame
	maxHops     = 30   // routers that a trace asks for
	mostHops    = 64   // rows of RouteHops that the data model knows
	probeMs     = 2000 // one try takes no longer
)

// test is one kind of diagnostic.
type test struct {
	// object is the logical name of its object; those of its parameters begin with it.
	object string
	// ours: it is in the DG. tree, which only the clients of the IMS profile have (resolutions 43).
	ours bool
	// What runDiagnostic takes for it: a URL or a host, which may be left out, a name server, bytes and tries up to a bound, and what is usual.
	url, hostOptional, server bool
	bytes, maxBytes           int64
	count, maxCount           int
	// inputs are the values by leaf in the order of the catalogue; the device must know the one called target.
	target string
	inputs func(in models.DiagnosticInputs) []models.Value
	// results are what is read of it, by leaf; one that ends with a dot is everything below.
	results []string
	decode  func(in models.DiagnosticInputs, a answer) (*models.DiagnosticResult, error)
}

// state is the logical name of its state.
func (t test) state() string { return t.object + stateLeaf }

// tests is the table of kinds (i4.md B.8).
var tests = map[models.DiagnosticKind]test{
	models.IPPing: {
		object: "diag.ping", bytes: 64, maxBytes: maxPacket, count: 4, maxCount: 50, target: "host", decode: decodePing,
		results: []string{"successCount", "failureCount", "averageResponseTime", "minimumResponseTime", "maximumResponseTime"},
		inputs: func(in models.DiagnosticInputs) []models.Value {
			return []models.Value{
				text("host", in.Host), number("numberOfRepetitions", in.Count), number("timeout", each(in, in.Count)), number("dataBlockSize", int(in.Bytes)),
			}
		},
	},
	models.Traceroute: {
		object: "diag.traceroute", bytes: 64, maxBytes: maxPacket, count: 3, maxCount: 3, target: "host", decode: decodeTraceroute,
		results: []string{"hops"},
		inputs: func(in models.DiagnosticInputs) []models.Value {
			return []models.Value{
				text("host", in.Host), number("numberOfTries", in.Count), number("timeout", each(in, in.Count*maxHops)),
				number("dataBlockSize", int(in.Bytes)), number("maxHopCount", maxHops),
			}
		},
	},
	models.DownloadSpeed: {
		object: "diag.download", url: true, target: "url", decode: decodeDownload,
		results: []string{"bomTime", "eomTime", "testBytesReceived"},
		inputs:  func(in models.DiagnosticInputs) []models.Value { return []models.Value{text("url", in.Host)} },
	},
	models.UploadSpeed: {
		object: "diag.upload", url: true, bytes: 10_000_000, maxBytes: maxTransfer, target: "url", decode: decodeUpload,
		results: []string{"bomTime", "eomTime", "totalBytesSent"},
		inputs: func(in models.DiagnosticInputs) []models.Value {
			return []models.Value{text("url", in.Host), number("testFileLength", int(in.Bytes))}
		},
	},
	models.NSLookup: {
		object: "diag.lookup", server: true, count: 1, maxCount: 10, target: "hostName", decode: decodeLookup,
		results: []string{"successCount", "results"},
		inputs: func(in models.DiagnosticInputs) []models.Value {
			return []models.Value{
				text("hostName", in.Host), text("dnsServer", in.Server), number("timeout", each(in, in.Count)), number("numberOfRepetitions", in.Count),
			}
		},
	},
	models.SIPRegistration: {
		object: "diag.registration", ours: true, hostOptional: true, decode: decodeRegistration,
		results: []string{"responseCode", "responseTime", "serverUsed", "expires", "natType"},
		inputs: func(in models.DiagnosticInputs) []models.Value {
			return []models.Value{text("server", in.Host), number("timeout", in.TimeoutSeconds*1000)}
		},
	},
	models.MediaLoopback: {
		object: "diag.echo", ours: true, target: "server", decode: decodeLoopback,
		results: []string{"packetsSent", "packetsReceived", "jitter", "rtt"},
		inputs: func(in models.DiagnosticInputs) []models.Value {
			values := []models.Value{text("server", in.Host)}
			if in.Port > 0 {
				values = append(values, number("port", in.Port))
			}
			return append(values, number("duration", min(in.TimeoutSeconds, 10)))
		},
	},
}

func text(leaf, value string) models.Value   { return models.Value{Name: leaf, Value: value} }
func number(leaf string, n int) models.Value { return text(leaf, strconv.Itoa(n)) }

// each is how many milliseconds one of n tries may take.
func each(in models.DiagnosticInputs, n int) int {
	return min(max(in.TimeoutSeconds*1000/n, 1), probeMs)
}

// request is what starts a test: its inputs without what the device does not know, and the state behind them (example 27).
func request(t *models.Diagnostic) models.Request {
	what := tests[t.Kind]
	values := []models.Value{{Name: nameTaskID, Value: t.TaskID}}
	for _, v := range what.inputs(t.Inputs.V) {
		values = append(values, models.Value{Name: what.object + "." + v.Name, Value: v.Value})
	}
	values = append(values, models.Value{Name: what.state(), Value: requested})
	return models.Request{Method: models.SetParameterValues, Values: without(values, t.Dropped.V)}
}

// reading asks for the result of a test (example 9); whole asks for its object, for devices that lack one of the parameters.
func reading(t *models.Diagnostic, whole bool) models.Request {
	what := tests[t.Kind]
	var names []string
	if !dropped(t, nameTaskID) {
		names = append(names, nameTaskID)
	}
	if whole {
		return models.Request{Method: models.GetParameterValues, Names: append(names, what.object)}
	}
	names = append(names, what.state())
	for _, leaf := range what.results {
		names = append(names, what.object+"."+leaf)
	}
	return models.Request{Method: models.GetParameterValues, Names: names}
}

// vital tells whether a test is none without the input: what it is pointed at, and what starts it.
func vital(kind models.DiagnosticKind, name string) bool {
	what := tests[kind]
	return name == what.state() || what.target != "" && name == what.object+"."+what.target
}

// ended tells whether a state is one in which a test is over.
func ended(state string) bool { return state != "" && state != none && state != requested }

// complete tells whether it is the good end; the data models really differ in the word (i4.md B.8).
func complete(state string) bool { return state == "Complete" || state == "Completed" }
