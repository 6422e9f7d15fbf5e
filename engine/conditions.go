package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// mostConditions is the most signatures that one verdict may leave open.
const mostConditions = 8

// condition is an ed25519 signature that the broker has left open. Nobody is let in before it was checked.
type condition struct {
	Key       []byte `json:"key"`
	Signature []byte `json:"signature"`
	// Message is nil where it is the token of the question, without the signature at its end.
	Message []byte `json:"message,omitempty"`
}

// conditions are all that a verdict has left open.
type conditions struct {
	signatures []condition
	// proof is the key with which the peer has to have signed the nonce; empty when it need not.
	proof []byte
}

// parseConditions reads what a verdict leaves open. What is malformed must not look like nothing.
func parseConditions(signatures, proof json.RawMessage) (conditions, error) {
	var c conditions
	if found, usual := usualConditions(signatures); usual {
		c.signatures, signatures = found, nil
	}
	if read, usual := usualBytes(proof); usual {
		c.proof, proof = read, nil
	}
	if !isNull(signatures) && json.Unmarshal(signatures, &c.signatures) != nil || len(c.signatures) > mostConditions {
		return conditions{}, errors.New("field 'conditions' is not a list of a few signatures")
	}
	for _, each := range c.signatures {
		if len(each.Key) != ed25519.PublicKeySize || len(each.Signature) != ed25519.SignatureSize {
			return conditions{}, errors.New("a condition has no key of 32 bytes and signature of 64")
		}
	}
	if !isNull(proof) && json.Unmarshal(proof, &c.proof) != nil || len(c.proof) != 0 && len(c.proof) != ed25519.PublicKeySize {
		return conditions{}, errors.New("field 'proof' is not a key of 32 bytes")
	}
	return c, nil
}

// any tells whether something is left open.
func (c conditions) any() bool { return len(c.signatures) > 0 || len(c.proof) > 0 }

// hold checks all of it for the connection that has this nonce, and sent this signature of it and this token.
func (c conditions) hold(nonce, signature, token string) bool {
	if len(c.proof) > 0 && !proves(c.proof, nonce, signature) {
		return false
	}
	return !slices.ContainsFunc(c.signatures, func(each condition) bool {
		if each.Message == nil {
			end := strings.LastIndexByte(token, '.')
			if end < 0 {
				return true
			}
			each.Message = []byte(token[:end])
		}
		return !signedBy(each.Key, each.Signature, each.Message)
	})
}

// proves tells whether a nonce was signed with the private half of a key. A signature has one spelling.
func proves(key []byte, nonce, signature string) bool {
	if nonce == "" || len(signature) != base64.RawURLEncoding.EncodedLen(ed25519.SignatureSize) {
		return false
	}
	// The decoder passes over line ends, but then there are fewer bytes.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	return err == nil && len(raw) == ed25519.SignatureSize && signedBy(key, raw, []byte(nonce))
}

// signedBy tells whether a signature over a message was made with the private half of a key. It is as strict as the
// broker's own check, which knows no keys and no signatures that anybody could make: a "no" only has the broker look.
func signedBy(key, signature, message []byte) bool {
	return isOrdinary(key) && isOrdinary(signature[:ed25519.PublicKeySize]) && ed25519.Verify(key, message, signature)
}

// weakPoints are the y coordinates of points of small order, as bytes from the lowest up.
var weakPoints = func() map[[ed25519.PublicKeySize]byte]bool {
	found := map[[ed25519.PublicKeySize]byte]bool{}
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		bytes, _ := hex.DecodeString(y)
		found[[ed25519.PublicKeySize]byte(bytes)] = true
	}
	return found
}()

// isOrdinary tells whether bytes are a point in its one spelling, and not of small order.
func isOrdinary(point []byte) bool {
	y := [ed25519.PublicKeySize]byte(point)
	y[len(y)-1] &^= 0x80 // The sign of x.
	if weakPoints[y] {
		return false
	}
	// Only from 2^255-19 on is there a second spelling: all bytes but the first are full then.
	if y[len(y)-1] != 0x7f || y[0] < 0xed {
		return true
	}
	return slices.ContainsFunc(y[1:len(y)-1], func(each byte) bool { return each != 0xff })
}
