package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// protocolVersion is the version of the gate protocol, sent and demanded in the first frame of both sides.
	protocolVersion = 9
	// maxFrame is the largest body of a frame, in bytes.
	maxFrame = 1 << 20

	// Who authenticates clients: the broker, asked about each, or the library, which verifies the tokens of their users
	// down from the operator of the configuration file.
	byQuestions = "questions"
	byOperator  = "operator"
)

// errProtocol marks what the broker must never send. It ends the engine.
var errProtocol = errors.New("gate protocol error")

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

// readFrame returns the body of the next frame.
func readFrame(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size == 0 || size > maxFrame {
		return nil, protocolErrorf("a frame of %d bytes; 1 to %d are allowed", size, maxFrame)
	}
	body := make([]byte, size)
	_, err := io.ReadFull(r, body)
	return body, err
}

// encodeFrame returns a whole frame: the length and the JSON text of the message.
func encodeFrame(message any) ([]byte, error) {
	frame := bytes.NewBuffer(make([]byte, 4, 512))
	encoder := json.NewEncoder(frame)
	encoder.SetEscapeHTML(false) // This is no page, and each "<" of a peer would take six bytes.
	if err := encoder.Encode(message); err != nil {
		return nil, err
	}
	whole := bytes.TrimSuffix(frame.Bytes(), []byte("\n"))
	size := len(whole) - 4
	if size > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes is larger than the limit of %d", size, maxFrame)
	}
	binary.BigEndian.PutUint32(whole, uint32(size))
	return whole, nil
}

// incoming is a frame of the broker whose fields are not looked at yet: who reads the gate must not stop
// because one verdict is malformed.
type incoming struct {
	Type       string          `json:"type"`
	ID         json.RawMessage `json:"id"`
	Generation json.RawMessage `json:"generation"`
	// Hello of a reload takes the place of the broker's first frame.
	Hello json.RawMessage `json:"hello"`
	// Deadline of a reload, Unix milliseconds: from then on nobody waits for it, and it is not to happen.
	Deadline json.RawMessage `json:"deadline"`
	// Order of a drain.
	Order *drainOrder `json:"order"`
	// Revoked names the file that says which certificates are revoked.
	Revoked json.RawMessage `json:"revoked"`
	// Ended, After and Traffic say what of sessions is asked for, Connections and Reason which are to end, and why.
	Ended   json.RawMessage `json:"ended"`
	After   json.RawMessage `json:"after"`
	Traffic json.RawMessage `json:"traffic"`
	// Busiest is how many sessions are asked for over which most goes, By what is most.
	Busiest     json.RawMessage `json:"busiest"`
	By          json.RawMessage `json:"by"`
	Connections json.RawMessage `json:"connections"`
	Reason      json.RawMessage `json:"reason"`
	sentVerdict
}

func parseIncoming(body []byte) (incoming, error) {
	if utf8.Valid(body) && json.Valid(body) {
		if frame, usual := usualVerdict(body); usual {
			return frame, nil
		}
	}
	var frame incoming
	// The text of a JSON error can quote what it read, and that can be a secret: it is not passed on.
	if !utf8.Valid(body) || json.Unmarshal(body, &frame) != nil || frame.Type == "" {
		return incoming{}, protocolErrorf("a frame that is not a JSON object with a text field 'type'")
	}
	return frame, nil
}

// positive reads a JSON integer of 1 or more.
func positive(raw json.RawMessage) (uint64, bool) {
	if number, usual := usualNumber(raw); usual {
		return number, true
	}
	var number uint64
	if json.Unmarshal(raw, &number) != nil || number == 0 {
		return 0, false
	}
	return number, true
}

// brokerHello is the first frame of the broker: all the engine is told apart from its configuration file.
type brokerHello struct {
	Type                       string `json:"type"`
	Protocol                   int    `json:"protocol"`
	Generation                 uint64 `json:"generation"`
	Authentication             string `json:"authentication"`
	OptionalClientCertificates *bool  `json:"optional_client_certificates"`
	BridgeSecret               string `json:"bridge_secret"`
	AnswerWithinMS             int    `json:"answer_within_ms"`
	MaxQuestions               int    `json:"max_questions"`
	// MaxUnauthenticated is the most connections of each listener that have not logged in.
	MaxUnauthenticated int `json:"max_unauthenticated"`
	// MaxHandshakes is the most logins that are worked on at once; 0 for no bound.
	MaxHandshakes int `json:"max_handshakes"`
	// Mappings are those of the file, source and destination of each, in the order in which they are to be tried.
	Mappings [][2]string `json:"mappings"`
	// WebsocketOrigins are origins of pages that may open websockets, besides this server's own; "any" for all.
	WebsocketOrigins []string `json:"websocket_origins"`
	// WebsocketHosts are names of this server besides those in its certificate.
	WebsocketHosts []string `json:"websocket_hosts"`
	// ClusterMembers is how many members a cluster that begins needs for a leader; 0 for as many as there are routes.
	ClusterMembers int `json:"cluster_members"`
	// ClusterHosts are hosts of members that may connect although there is no route to them.
	ClusterHosts []string `json:"cluster_hosts"`
	// Revoked is the file that says which certificates are revoked; empty for none.
	Revoked string `json:"revoked"`
	// Keys are the names of the keys that key processes hold, by the file of each: SHA-256 of the public key, in hex.
	Keys map[string]string `json:"keys"`
}

func parseHello(body []byte) (brokerHello, error) {
	var hello brokerHello
	if !utf8.Valid(body) || json.Unmarshal(body, &hello) != nil || hello.Type != "hello" {
		return brokerHello{}, protocolErrorf("the broker's first frame is not a hello with fields of the right types")
	}
	switch {
	case hello.Protocol != protocolVersion:
		return brokerHello{}, protocolErrorf("the broker speaks version %d of the protocol, this engine version %d; install a broker and an engine of the same release", hello.Protocol, protocolVersion)
	case hello.Generation == 0:
		return brokerHello{}, protocolErrorf("field 'generation' of the broker's hello must be 1 or more")
	case hello.Authentication != byQuestions && hello.Authentication != byOperator:
		return brokerHello{}, protocolErrorf("field 'authentication' of the broker's hello is neither %q nor %q", byQuestions, byOperator)
	case hello.OptionalClientCertificates == nil:
		return brokerHello{}, protocolErrorf("field 'optional_client_certificates' of the broker's hello is missing")
	case utf8.RuneCountInString(hello.BridgeSecret) < 32:
		return brokerHello{}, protocolErrorf("field 'bridge_secret' of the broker's hello is shorter than 32 characters")
	case hello.AnswerWithinMS < 1 || hello.AnswerWithinMS > 10_000:
		return brokerHello{}, protocolErrorf("field 'answer_within_ms' of the broker's hello must be 1 to 10000")
	case hello.MaxQuestions < 1 || hello.MaxQuestions > 65_536:
		return brokerHello{}, protocolErrorf("field 'max_questions' of the broker's hello must be 1 to 65536")
	case hello.MaxUnauthenticated < 1:
		return brokerHello{}, protocolErrorf("field 'max_unauthenticated' of the broker's hello must be 1 or more")
	case hello.MaxHandshakes < 0:
		return brokerHello{}, protocolErrorf("field 'max_handshakes' of the broker's hello must be 0 or more")
	}
	return hello, nil
}

// engineHello is the first frame of the engine.
type engineHello struct {
	Type     string `json:"type"`
	Protocol int    `json:"protocol"`
	Engine   string `json:"engine"`
	NATS     string `json:"nats"`
}

// ready tells that every listener is open, and the port of each.
type ready struct {
	Type  string         `json:"type"`
	Ports map[string]int `json:"ports"`
}

// question is one connection put to the broker.
type question struct {
	Type     string `json:"type"`
	ID       uint64 `json:"id"`
	Deadline int64  `json:"deadline"`
	request  `json:"request"`
	// listener is what the connection came by; the broker is not told, since nothing hangs on it.
	listener string
	// remembered is its key in the memory of verdicts; nil before somebody has asked for it.
	remembered *memoryKey
}

// request is what is known of a connection. The fields of CONNECT are absent when empty.
type request struct {
	Connection  uint64 `json:"connection_id"`
	Kind        string `json:"kind"`
	TLS         string `json:"tls"`
	Address     string `json:"address"`
	Nonce       string `json:"nonce"`
	User        string `json:"user,omitempty"`
	Password    string `json:"password,omitempty"`
	Token       string `json:"token,omitempty"`
	TokenUnread bool   `json:"token_unread,omitempty"`
	Signature   string `json:"signature,omitempty"`
	// JWT is absent too where it is the same as the token.
	JWT      string `json:"jwt,omitempty"`
	Nkey     string `json:"nkey,omitempty"`
	Name     string `json:"name,omitempty"`
	Language string `json:"language,omitempty"`
	Version  string `json:"version,omitempty"`
	// Unmet says that a verdict had conditions that do not hold: the broker is to check signatures itself.
	Unmet       bool         `json:"unmet,omitempty"`
	Certificate *certificate `json:"certificate,omitempty"`
}

// certificate describes the leaf certificate of the peer. Its texts are cut, since a CA may sign any length.
type certificate struct {
	CommonName  string `json:"common_name"`
	Serial      string `json:"serial"`
	Issuer      string `json:"issuer"`
	Fingerprint string `json:"fingerprint"`
	NotAfter    int64  `json:"not_after"` // Unix seconds
	// Intermediates are those of the verified chain, from the leaf up, and Authority is where it ends; absent without one.
	Intermediates []intermediate `json:"intermediates,omitempty"`
	Authority     *anchor        `json:"authority,omitempty"`
}

// intermediate is a certificate between the leaf and the CA.
type intermediate struct {
	Serial      string `json:"serial"`
	Issuer      string `json:"issuer"`
	Fingerprint string `json:"fingerprint"`
	Key         string `json:"key"`
}

// anchor is the certificate of the broker's CA file in which a chain ends.
type anchor struct {
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	Key         string `json:"key"`
}

// cause says why the engine refused a connection by its own decision.
type cause string

const (
	causeTimeout         cause = "timeout"
	causeOverflow        cause = "overflow"
	causeMalformed       cause = "malformed"
	causeUnknownAccount  cause = "unknown_account"
	causeStaleGeneration cause = "stale_generation"
	causeRegistration    cause = "registration"
	causePanic           cause = "panic"
	causeBridgeSecret    cause = "bridge_secret"
	causeTooLarge        cause = "too_large"
	causeGuessing        cause = "guessing"
	causeGone            cause = "gone"
	causeUnmet           cause = "unmet_conditions"

	// These are not reported: the connection is let in, or it was the broker's decision, or the engine stops.
	causeNone     cause = ""
	causeDenied   cause = "denied"
	causeStopping cause = "stopping"
)

type refusal struct {
	Type       string `json:"type"`
	ID         uint64 `json:"id"`
	Connection uint64 `json:"connection_id"`
	Address    string `json:"address"`
	Cause      cause  `json:"cause"`
}

// losses tells how much was not told to the broker since the start of the engine, because it did not take it in time.
type losses struct {
	Type      string `json:"type"`
	Questions uint64 `json:"questions"`
	Reports   uint64 `json:"reports"`
	LogLines  uint64 `json:"log_lines"`
}

// reloaded answers a reload; without a problem, what the file says is in force.
type reloaded struct {
	Type    string          `json:"type"`
	ID      json.RawMessage `json:"id"`
	Problem string          `json:"problem"`
}

// listedSessions answers a question for sessions.
type listedSessions struct {
	Type     string          `json:"type"`
	ID       json.RawMessage `json:"id"`
	Sessions []session       `json:"sessions"`
	More     bool            `json:"more"`
	// Busy is there when the busiest were asked for.
	Busy *altogether `json:"busy,omitempty"`
}

// endedSessions tells how many sessions were ended of those that the broker named.
type endedSessions struct {
	Type     string          `json:"type"`
	ID       json.RawMessage `json:"id"`
	Sessions int             `json:"sessions"`
}
