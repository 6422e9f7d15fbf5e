package main

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/nats-io/nats-server/v2/server"
)

// routeLogin checks the login of the cluster in place of the library, which would let anybody guess as fast as he likes. It
// is the library's CustomRouterAuthentication.
type routeLogin struct {
	gate    *gate
	guesses *throttle
	login   [sha256.Size]byte
	user    string
}

func newRouteLogin(gate *gate, guesses *throttle, cluster server.ClusterOpts) *routeLogin {
	return &routeLogin{gate: gate, guesses: guesses, login: hashLogin(cluster.Username, cluster.Password), user: cluster.Username}
}

// Check tells whether a route that was accepted or made has the login.
func (r *routeLogin) Check(c server.ClientAuthentication) bool {
	conn, ok := c.(refusable)
	if !ok {
		return false
	}
	sent := c.GetOpts()
	if sent.Password != "" {
		address := peerAddress(c.RemoteAddress())
		if why := holdBack(r.guesses, r.gate, conn, address); why != causeNone {
			r.gate.report(&question{request: request{Connection: c.GetID(), Address: address}}, why)
			return false
		}
	}
	given := hashLogin(sent.Username, sent.Password)
	if subtle.ConstantTimeCompare(given[:], r.login[:]) == 1 {
		return true
	}
	if log, ok := c.(interface{ Errorf(string, ...any) }); ok {
		log.Errorf("link refused: %s", r.fault(sent))
	}
	return false
}

// fault says for the log, where no peer sees it, what is wrong with a login.
func (r *routeLogin) fault(sent *server.ClientOpts) string {
	switch {
	case sent.Username == "" && sent.Password == "":
		return "it sent no login, and this cluster has one"
	case sent.Username != r.user:
		return "it sent another user than this cluster's"
	}
	return "it sent another password than this cluster's"
}

func hashLogin(user, password string) [sha256.Size]byte {
	name := sha256.Sum256([]byte(user))
	return sha256.Sum256(append(name[:], password...))
}
