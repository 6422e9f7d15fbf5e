package main

// The usual forms of a verdict, read without reflection: what encoding/json needs for one is a good part of what a question
// costs the engine. Whatever has another form is left to encoding/json, which has the last word on what it means.

import (
	"bytes"
	"encoding/base64"
	"math"
)

// members hands out the members of a JSON object that is known to be well formed; false when it is no object, when a name is
// not written plainly, or when the taker does not want one.
func members(object []byte, take func(name, value []byte) bool) bool {
	if len(object) == 0 || object[0] != '{' {
		return false
	}
	rest := spaced(object[1:])
	for len(rest) > 0 && rest[0] != '}' {
		if rest[0] == ',' {
			rest = spaced(rest[1:])
		}
		size := extent(rest)
		name, value := rest[:size], spaced(rest[size:])
		if len(name) < 2 || name[0] != '"' || bytes.IndexByte(name, '\\') >= 0 || len(value) == 0 {
			return false
		}
		value = spaced(value[1:]) // Over the colon.
		size = extent(value)
		if !take(name[1:len(name)-1], value[:size]) {
			return false
		}
		rest = spaced(value[size:])
	}
	return len(rest) > 0
}

// elements does the same for a list.
func elements(list []byte, take func(value []byte) bool) bool {
	if len(list) == 0 || list[0] != '[' {
		return false
	}
	rest := spaced(list[1:])
	for len(rest) > 0 && rest[0] != ']' {
		if rest[0] == ',' {
			rest = spaced(rest[1:])
		}
		size := extent(rest)
		if size == 0 || !take(rest[:size]) {
			return false
		}
		rest = spaced(rest[size:])
	}
	return len(rest) > 0
}

// spaced returns a text from where it does not begin with space any more.
func spaced(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\n' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// extent returns how long the value is that a well-formed text begins with.
func extent(text []byte) int {
	depth := 0
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '"':
			for at++; at < len(text) && text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
			}
			if depth == 0 {
				return min(at+1, len(text))
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
			if depth < 0 {
				return at // Of what is around a number or a word.
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return at
			}
		}
	}
	return len(text)
}

// usualText reads a text without escapes.
func usualText(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return "", false
	}
	return string(value[1 : len(value)-1]), true
}

// usualNumber reads a number of 1 or more that is written with digits only.
func usualNumber(value []byte) (uint64, bool) {
	if len(value) == 0 || len(value) > 18 || value[0] == '0' {
		return 0, false
	}
	number := uint64(0)
	for _, digit := range value {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		number = 10*number + uint64(digit-'0')
	}
	return number, true
}

// usualBytes reads bytes as encoding/json writes them.
func usualBytes(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil, false
	}
	read := make([]byte, base64.StdEncoding.DecodedLen(len(value)-2))
	size, err := base64.StdEncoding.Decode(read, value[1:len(value)-1])
	return read[:size], err == nil
}

// usualVerdict splits a verdict into its fields, of which each is there once; the text is known to be well formed.
func usualVerdict(body []byte) (frame incoming, usual bool) {
	usual = members(body, func(name, value []byte) bool {
		switch string(name) {
		case "type":
			if string(value) != `"verdict"` || frame.Type != "" {
				return false
			}
			frame.Type = "verdict"
			return true
		case "id":
			return once((*[]byte)(&frame.ID), value)
		case "generation":
			return once((*[]byte)(&frame.Generation), value)
		}
		field := frame.named(name)
		return field != nil && once((*[]byte)(field), value)
	})
	return frame, usual && frame.Type != ""
}

func once(field *[]byte, value []byte) bool {
	first := *field == nil
	*field = value
	return first
}

// usualLists reads both sides of permissions.
func usualLists(permissions []byte) (publish, subscribe *sentLists, usual bool) {
	usual = members(permissions, func(name, value []byte) bool {
		lists, once := &sentLists{}, false
		switch string(name) {
		case "publish":
			once, publish = publish == nil, lists
		case "subscribe":
			once, subscribe = subscribe == nil, lists
		}
		allow, deny := false, false
		return once && members(value, func(name, value []byte) (ok bool) {
			switch string(name) {
			case "allow":
				lists.Allow, ok = usualTexts(value)
				ok, allow = ok && !allow, true
			case "deny":
				lists.Deny, ok = usualTexts(value)
				ok, deny = ok && !deny, true
			}
			return ok
		}) && allow && deny
	})
	return publish, subscribe, usual && publish != nil && subscribe != nil
}

// usualTexts reads null as nil, and a list of texts.
func usualTexts(value []byte) ([]string, bool) {
	if string(value) == "null" {
		return nil, true
	}
	texts := make([]string, 0, bytes.Count(value, []byte{','})+1)
	usual := elements(value, func(value []byte) bool {
		text, ok := usualText(value)
		texts = append(texts, text)
		return ok
	})
	return texts, usual
}

// usualConditions reads a list of signatures.
func usualConditions(list []byte) (found []condition, usual bool) {
	usual = elements(list, func(value []byte) bool {
		var c condition
		ok := members(value, func(name, value []byte) bool {
			read, ok := usualBytes(value)
			switch string(name) {
			case "key":
				return ok && once(&c.Key, read)
			case "signature":
				return ok && once(&c.Signature, read)
			case "message":
				return ok && once(&c.Message, read)
			}
			return false
		})
		found = append(found, c)
		return ok
	})
	return found, usual
}

// usualReach reads for which other connections a verdict is good.
func usualReach(value []byte) (r reach, usual bool) {
	until, class := false, false
	usual = members(value, func(name, value []byte) (ok bool) {
		switch string(name) {
		case "until":
			var moment uint64
			moment, ok = usualNumber(value)
			r.Until = int64(min(moment, math.MaxInt64))
			ok, until = ok && !until, true
		case "of_class":
			r.OfClass = string(value) == "true"
			ok, class = !class && (r.OfClass || string(value) == "false"), true
		}
		return ok
	})
	return r, usual && until && class
}
