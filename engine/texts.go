package main

import "unicode/utf8"

const (
	// lineBeforeLogin is the most bytes of a line of a leafnode, route or gateway that has not logged in: the texts that a
	// CONNECT may have, names of fields, and escapes. In operator mode there are tokens with long lists of permissions.
	lineBeforeLogin         = 8 << 10
	operatorLineBeforeLogin = 16 << 10
	// longestKey is the most bytes of a field's name that does not count: none has a longer one.
	longestKey = 32
)

// lineBefore returns the most bytes of a line before its sender has logged in.
func lineBefore(hello brokerHello) int32 {
	if hello.Authentication == byOperator {
		return operatorLineBeforeLogin
	}
	return lineBeforeLogin
}

// textsIn counts the bytes of the texts in a JSON document, as they are once they are read.
func textsIn(document []byte) int {
	total := 0
	for i := 0; i < len(document); i++ {
		if document[i] != '"' {
			continue
		}
		size := 0
		for i++; i < len(document) && document[i] != '"'; i++ {
			if document[i] != '\\' {
				size++
				continue
			}
			i++
			if i < len(document) && document[i] == 'u' && i+4 < len(document) {
				size += escapedLen(document[i+1 : i+5])
				i += 4
			} else {
				size++
			}
		}
		if size > longestKey || !isKey(document, i) {
			total += size
		}
	}
	return total
}

// isKey tells whether the text that ends here is the name of a field.
func isKey(document []byte, end int) bool {
	for _, b := range document[min(end+1, len(document)):] {
		switch b {
		case ' ', '\t', '\r', '\n':
		default:
			return b == ':'
		}
	}
	return false
}

// escapedLen returns how many bytes a character takes that is written in four hexadecimal digits; of a pair, half of it.
func escapedLen(digits []byte) int {
	var r rune
	for _, b := range digits {
		switch {
		case b >= '0' && b <= '9':
			b -= '0'
		case b >= 'a' && b <= 'f':
			b -= 'a' - 10
		case b >= 'A' && b <= 'F':
			b -= 'A' - 10
		default:
			return 4
		}
		r = r<<4 | rune(b)
	}
	if r >= 0xd800 && r <= 0xdfff {
		return 2
	}
	return utf8.RuneLen(r)
}
