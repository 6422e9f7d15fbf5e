package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReadFrameBoundsTheLength(t *testing.T) {
	head := func(size uint32) []byte { return binary.BigEndian.AppendUint32(nil, size) }
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"zero":            {head(0), errProtocol},
		"one over":        {head(maxFrame + 1), errProtocol},
		"largest number":  {head(1<<32 - 1), errProtocol},
		"nothing":         {nil, io.EOF},
		"half a length":   {head(3)[:2], io.ErrUnexpectedEOF},
		"half a body":     {append(head(3), 'x'), io.ErrUnexpectedEOF},
		"length but EOF":  {head(3), io.EOF},
		"smallest":        {append(head(1), 'x'), nil},
		"largest allowed": {append(head(maxFrame), make([]byte, maxFrame)...), nil},
	} {
		body, err := readFrame(bufio.NewReader(bytes.NewReader(c.data)))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v, want %v", name, err, c.want)
		}
		if c.want == nil && !bytes.Equal(body, c.data[4:]) {
			t.Errorf("%s: the body differs", name)
		}
	}
}

func TestEncodeFrameIsWhatReadFrameReads(t *testing.T) {
	data, err := encodeFrame(refusal{Type: "refusal", ID: 3, Cause: causeTimeout, Address: "<é>"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := readFrame(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	var got refusal
	if err := json.Unmarshal(body, &got); err != nil || got.ID != 3 || got.Address != "<é>" {
		t.Errorf("got %v (%v)", got, err)
	}
	if _, err := encodeFrame(question{request: request{Token: strings.Repeat("x", maxFrame)}}); err == nil {
		t.Error("a frame over the limit was encoded")
	}
}

func TestParseIncomingWantsATypedObject(t *testing.T) {
	for _, body := range []string{
		``, `null`, `[]`, `7`, `"verdict"`, `{}`, `{"type":7}`, `{"type":null}`, `{"type":""}`, `{"type":"verdict"`,
		`{"type":"verdict"} {}`, "{\"type\":\"\xff\"}",
	} {
		if _, err := parseIncoming([]byte(body)); !errors.Is(err, errProtocol) {
			t.Errorf("%q: got error %v, want a protocol error", body, err)
		}
	}
	got, err := parseIncoming([]byte(`{"type":"verdict","id":{"odd":[1]},"surprise":true}`))
	if err != nil || got.Type != "verdict" || string(got.ID) != `{"odd":[1]}` {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseHello(t *testing.T) {
	for name, changes := range map[string]frame{
		"valid": {}, "unknown field": {"surprise": 1}, "optional": {"optional_client_certificates": true},
		"smallest numbers":   {"answer_within_ms": 1, "max_questions": 1, "generation": 1},
		"largest numbers":    {"answer_within_ms": 10_000, "max_questions": 65_536},
		"shortest secret":    {"bridge_secret": strings.Repeat("é", 32)},
		"BAD type":           {"type": "verdict"},
		"BAD protocol":       {"protocol": 1},
		"BAD no protocol":    {"protocol": absent},
		"BAD protocol text":  {"protocol": "2"},
		"operator":           {"authentication": "operator"},
		"BAD no login":       {"authentication": absent},
		"BAD login":          {"authentication": "nobody"},
		"BAD generation":     {"generation": 0},
		"BAD negative":       {"generation": -1},
		"BAD no mode":        {"optional_client_certificates": absent},
		"BAD null mode":      {"optional_client_certificates": nil},
		"BAD mode":           {"optional_client_certificates": "yes"},
		"BAD no secret":      {"bridge_secret": absent},
		"BAD short secret":   {"bridge_secret": strings.Repeat("s", 31)},
		"BAD deadline zero":  {"answer_within_ms": 0},
		"BAD deadline long":  {"answer_within_ms": 10_001},
		"BAD deadline part":  {"answer_within_ms": 1.5},
		"BAD questions zero": {"max_questions": 0},
		"BAD questions many": {"max_questions": 65_537},
	} {
		hello := validHello()
		for field, value := range changes {
			if value == absent {
				delete(hello, field)
			} else {
				hello[field] = value
			}
		}
		body, err := json.Marshal(hello)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseHello(body)
		if bad := strings.HasPrefix(name, "BAD"); bad != errors.Is(err, errProtocol) {
			t.Errorf("%s: got error %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: the error shows the secret", name)
		}
	}
	if _, err := parseHello([]byte("nonsense " + testSecret)); err == nil || strings.Contains(err.Error(), testSecret) {
		t.Errorf("got error %v", err)
	}
}
