package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// mostOfHolder is the most bytes that may be said about whose a connection is.
const mostOfHolder = 16 << 10

// sentVerdict holds the fields of a verdict as they came.
type sentVerdict struct {
	Allow       json.RawMessage `json:"allow"`
	Account     json.RawMessage `json:"account"`
	Username    json.RawMessage `json:"username"`
	Permissions json.RawMessage `json:"permissions"`
	// Subscriptions is the most a connection may hold.
	Subscriptions json.RawMessage `json:"max_subscriptions"`
	// Holder says whose the connection is; only the broker looks into it.
	Holder json.RawMessage `json:"holder"`
	// Conditions and Proof are what the broker has left open.
	Conditions json.RawMessage `json:"conditions"`
	Proof      json.RawMessage `json:"proof"`
	// Reach says for which other connections the verdict is good.
	Reach json.RawMessage `json:"reach"`
}

// named returns the field that a member of the frame is read into, nil where there is none.
func (s *sentVerdict) named(member []byte) *json.RawMessage {
	switch string(member) {
	case "allow":
		return &s.Allow
	case "account":
		return &s.Account
	case "username":
		return &s.Username
	case "permissions":
		return &s.Permissions
	case "max_subscriptions":
		return &s.Subscriptions
	case "holder":
		return &s.Holder
	case "conditions":
		return &s.Conditions
	case "proof":
		return &s.Proof
	case "reach":
		return &s.Reach
	}
	return nil
}

// verdict is the broker's well-formed answer to a question. Without allow the other fields are empty.
type verdict struct {
	generation  uint64
	allow       bool
	account     string
	username    string
	permissions *server.Permissions // nil: no limits
	maxSubs     int32
	holder      json.RawMessage
	conditions  conditions
	reach       *reach // nil: for its own connection only
	by          uint64 // the connection that it is about, where it is remembered; else 0
}

// grantsAs tells whether two verdicts let a connection in as the same and let it do the same.
func (v verdict) grantsAs(other verdict) bool {
	// What is said about it, and what it had to show, is not what it may do.
	v.generation, v.holder, v.conditions = other.generation, other.holder, other.conditions
	v.reach, v.by = other.reach, other.by
	return reflect.DeepEqual(v, other)
}

// parseVerdict checks the fields of an answer. A field that limits what the connection may do has to be there:
// if the lack of one meant "no limit", a fault in the broker would open the door.
func parseVerdict(frame incoming) (verdict, error) {
	generation, ok := positive(frame.Generation)
	v := verdict{generation: generation}
	if !ok {
		return verdict{}, errors.New("field 'generation' is not an integer of 1 or more")
	}
	v.allow = string(frame.Allow) == "true"
	if !v.allow && (isNull(frame.Allow) || json.Unmarshal(frame.Allow, &v.allow) != nil) {
		return verdict{}, errors.New("field 'allow' is not a boolean")
	}
	if !v.allow {
		return v, nil
	}
	if readText(frame.Account, &v.account) != nil || v.account == "" {
		return verdict{}, errors.New("field 'account' is missing")
	}
	if len(frame.Username) > 0 && readText(frame.Username, &v.username) != nil {
		return verdict{}, errors.New("field 'username' is not a text")
	}
	most, ok := positive(frame.Subscriptions)
	if !ok || most > math.MaxInt32 {
		return verdict{}, errors.New("field 'max_subscriptions' is not an integer of 1 or more")
	}
	v.maxSubs = int32(most)
	// Without it nobody could find the connection again.
	if len(frame.Holder) == 0 || frame.Holder[0] != '{' || len(frame.Holder) > mostOfHolder {
		return verdict{}, fmt.Errorf("field 'holder' is not an object of %d bytes at most", mostOfHolder)
	}
	v.holder = slices.Clone(frame.Holder) // Of a buffer that is the whole frame's.
	var err error
	if v.conditions, err = parseConditions(frame.Conditions, frame.Proof); err != nil {
		return verdict{}, err
	}
	if v.reach, err = parseReach(frame.Reach); err != nil {
		return verdict{}, err
	}
	v.permissions, err = parsePermissions(frame.Permissions)
	return v, err
}

// readText reads a JSON text; null leaves it as it is.
func readText(raw json.RawMessage, text *string) error {
	if read, usual := usualText(raw); usual {
		*text = read
		return nil
	}
	return json.Unmarshal(raw, text)
}

// isNull tells whether a field is missing or null.
func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func parsePermissions(raw json.RawMessage) (*server.Permissions, error) {
	if len(raw) == 0 {
		return nil, errors.New("field 'permissions' is missing; null means no limits")
	}
	if isNull(raw) {
		return nil, nil
	}
	// What stays as it is here was not in the text.
	sides := struct {
		Publish   *sentLists `json:"publish"`
		Subscribe *sentLists `json:"subscribe"`
	}{newSentLists(), newSentLists()}
	if publish, subscribe, usual := usualLists(raw); usual {
		sides.Publish, sides.Subscribe = publish, subscribe
	} else if json.Unmarshal(raw, &sides) != nil {
		return nil, errors.New("field 'permissions' is not an object of objects with lists of texts")
	}
	publish, err := parseSubjects("publish", sides.Publish, server.IsValidSubject)
	if err != nil {
		return nil, err
	}
	subscribe, err := parseSubjects("subscribe", sides.Subscribe, isSubjectOrQueue)
	if err != nil {
		return nil, err
	}
	return &server.Permissions{Publish: publish, Subscribe: subscribe}, nil
}

// sentLists are the lists of one side of the permissions as they came.
type sentLists struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// newSentLists has lists in which an entry stands that is no subject: a list that is not sent stays so, and is refused.
func newSentLists() *sentLists { return &sentLists{[]string{""}, []string{""}} }

func parseSubjects(side string, lists *sentLists, valid func(string) bool) (*server.SubjectPermission, error) {
	if lists == nil {
		return nil, fmt.Errorf("permission '%s' is not an object", side)
	}
	limits := &server.SubjectPermission{Allow: lists.Allow, Deny: lists.Deny}
	if limits.Allow != nil && len(limits.Allow) == 0 {
		return nil, fmt.Errorf("list '%s.allow' is empty; null allows everything", side)
	}
	if limits.Deny == nil {
		return nil, fmt.Errorf("list '%s.deny' is not a list of texts", side)
	}
	for _, list := range [][]string{limits.Allow, limits.Deny} {
		for _, subject := range list {
			if !valid(subject) {
				return nil, fmt.Errorf("%q is not a valid subject in permission '%s'", subject, side)
			}
		}
	}
	return limits, nil
}

// isSubjectOrQueue accepts "subject" and "subject queue", the forms the library takes for subscriptions.
func isSubjectOrQueue(entry string) bool {
	words := strings.Fields(entry)
	if len(words) == 0 || len(words) > 2 {
		return false
	}
	for _, word := range words {
		if !server.IsValidSubject(word) {
			return false
		}
	}
	return true
}
