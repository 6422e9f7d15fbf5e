package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// protocolVersion is the version of the gate protocol, sent and demanded in the first frame of both sides.
	protocolVersion = 2
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
	body, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	if len(body) > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes is larger than the limit of %d", len(body), maxFrame)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	return append(frame, body...), nil
}

// incoming is a frame of the broker whose fields are not looked at yet: who reads the gate must not stop
// because one verdict is malformed.
type incoming struct {
	Type        string          `json:"type"`
	ID          json.RawMessage `json:"id"`
	Generation  json.RawMessage `json:"generation"`
	Allow       json.RawMessage `json:"allow"`
	Account     json.RawMessage `json:"account"`
	Username    json.RawMessage `json:"username"`
	Permissions json.RawMessage `json:"permissions"`
}

func parseIncoming(body []byte) (incoming, error) {
	var frame incoming
	// The text of a JSON error can quote what it read, and that can be a secret: it is not passed on.
	if !utf8.Valid(body) || json.Unmarshal(body, &frame) != nil || frame.Type == "" {
		return incoming{}, protocolErrorf("a frame that is not a JSON object with a text field 'type'")
	}
	return frame, nil
}

// positive reads a JSON integer of 1 or more.
func positive(raw json.RawMessage) (uint64, bool) {
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
	// Mappings are those of the file, source and destination of each, in the order in which they are to be tried.
	Mappings [][2]string `json:"mappings"`
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
	}
	return hello, nil
}

// question is one connection put to the broker. The fields of CONNECT are absent when empty.
type question struct {
	Type        string       `json:"type"`
	ID          uint64       `json:"id"`
	Connection  uint64       `json:"connection"`
	Deadline    int64        `json:"deadline"`
	Kind        string       `json:"kind"`
	TLS         string       `json:"tls"`
	Address     string       `json:"address"`
	Nonce       string       `json:"nonce"`
	User        string       `json:"user,omitempty"`
	Password    string       `json:"password,omitempty"`
	Token       string       `json:"token,omitempty"`
	Signature   string       `json:"signature,omitempty"`
	JWT         string       `json:"jwt,omitempty"`
	Nkey        string       `json:"nkey,omitempty"`
	Name        string       `json:"name,omitempty"`
	Certificate *certificate `json:"certificate,omitempty"`
}

// certificate describes the leaf certificate of the peer.
type certificate struct {
	CommonName  string `json:"common_name"`
	Serial      string `json:"serial"`
	Issuer      string `json:"issuer"`
	Fingerprint string `json:"fingerprint"`
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
	causeGone            cause = "gone"

	// These are not reported: the connection is let in, or it was the broker's decision, or the engine stops.
	causeNone     cause = ""
	causeDenied   cause = "denied"
	causeStopping cause = "stopping"
)

type refusal struct {
	Type       string `json:"type"`
	ID         uint64 `json:"id"`
	Connection uint64 `json:"connection"`
	Address    string `json:"address"`
	Cause      cause  `json:"cause"`
}
