package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	kindInProcess = "in_process"
	// globalAccount is where the library puts everybody it knows no other place for.
	globalAccount = "$G"
	// tokenLabel is shown as the user of a connection that sent a token and got no name in its verdict.
	tokenLabel = "token"
)

// registrant is what the library's connections can do besides what its interface for authenticators says.
type registrant interface {
	server.ClientAuthentication
	RegisterNkeyUser(user *server.NkeyUser) error
	Account() *server.Account
}

// authenticator puts every new connection to the broker. It is the library's CustomClientAuthentication.
type authenticator struct {
	gate    *gate
	secret  [sha256.Size]byte
	account func(name string) (*server.Account, error)
	errorf  func(format string, args ...any)
}

// Check decides on a connection after its CONNECT. Whatever goes wrong refuses it.
func (a *authenticator) Check(c server.ClientAuthentication) (allowed bool) {
	start := time.Now()
	q := &question{}
	defer func() {
		if fault := recover(); fault != nil {
			allowed = false
			a.errorf("Panic while authenticating cid %d: %s", q.Connection, describePanic(fault))
			a.gate.report(q, causePanic)
		}
	}()
	why, err := a.decide(c, q, start)
	if err != nil {
		a.errorf("Refusing cid %d: %v", q.Connection, err)
	}
	a.gate.report(q, why)
	return why == causeNone
}

// describePanic keeps to what cannot hold a secret: the library's own faults, else only the type of the value.
func describePanic(fault any) string {
	if err, ok := fault.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a value of type %T", fault)
}

// decide asks the broker and carries out its verdict. The error says more than the cause where there is more.
func (a *authenticator) decide(c server.ClientAuthentication, q *question, start time.Time) (cause, error) {
	q.Connection = c.GetID()
	conn, ok := c.(registrant)
	if !ok {
		return causeRegistration, fmt.Errorf("the library's connections (%T) cannot be registered", c)
	}
	describe(conn, q)
	if isRegistered(conn) {
		// The library keeps the fields of the first CONNECT, among them the user we gave it.
		return causeRegistration, errors.New("a second CONNECT on one connection")
	}
	if q.Kind == kindInProcess {
		secret := q.Token
		if secret == "" {
			secret = q.Password // A client that names a user can send nothing else.
		}
		given := sha256.Sum256([]byte(secret))
		q.Token, q.Password = "", ""
		if subtle.ConstantTimeCompare(given[:], a.secret[:]) != 1 {
			return causeBridgeSecret, nil
		}
	}
	if sent := conn.GetOpts(); sent.Nkey != "" || sent.Account != "" || sent.AccountNew {
		// The library would show the nkey in place of the verdict's user, and close the connection for an account.
		return causeRegistration, errors.New("CONNECT has an nkey or an account, which no client of this broker sends")
	}
	frame, why := a.gate.ask(q, start)
	if why != causeNone {
		return why, nil
	}
	v, err := parseVerdict(frame)
	if err != nil {
		return causeMalformed, fmt.Errorf("malformed verdict: %w", err)
	}
	if !v.allow {
		return causeDenied, nil
	}
	if v.generation < a.gate.generation.Load() {
		return causeStaleGeneration, nil
	}
	return a.admit(conn, v)
}

// admit gives a connection the account, permissions and name of its verdict and makes sure that it has them.
func (a *authenticator) admit(conn registrant, v verdict) (cause, error) {
	if v.account == globalAccount {
		return causeUnknownAccount, fmt.Errorf("the verdict names the library's own account %s", globalAccount)
	}
	account, err := a.account(v.account)
	if err != nil || account == nil {
		return causeUnknownAccount, fmt.Errorf("the verdict names account %q, which the configuration file does not have", v.account)
	}
	sent := conn.GetOpts()
	username := v.username
	if username == "" && sent.Token != "" {
		username = tokenLabel
	}
	// RegisterUser would do it all, but forgets permissions and error when the account does not take the connection.
	err = conn.RegisterNkeyUser(&server.NkeyUser{Account: account, Permissions: v.permissions})
	if errors.Is(err, server.ErrConnectionClosed) {
		return causeGone, nil
	}
	if err != nil {
		return causeRegistration, fmt.Errorf("account %q does not take the connection: %w", v.account, err)
	}
	conn.RegisterUser(&server.User{Username: username, Permissions: v.permissions})

	if conn.Account() != account || (username != "" && sent.Username != username) {
		return causeRegistration, errors.New("account or user of the verdict did not take effect")
	}
	if !hasPermissions(conn, v.permissions) {
		return causeRegistration, errors.New("permissions of the verdict did not take effect")
	}
	if v.generation < a.gate.generation.Load() {
		return causeStaleGeneration, nil
	}
	return causeNone, nil
}

// field looks into a connection for what the library offers no way to ask. If the field had another name, its use
// would panic, which is a refusal. The fields used here are written by the goroutine that authenticates only.
func field(conn registrant, name string) reflect.Value {
	return reflect.ValueOf(conn).Elem().FieldByName(name)
}

func isRegistered(conn registrant) bool {
	return !field(conn, "user").IsNil()
}

// hasPermissions tells whether the library holds each list with all its subjects: it logs and skips what it does
// not like.
func hasPermissions(conn registrant, want *server.Permissions) bool {
	held := field(conn, "perms")
	if want == nil || held.IsNil() {
		return want == nil && held.IsNil()
	}
	holds := func(side, list string, subjects []string) bool {
		sublist := held.Elem().FieldByName(side).FieldByName(list)
		if len(subjects) == 0 || sublist.IsNil() {
			return len(subjects) == 0 && sublist.IsNil()
		}
		return sublist.Elem().FieldByName("count").Uint() == uint64(len(subjects))
	}
	return holds("pub", "allow", want.Publish.Allow) && holds("pub", "deny", want.Publish.Deny) &&
		holds("sub", "allow", want.Subscribe.Allow) && holds("sub", "deny", want.Subscribe.Deny)
}

// describe fills in what the broker is told about a connection.
func describe(conn registrant, q *question) {
	address := conn.RemoteAddress()
	q.Address = peerAddress(address)
	switch {
	case conn.Kind() == server.LEAF:
		q.Kind = "leafnode"
	case address != nil && address.Network() == "pipe":
		q.Kind = kindInProcess
	default:
		q.Kind = "client"
	}
	q.TLS, q.Certificate = describeTLS(conn.GetTLSConnectionState())
	q.Nonce = string(conn.GetNonce())
	sent := conn.GetOpts()
	q.User, q.Password, q.Token = sent.Username, sent.Password, sent.Token
	q.Signature, q.JWT, q.Nkey, q.Name = sent.Sig, sent.JWT, sent.Nkey, sent.Name
}

// peerAddress returns the bare address of a peer: IPv4 in its own form, no port, brackets or zone; empty when unknown.
func peerAddress(address net.Addr) string {
	if address == nil {
		return ""
	}
	endpoint, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return ""
	}
	return endpoint.Addr().WithZone("").Unmap().String()
}

func describeTLS(state *tls.ConnectionState) (string, *certificate) {
	if state == nil {
		return "none", nil
	}
	class := "anon"
	if len(state.VerifiedChains) > 0 {
		class = "mtls"
	}
	if len(state.PeerCertificates) == 0 {
		return class, nil
	}
	leaf := state.PeerCertificates[0]
	fingerprint := sha256.Sum256(leaf.Raw)
	return class, &certificate{
		CommonName:  leaf.Subject.CommonName,
		Serial:      leaf.SerialNumber.Text(16),
		Issuer:      leaf.Issuer.String(),
		Fingerprint: hex.EncodeToString(fingerprint[:]),
	}
}
