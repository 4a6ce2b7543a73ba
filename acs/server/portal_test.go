package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/softacs/softacs/acs/server"
	"github.com/softacs/softacs/models"
	"github.com/softacs/softacs/models/store/storetest"
)

func TestPortal(t *testing.T) {
	t.Parallel()
	const header, cn = "X-Up-Calling-Line-Id", "77aa0e15c1d24b0f9e3c5d6a8b7f1023"
	var answers []int
	clock := storetest.NewClock()
	key := [32]byte{7}
	portal := server.Portal(server.PortalConfig{
		Key: key, TTL: 2 * time.Minute, Plan: models.NumberPlan{Country: "86", Area: "21"}, Header: header, Clock: clock,
		Trusted:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Answered: func(status int) { answers = append(answers, status) },
	})
	for name, x := range map[string]struct {
		method, target, remote string
		numbers                []string
		want                   int
	}{
		"good":                   {want: 200},
		"number as typed":        {numbers: []string{"189 0000 0001"}, want: 200},
		"nonce in upper case":    {target: "/i4/mdn?cn=" + strings.ToUpper(cn), want: 200},
		"gateway by IPv6":        {remote: "[2001:db8::1]:4000", want: 200},
		"gateway mapped to IPv6": {remote: "[::ffff:192.0.2.9]:4000", want: 200},
		"another method":         {method: http.MethodPost, want: 405},
		"HEAD":                   {method: http.MethodHead, want: 405},
		"another path":           {target: "/acs?cn=" + cn, want: 404},
		"no header":              {numbers: []string{}, want: 403},
		"two headers":            {numbers: []string{"8618900000001", "8618900000001"}, want: 403},
		"two numbers":            {numbers: []string{"8618900000001, 8618900000001"}, want: 403},
		"no number":              {numbers: []string{"anonymous"}, want: 403},
		"stranger":               {remote: "198.51.100.1:4000", want: 403},
		"stranger without nonce": {remote: "198.51.100.1:4000", target: "/i4/mdn", want: 403},
		"no address":             {remote: "pipe", want: 403},
		"no nonce":               {target: "/i4/mdn", want: 400},
		"short nonce":            {target: "/i4/mdn?cn=77aa", want: 400},
		"nonce not hex":          {target: "/i4/mdn?cn=" + strings.Repeat("x", 32), want: 400},
		"two nonces":             {target: "/i4/mdn?cn=" + cn + "&cn=" + cn, want: 400},
	} {
		if x.method == "" {
			x.method = http.MethodGet
		}
		if x.target == "" {
			x.target = "/i4/mdn?cn=" + cn
		}
		if x.remote == "" {
			x.remote = "192.0.2.1:4000"
		}
		if x.numbers == nil {
			x.numbers = []string{"8618900000001"}
		}
		r := httptest.NewRequest(x.method, x.target, nil)
		r.RemoteAddr = x.remote
		for _, number := range x.numbers {
			r.Header.Add(header, number)
		}
		w := httptest.NewRecorder()
		answers = nil
		portal.ServeHTTP(w, r)
		if w.Code != x.want || len(answers) != 1 || answers[0] != x.want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %v", name, w.Code, answers, w.Header())
		}
		if (w.Header().Get("Allow") == "GET") != (x.want == 405) {
			t.Errorf("%s: Allow is %q", name, w.Header().Get("Allow"))
		}
		got, ok := models.ParseNetworkToken(w.Body.String(), [][32]byte{key})
		if ok != (x.want == 200) {
			t.Errorf("%s: answered %q", name, w.Body)
		}
		expires := clock.Now().Add(2*time.Minute) / 1000 * 1000
		if ok && got != (models.NetworkToken{MDN: "8618900000001", ExpiresAt: expires, ClientNonce: cn}) {
			t.Errorf("%s: the token says %+v", name, got)
		}
	}
}
