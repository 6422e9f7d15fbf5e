package main

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

const usualSample = `{"type":"verdict","id":1234,"generation":7,"allow":true,"account":"choria","username":"up=bob","permissions":{"publish":{"allow":["choria.node.>","choria.reply.0123.>"],"deny":[]},` +
	`"subscribe":{"allow":null,"deny":["a.b q"]}},"max_subscriptions":10000,"holder":{"method":"client_token","rule":"x","list":[1,{"a":"}]"}]},"conditions":[{"key":"MDEyMw==","signature":"NDU2"},` +
	`{"key":"MDEyMw==","signature":"NDU2","message":"Nzg5"}],"proof":"MDEyMw==","reach":{"until":1764500000000,"of_class":false}}`

// A field that is missing there would be read well, and slowly.
func TestEveryFieldOfAVerdictIsUsual(t *testing.T) {
	var s sentVerdict
	held := reflect.ValueOf(&s).Elem()
	for i := range held.NumField() {
		name := held.Type().Field(i).Tag.Get("json")
		if s.named([]byte(name)) != held.Field(i).Addr().Interface() {
			t.Errorf("%s is not found", name)
		}
	}
}

// sameAsJSON holds what is read of a verdict against encoding/json, and tells what was of the usual form.
func sameAsJSON(t *testing.T, body []byte) (usual []string) {
	t.Helper()
	if !json.Valid(body) {
		usualVerdict(body) // It may answer what it likes, and must come back.
		return nil
	}
	compare := func(what string, ok bool, got, want any, err error) {
		t.Helper()
		if !ok {
			return
		}
		usual = append(usual, what)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s of %q: %+v, want %+v, %v", what, body, got, want, err)
		}
	}
	var want incoming
	err := json.Unmarshal(body, &want)
	got, ok := usualVerdict(body)
	compare("verdict", ok, got, want, err)
	if err != nil {
		return usual
	}
	sides := struct{ Publish, Subscribe *sentLists }{newSentLists(), newSentLists()}
	err = json.Unmarshal(want.Permissions, &sides)
	publish, subscribe, ok := usualLists(want.Permissions)
	compare("permissions", ok, []*sentLists{publish, subscribe}, []*sentLists{sides.Publish, sides.Subscribe}, err)
	signatures := []condition{}
	err = json.Unmarshal(want.Conditions, &signatures)
	found, ok := usualConditions(want.Conditions)
	compare("conditions", ok, append([]condition{}, found...), signatures, err)
	var r reach
	err = json.Unmarshal(want.Reach, &r)
	also, ok := usualReach(want.Reach)
	compare("reach", ok, also, r, err)
	for _, field := range []json.RawMessage{want.ID, want.Generation, want.Account, want.Username, want.Subscriptions, want.Proof} {
		compareField(field, compare)
	}
	return usual
}

// compareField has one field read as everything that it may be.
func compareField(field json.RawMessage, compare func(what string, ok bool, got, want any, err error)) {
	var text string
	err := json.Unmarshal(field, &text)
	read, isText := usualText(field)
	compare("text", isText, read, text, err)
	var number uint64
	err = json.Unmarshal(field, &number)
	counted, ok := usualNumber(field)
	compare("number", ok, counted, number, err)
	if isText {
		var raw []byte
		err = json.Unmarshal(field, &raw)
		bytes, ok := usualBytes(field)
		compare("bytes", ok, bytes, raw, err)
	}
}

func TestUsualVerdictsAreThoseOfJSON(t *testing.T) {
	t.Parallel()
	usual := sameAsJSON(t, []byte(usualSample))
	for _, what := range []string{"verdict", "permissions", "conditions", "reach", "text", "number", "bytes"} {
		if !strings.Contains(strings.Join(usual, " "), what) {
			t.Errorf("%s of the usual form is not taken for that", what)
		}
	}
	var indented any
	if err := json.Unmarshal([]byte(usualSample), &indented); err != nil {
		t.Fatal(err)
	}
	sameAsJSON(t, made(json.MarshalIndent(indented, " ", "\t")))
	for _, change := range []string{
		`"id":1234|"id":0`, `"id":1234|"id":-1`, `"id":1234|"id":1e3`, `"id":1234|"id":1.0`, `"id":1234|"id":99999999999999999999`, `"id":1234|"id":"1"`, `"id":1234|"ID":1234`,
		`"id":1234|"id":1,"id":2`, `"id":1234|"\u0069d":1`, `"id":1234|"id":1,"more":2`, `"type":"verdict"|"type":"verdict","type":"reload"`, `"type":"verdict"|"type":null`,
		`"type":"verdict"|"type":"verdic\u0074"`, `"allow":true|"allow":null`, `"allow":true|"allow":false`, `"choria"|"cho\nria"`, `"choria"|"chöria"`, `"choria"|null`, `"choria"|""`,
		`"deny":[]|"deny":null`, `"deny":[]|"deny":[null]`, `"deny":[]|"deny":[1]`, `"deny":[]|"deny":["a",  "b" ]`, `"deny":[]|"deny":["a,b","[",  "]"]`, `"deny":[]|"deny":[],"deny":["x"]`,
		`"deny":[]|"Deny":["x"]`, `,"deny":[]|`, `"publish"|"other"`, `"publish"|"subscribe"`, `"allow":null|"allow":["a\"b"]`, `"MDEyMw=="|"MDEyMw"`, `"MDEyMw=="|""`, `"MDEyMw=="|null`,
		`"MDEyMw=="|"MDEyM\n=="`, `"message"|"key"`, `"message"|"Message"`, `"until":1764500000000|"until":-5`, `"until":1764500000000|"until":1,"until":2`, `"of_class":false|"of_class":null`,
		`"of_class":false|"of_class":true`, `,"of_class":false|`, `{"until":1764500000000,"of_class":false}|[]`, `"reach":{"until":1764500000000,"of_class":false}|"reach":{}`, `"holder":{|"holder":{"type":"x",`,
	} {
		old, changed, _ := strings.Cut(change, "|")
		text := strings.ReplaceAll(usualSample, old, changed)
		if text == usualSample {
			t.Errorf("%s changes nothing", change)
		}
		sameAsJSON(t, []byte(text))
	}
}

// TestUsualVerdictsThatAreDamaged takes, adds and changes bytes at random, always the same.
func TestUsualVerdictsThatAreDamaged(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const pieces = `{}[]",:\ null0123true`
	valid := 0
	for range 30_000 {
		body := []byte(usualSample)
		for range 1 + random.IntN(2) {
			at := random.IntN(len(body))
			switch piece := pieces[random.IntN(len(pieces))]; random.IntN(4) {
			case 0:
				body = append(body[:at], body[at+1:]...)
			case 1:
				body = append(body[:at], append([]byte{piece}, body[at:]...)...)
			case 2:
				body[at] = piece
			case 3:
				body = body[:at+1]
			}
		}
		if json.Valid(body) {
			valid++
		}
		sameAsJSON(t, body)
	}
	if valid < 1000 {
		t.Errorf("only %d were well formed", valid)
	}
}
