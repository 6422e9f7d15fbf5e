package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// limits returns permissions where one list is replaced; nil stands for null.
func limits(changes frame) frame {
	p := frame{"publish": frame{"allow": nil, "deny": []string{}}, "subscribe": frame{"allow": nil, "deny": []string{}}}
	for path, value := range changes {
		side, list, nested := strings.Cut(path, ".")
		switch {
		case nested && value == absent:
			delete(p[side].(frame), list)
		case nested:
			p[side].(frame)[list] = value
		case value == absent:
			delete(p, side)
		default:
			p[side] = value
		}
	}
	return p
}

func parseChanged(t *testing.T, changes frame) (verdict, error) {
	t.Helper()
	body, err := json.Marshal(allowing(frame{"id": 1}, changes))
	if err != nil {
		t.Fatal(err)
	}
	frame, err := parseIncoming(body)
	if err != nil {
		t.Fatal(err)
	}
	return parseVerdict(frame)
}

func TestParseVerdictRefusesWhatIsMalformed(t *testing.T) {
	for name, changes := range map[string]frame{
		"no generation":        {"generation": absent},
		"generation zero":      {"generation": 0},
		"generation text":      {"generation": "7"},
		"generation part":      {"generation": 7.5},
		"no allow":             {"allow": absent},
		"allow null":           {"allow": nil},
		"allow text":           {"allow": "true"},
		"allow number":         {"allow": 1},
		"no account":           {"account": absent},
		"account empty":        {"account": ""},
		"account null":         {"account": nil},
		"account number":       {"account": 1},
		"username number":      {"username": 1},
		"no permissions":       {"permissions": absent},
		"permissions false":    {"permissions": false},
		"permissions list":     {"permissions": []string{}},
		"permissions empty":    {"permissions": frame{}},
		"no publish":           {"permissions": limits(frame{"publish": absent})},
		"publish null":         {"permissions": limits(frame{"publish": nil})},
		"no subscribe":         {"permissions": limits(frame{"subscribe": absent})},
		"no allow list":        {"permissions": limits(frame{"publish.allow": absent})},
		"empty allow list":     {"permissions": limits(frame{"publish.allow": []string{}})},
		"empty allow list sub": {"permissions": limits(frame{"subscribe.allow": []string{}})},
		"allow list a text":    {"permissions": limits(frame{"publish.allow": "foo"})},
		"allow list a number":  {"permissions": limits(frame{"publish.allow": []int{1}})},
		"allow list a null":    {"permissions": limits(frame{"publish.allow": []any{nil}})},
		"no deny list":         {"permissions": limits(frame{"subscribe.deny": absent})},
		"deny list null":       {"permissions": limits(frame{"publish.deny": nil})},
		"subject empty":        {"permissions": limits(frame{"publish.allow": []string{"ok", ""}})},
		"subject dots":         {"permissions": limits(frame{"publish.allow": []string{"foo..bar"}})},
		"subject after >":      {"permissions": limits(frame{"publish.deny": []string{"foo.>.bar"}})},
		"subject space":        {"permissions": limits(frame{"publish.allow": []string{"foo bar"}})},
		"publish queue":        {"permissions": limits(frame{"publish.deny": []string{"foo queue"}})},
		"three words":          {"permissions": limits(frame{"subscribe.allow": []string{"foo queue more"}})},
		"bad queue":            {"permissions": limits(frame{"subscribe.allow": []string{"foo bad..queue"}})},
		"blank":                {"permissions": limits(frame{"subscribe.deny": []string{" "}})},
	} {
		if v, err := parseChanged(t, changes); err == nil {
			t.Errorf("%s: accepted as %+v", name, v)
		}
	}
}

func TestParseVerdictReadsWhatIsWellFormed(t *testing.T) {
	v, err := parseChanged(t, frame{"permissions": nil})
	if err != nil || !v.allow || v.account != "choria" || v.username != "shown" || v.generation != 7 || v.permissions != nil {
		t.Errorf("no limits: got %+v, %v", v, err)
	}
	for _, empty := range []any{"", nil, absent} {
		if v, err := parseChanged(t, frame{"username": empty}); err != nil || v.username != "" {
			t.Errorf("username %v: got %+v, %v", empty, v, err)
		}
	}
	v, err = parseChanged(t, frame{"permissions": limits(frame{
		"publish.allow": []string{"a.*", "b.>"}, "publish.deny": []string{"a.x"},
		"subscribe.deny": []string{"c", "d queue.*"},
	})})
	want := &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"a.*", "b.>"}, Deny: []string{"a.x"}},
		Subscribe: &server.SubjectPermission{Deny: []string{"c", "d queue.*"}},
	}
	if err != nil || !reflect.DeepEqual(v.permissions, want) {
		t.Errorf("limits: got %+v, %v", v.permissions, err)
	}
	if v.permissions.Subscribe.Allow != nil {
		t.Error("null became an empty allow list, which means nothing is allowed")
	}
	// A denial needs nothing else.
	v, err = parseChanged(t, frame{"allow": false, "account": absent, "permissions": absent, "username": absent})
	if err != nil || v.allow {
		t.Errorf("denial: got %+v, %v", v, err)
	}
}

// FuzzVerdict looks for frames that get more through than a verdict may say.
func FuzzVerdict(f *testing.F) {
	for _, permissions := range []any{nil, limits(nil), limits(frame{"publish.allow": []string{"a b", ">"}, "subscribe.deny": []string{"a b"}})} {
		body, err := json.Marshal(allowing(frame{"id": 1}, frame{"permissions": permissions}))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		frame, err := parseIncoming(body)
		if err != nil {
			return
		}
		v, err := parseVerdict(frame)
		if err != nil || !v.allow {
			return
		}
		if v.account == "" || v.generation == 0 {
			t.Errorf("accepted %+v", v)
		}
		if v.permissions == nil {
			if string(frame.Permissions) != "null" {
				t.Errorf("no limits out of %q", frame.Permissions)
			}
			return
		}
		for _, side := range []*server.SubjectPermission{v.permissions.Publish, v.permissions.Subscribe} {
			if side.Allow != nil && len(side.Allow) == 0 {
				t.Error("accepted an empty allow list")
			}
			for _, entry := range append(side.Allow, side.Deny...) {
				for _, word := range strings.Fields(entry) {
					if !server.IsValidSubject(word) {
						t.Errorf("accepted subject %q", entry)
					}
				}
			}
		}
	})
}
