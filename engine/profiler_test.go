package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestTheProfilingPortIsForThisMachine(t *testing.T) {
	t.Parallel()
	e := startEngine(t, strings.Replace(plainConfig, "127.0.0.1:-1", "0.0.0.0:-1", 1)+"prof_port: -1\n", nil)
	port := e.srv.ProfilerAddr().Port
	for name, c := range map[string]struct {
		from, host, header string
		status             int
	}{
		"this machine":    {"127.0.0.1", "", "", http.StatusOK},
		"its name":        {"127.0.0.1", "localhost:1", "", http.StatusOK},
		"another name":    {"127.0.0.1", "evil.example", "", http.StatusForbidden},
		"through a proxy": {"127.0.0.1", "", "X-Forwarded-For", http.StatusForbidden},
		"elsewhere":       {outside(t), "", "", http.StatusForbidden},
		"elsewhere, says": {outside(t), "localhost", "", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequest("GET", fmt.Sprintf("http://%s:%d/debug/pprof/goroutine?debug=2", c.from, port), nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = c.host
			if c.header != "" {
				request.Header.Set(c.header, "127.0.0.1")
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != c.status {
				t.Errorf("status %d, wanted %d", answer.StatusCode, c.status)
			}
		})
	}
}

// outside returns an address of this machine that is not a loopback address: who asks there comes from there.
func outside(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.To4() != nil && !network.IP.IsLoopback() {
			return network.IP.String()
		}
	}
	t.Skip("this machine has loopback addresses only")
	return ""
}
