package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	kindInProcess = "in_process"
	kindLeafnode  = "leafnode"
	// globalAccount is where the library puts everybody it knows no other place for.
	globalAccount = "$G"
	// mostFields and mostLeafnodeFields are the most bytes that the texts of a CONNECT may take on the gate. Tokens of
	// clients have one or two thousand; of leafnodes nothing is read but a user and a password.
	mostFields         = 8 << 10
	mostLeafnodeFields = 4 << 10
	// mostOfCertificate is the most bytes of each text of a certificate: they are for people, and decide nothing.
	mostOfCertificate = 256
	// mostIntermediates is the most certificates between a leaf and its CA: each of them can be revoked, so the broker is
	// told of all of them.
	mostIntermediates = 8
	// tokenLabel is shown as the user of a connection that sent a token and got no name in its verdict.
	tokenLabel = "token"
)

// registrant is what the library's connections can do besides what its interface for authenticators says.
type registrant interface {
	server.ClientAuthentication
	RegisterNkeyUser(user *server.NkeyUser) error
	ForgetLogin(everything bool)
	ShowUser(name string)
	Measured() int
	refusable
	endable
	LimitSubscriptions(most int32)
}

// authenticator puts every new connection to the broker. It is the library's CustomClientAuthentication.
type authenticator struct {
	gate     *gate
	memory   *memory
	guesses  *throttle
	sessions *sessions
	secret   [sha256.Size]byte
	rest     func(peer net.Addr) // nobody waits for that connection
	account  func(name string) (*server.Account, error)
	errorf   func(format string, args ...any)
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

// refusedUnread tells the broker of a connection that was refused before its CONNECT was read to the end.
func (a *authenticator) refusedUnread(c server.ClientAuthentication) {
	q := &question{request: request{Connection: c.GetID(), Address: peerAddress(c.RemoteAddress())}}
	a.gate.report(q, causeTooLarge)
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
	sentToken := q.Token != "" || q.TokenUnread
	if why, err := a.unasked(conn, q); why != causeNone {
		return why, err
	}
	if q.Password != "" && q.Kind != kindInProcess {
		a.rest(conn.RemoteAddress())
		if why := holdBack(a.guesses, a.gate, conn, q.Address); why != causeNone {
			return why, nil
		}
		start = time.Now()
	}
	return a.ask(conn, q, start, sentToken)
}

// unasked refuses what needs no question, and has the library forget what nobody is to see.
func (a *authenticator) unasked(conn registrant, q *question) (cause, error) {
	large := tooLarge(conn) || q.Certificate != nil && len(q.Certificate.Intermediates) > mostIntermediates
	// The library shows users of open and of refused connections on its pages, in its log and in its events, and somebody's
	// user is his token. The user of the verdict takes the place of what was sent; of what is too large nothing stays.
	conn.ForgetLogin(large)
	if isRegistered(conn) {
		// The library keeps the fields of the first CONNECT, among them the user we gave it.
		return causeRegistration, errors.New("a second CONNECT on one connection")
	}
	if q.Kind == kindInProcess {
		known := a.knows(q.Token, q.Password)
		q.Token, q.Password = "", ""
		if !known {
			return causeBridgeSecret, nil
		}
	}
	if large {
		return causeTooLarge, nil
	}
	if sent := conn.GetOpts(); q.Nkey != "" || sent.Account != "" || sent.AccountNew {
		// The library would show the nkey in place of the verdict's user, and close the connection for an account.
		return causeRegistration, errors.New("CONNECT has an nkey or an account, which no client of this broker sends")
	}
	return causeNone, nil
}

// knows tells whether the bridge secret is the token of a CONNECT or, since a client that names a user can send
// nothing else, its password where there is no token.
func (a *authenticator) knows(token, password string) bool {
	if token == "" {
		token = password
	}
	given := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(given[:], a.secret[:]) == 1
}

// admit gives a connection the account, permissions and name of its verdict and makes sure that it has them.
func (a *authenticator) admit(conn registrant, v verdict, sentToken bool) (cause, error) {
	if v.account == globalAccount {
		return causeUnknownAccount, fmt.Errorf("the verdict names the library's own account %s", globalAccount)
	}
	account, err := a.account(v.account)
	if err != nil || account == nil {
		return causeUnknownAccount, fmt.Errorf("the verdict names account %q, which the configuration file does not have", v.account)
	}
	username := v.username
	if username == "" && sentToken {
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
	conn.ShowUser(username)
	conn.LimitSubscriptions(v.maxSubs)

	if conn.Account() != account || conn.GetOpts().Username != username {
		return causeRegistration, errors.New("account or user of the verdict did not take effect")
	}
	if !hasPermissions(conn, v.permissions) {
		return causeRegistration, errors.New("permissions of the verdict did not take effect")
	}
	if still, err := a.account(v.account); err != nil || still != account {
		return causeUnknownAccount, fmt.Errorf("account %q is gone since the verdict", v.account)
	}
	return causeNone, nil
}

// field looks into a connection for what the library offers no way to ask. If the field had another name, its use
// would panic, which is a refusal. The fields used here are written by the goroutine that authenticates only.
func field(conn registrant, name string) reflect.Value {
	return fieldOf(reflect.ValueOf(conn).Elem(), name)
}

// fieldPlaces has where a field of a type is: looking for its name takes longer than all else that is done with it.
var fieldPlaces sync.Map // of fieldName, to []int

type fieldName struct {
	of   reflect.Type
	name string
}

func fieldOf(held reflect.Value, name string) reflect.Value {
	sought := fieldName{held.Type(), name}
	place, known := fieldPlaces.Load(sought)
	if !known {
		found, _ := sought.of.FieldByName(name)
		place, _ = fieldPlaces.LoadOrStore(sought, found.Index)
	}
	return held.FieldByIndex(place.([]int))
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
		sublist := fieldOf(fieldOf(held.Elem(), side), list)
		if len(subjects) == 0 || sublist.IsNil() {
			return len(subjects) == 0 && sublist.IsNil()
		}
		return fieldOf(sublist.Elem(), "count").Uint() == uint64(len(subjects))
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
		q.Kind = kindLeafnode
	case isPipe(address):
		q.Kind = kindInProcess
	default:
		q.Kind = "client"
	}
	if conn.Websocket() {
		q.listener = "websocket"
	}
	q.TLS, q.Certificate = describeTLS(conn.GetTLSConnectionState())
	q.Nonce = string(conn.GetNonce())
	sent := conn.GetOpts()
	q.User, q.Password, q.Name = sent.Username, sent.Password, sent.Name
	q.Language, q.Version = sent.Lang, sent.Version
	if q.Kind == kindLeafnode {
		// Leafnodes are not known by tokens, so nothing of one is sent but that there is one.
		q.TokenUnread = sent.Token != ""
		return
	}
	q.Token, q.Signature, q.JWT, q.Nkey = sent.Token, sent.Sig, sent.JWT, sent.Nkey
	if q.JWT == q.Token {
		q.JWT = "" // As Choria programs send it: once is enough.
	}
}

// tooLarge tells whether the texts of a CONNECT take more bytes than anybody needs: those that would be sent on, as they
// are sent, and all of them, as they came.
func tooLarge(conn registrant) bool {
	sent, most := conn.GetOpts(), mostFields
	if conn.Kind() == server.LEAF {
		most = mostLeafnodeFields
	}
	if conn.Measured() > most {
		return true
	}
	size := 0
	for _, text := range []string{
		sent.Username, sent.Password, sent.Token, sent.Sig, sent.JWT, sent.Nkey, sent.Name, sent.Lang, sent.Version,
		sent.Account, sent.RemoteAccount, sent.ProxySig,
	} {
		size += encodedLen(text)
	}
	for _, side := range []*server.SubjectPermission{sent.Import, sent.Export} {
		if side != nil {
			for _, list := range [][]string{side.Allow, side.Deny} {
				for _, subject := range list {
					size += encodedLen(subject)
				}
			}
		}
	}
	return size > most
}

// encodedLen returns how many bytes a text takes in a frame, where some characters are written in two or six.
func encodedLen(text string) int {
	size := len(text)
	for _, r := range text {
		switch {
		case r == '"', r == '\\', r == '\b', r == '\f', r == '\n', r == '\r', r == '\t':
			size++
		case r < ' ', r == utf8.RuneError:
			size += 5
		case r == '\u2028', r == '\u2029':
			size += 3
		}
	}
	return size
}

// peerAddress returns the bare address of a peer: IPv4 in its own form, no port, brackets or zone; empty when unknown.
func peerAddress(address net.Addr) string {
	if address == nil {
		return ""
	}
	if tcp, ok := address.(*net.TCPAddr); ok {
		return bare(tcp.AddrPort().Addr())
	}
	endpoint, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return ""
	}
	return bare(endpoint.Addr())
}

func bare(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.WithZone("").Unmap().String()
}

func describeTLS(state *tls.ConnectionState) (string, *certificate) {
	class := classOf(state)
	if state == nil || len(state.PeerCertificates) == 0 {
		return class, nil
	}
	leaf := state.PeerCertificates[0]
	described := &certificate{
		CommonName:  clip(leaf.Subject.CommonName, mostOfCertificate),
		Serial:      serialOf(leaf),
		Fingerprint: fingerprintOf(leaf),
		NotAfter:    leaf.NotAfter.Unix(),
	}
	chain := chainOf(state)
	if len(chain) == 2 && bytes.Equal(chain[0].RawIssuer, chain[1].RawSubject) {
		described.Authority = anchorOf(chain[1])
		described.Issuer = described.Authority.Subject
		return class, described
	}
	described.Issuer = clip(leaf.Issuer.String(), mostOfCertificate)
	if chain == nil {
		return class, described
	}
	above := chain[1:]
	if len(above) == 0 {
		above = chain // The leaf itself is in the CA file.
	}
	described.Authority = anchorOf(above[len(above)-1])
	for _, each := range above[:min(len(above)-1, mostIntermediates+1)] {
		described.Intermediates = append(described.Intermediates, intermediate{serialOf(each), clip(each.Issuer.String(), mostOfCertificate), fingerprintOf(each), keyOf(each)})
	}
	return class, described
}

// classOf names the transport security of a connection.
func classOf(state *tls.ConnectionState) string {
	switch {
	case state == nil:
		return noTLS
	case len(state.VerifiedChains) > 0:
		return verifiedTLS
	}
	return noCertificate
}

func serialOf(each *x509.Certificate) string {
	return clip(each.SerialNumber.Text(16), mostOfCertificate)
}

func fingerprintOf(each *x509.Certificate) string {
	sum := sha256.Sum256(each.Raw)
	return hex.EncodeToString(sum[:])
}

// keyOf names the public key of a certificate: the SHA-256 of its DER form, in the one spelling that it has. Names and
// certificates of a CA change when it is renewed, its key is what has signed.
func keyOf(each *x509.Certificate) string {
	der, err := x509.MarshalPKIXPublicKey(each.PublicKey)
	if err != nil {
		return "" // Of a kind that has signed nothing.
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
