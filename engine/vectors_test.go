package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// vectors returns the documents of the gate protocol that one side sends, by their names. Python's tests read them too.
func vectors(t *testing.T, sender string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "tests", "vectors", "gate", sender, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	documents := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents[strings.TrimSuffix(filepath.Base(file), ".json")] = text
	}
	return documents
}

// strictly reads a document all of whose fields have to be known.
func strictly(t *testing.T, text []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}

// same compares what is written with a document.
func same(t *testing.T, written any, text []byte) {
	t.Helper()
	frame, err := encodeFrame(written)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(frame[4:], &got); err != nil {
		t.Fatal(err)
	}
	strictly(t, text, &want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("wrote %v, want %v", got, want)
	}
}

func TestVectorsOfTheEngine(t *testing.T) {
	forms := map[string]func() any{
		"hello": func() any { return &engineHello{} }, "ready": func() any { return &ready{} },
		"admitted": func() any { return &admittedOnes{} },
		"question": func() any { return &question{} }, "refusal": func() any { return &refusal{} },
		"losses": func() any { return &losses{} }, "crowd": func() any { return &crowd{} }, "waiting": func() any { return &waiting{} },
		"reloaded": func() any { return &reloaded{} }, "authorities": func() any { return &authorities{} },
		"drained": func() any { return &drainAnswer{} }, "moving": func() any { return &moving{} },
		"listed": func() any { return &listedSessions{} },
		"ended":  func() any { return &endedSessions{} }, "signings": func() any { return &signings{} },
	}
	met := map[string]bool{}
	for name, text := range vectors(t, "engine") {
		t.Run(name, func(t *testing.T) {
			kind, _, _ := strings.Cut(name, "-")
			met[kind] = true
			form := forms[kind]()
			strictly(t, text, form)
			same(t, form, text)
		})
	}
	if len(met) != len(forms) {
		t.Errorf("vectors of %v only", met)
	}
}

func TestVectorsOfTheBroker(t *testing.T) {
	documents := vectors(t, "broker")
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			if name == "hello" {
				hello, err := parseHello(text)
				if err != nil {
					t.Fatal(err)
				}
				strictly(t, text, &brokerHello{})
				same(t, hello, text)
				return
			}
			strictly(t, text, &incoming{})
			got, err := parseIncoming(text)
			if err != nil {
				t.Fatal(err)
			}
			same(t, written(t, got), text)
		})
	}
	if len(documents) != 13 {
		t.Errorf("vectors of %d frames", len(documents))
	}
}

// written is a frame of the broker, made of what the engine read out of it.
func written(t *testing.T, got incoming) frame {
	t.Helper()
	f := frame{"type": got.Type}
	if id, ok := positive(got.ID); ok {
		f["id"] = id
	}
	if generation, ok := positive(got.Generation); ok {
		f["generation"] = generation
	}
	if got.Type == "reload" {
		hello, err := parseHello(got.Hello)
		if err != nil {
			t.Fatal(err)
		}
		f["hello"] = hello
	}
	if got.Type == "drain" {
		f["order"] = got.Order
	}
	if got.Type == "revoked" {
		f["revoked"] = got.Revoked
	}
	for field, raw := range map[string]json.RawMessage{"ended": got.Ended, "after": got.After, "traffic": got.Traffic, "busiest": got.Busiest, "by": got.By, "connections": got.Connections, "reason": got.Reason} {
		if len(raw) > 0 {
			f[field] = raw
		}
	}
	if deadline, ok := positive(got.Deadline); ok {
		f["deadline"] = deadline
	}
	if got.Type == "verdict" {
		writeVerdict(t, got, f)
	}
	return f
}

// writeVerdict adds what a verdict says to what every frame has.
func writeVerdict(t *testing.T, got incoming, f frame) {
	t.Helper()
	v, err := parseVerdict(got)
	if err != nil {
		t.Fatal(err)
	}
	f["allow"], f["account"], f["username"], f["max_subscriptions"], f["permissions"] = v.allow, v.account, v.username, v.maxSubs, nil
	f["holder"], f["proof"], f["conditions"], f["reach"] = v.holder, "", []condition{}, v.reach
	if !v.allow {
		f["holder"] = nil
	}
	if v.conditions.any() {
		f["proof"], f["conditions"] = v.conditions.proof, v.conditions.signatures
	}
	if v.permissions != nil {
		limits := frame{}
		for side, subjects := range map[string]any{"publish": v.permissions.Publish, "subscribe": v.permissions.Subscribe} {
			lists := reflect.ValueOf(subjects).Elem()
			limits[side] = frame{"allow": lists.FieldByName("Allow").Interface(), "deny": lists.FieldByName("Deny").Interface()}
		}
		f["permissions"] = limits
	}
}
