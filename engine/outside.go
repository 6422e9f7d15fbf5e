package main

// Private keys outside the engine: TLS has a signature made by a key process of the broker, which holds the key. The
// engine has parsed what strangers send, and so it is the process that should not have it. How key processes are asked
// is in keyprocesses.go.

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// outsidePrefix begins the key_file of a key that only key processes read; the path of the file follows.
	outsidePrefix = "key-process:"
	// sampleTimeout is the time for the first signature with a key, when a configuration is taken over.
	sampleTimeout = 10 * time.Second
	// defaultSignTimeout is for configurations that do not say how long a handshake may take.
	defaultSignTimeout = 2 * time.Second

	requestHead = 8 + 8 + 32 + 1 + 1
)

// Schemes and hashes, as a request has them.
const (
	schemePKCS1 = iota + 1
	schemePSS
	schemeECDSA
	schemeEd25519
)

var outsideHashes = map[crypto.Hash]byte{
	0: 0, crypto.SHA1: 1, crypto.SHA256: 2, crypto.SHA384: 3, crypto.SHA512: 4,
}

func init() { server.LoadKeyPair = loadKeyPair }

// outsideKey stands for a private key that key processes hold.
type outsideKey struct {
	public    crypto.PublicKey
	id        [sha256.Size]byte // hash of the public key
	file      string            // in which key processes have found it
	processes *keyProcesses     // nil until the configuration is taken over
	timeout   time.Duration
}

// loadKeyPair reads a certificate and its key. Of a key that is outside, only the name is known here.
func loadKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	if !strings.HasPrefix(keyFile, outsidePrefix) {
		return tls.LoadX509KeyPair(certFile, keyFile)
	}
	content, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	var pair tls.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			pair.Certificate = append(pair.Certificate, block.Bytes)
		}
	}
	if len(pair.Certificate) == 0 {
		return tls.Certificate{}, fmt.Errorf("%s: no PEM certificate in the file", certFile)
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return tls.Certificate{}, err
	}
	switch pair.Leaf.PublicKey.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return tls.Certificate{}, fmt.Errorf("%s: a public key of a kind that TLS does not use", certFile)
	}
	pair.PrivateKey = &outsideKey{
		public: pair.Leaf.PublicKey, id: sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo),
		file: strings.TrimPrefix(keyFile, outsidePrefix),
	}
	return pair, nil
}

// Public is a method of crypto.Signer.
func (k *outsideKey) Public() crypto.PublicKey { return k.public }

// Sign is a method of crypto.Signer. It waits no longer than a handshake may take.
func (k *outsideKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.processes == nil {
		return nil, errSignLost
	}
	scheme, err := k.scheme(digest, opts)
	if err != nil {
		return nil, err
	}
	request := make([]byte, requestHead, requestHead+len(digest))
	copy(request[16:], k.id[:])
	request[48], request[49] = scheme, outsideHashes[opts.HashFunc()]
	return k.processes.sign(append(request, digest...), k.timeout)
}

// scheme says how is to be signed. Only what TLS asks for is there.
func (k *outsideKey) scheme(digest []byte, opts crypto.SignerOpts) (byte, error) {
	hash := opts.HashFunc()
	if _, known := outsideHashes[hash]; !known || hash != 0 && len(digest) != hash.Size() {
		return 0, errors.New("a hash that key processes do not know")
	}
	switch k.public.(type) {
	case *rsa.PublicKey:
		pss, isPSS := opts.(*rsa.PSSOptions)
		switch {
		case hash == 0:
			return 0, errors.New("RSA signs no message without a hash")
		case !isPSS:
			return schemePKCS1, nil
		case pss.SaltLength == rsa.PSSSaltLengthEqualsHash || pss.SaltLength == hash.Size():
			return schemePSS, nil
		}
		return 0, errors.New("a length of the salt that TLS does not use")
	case *ecdsa.PublicKey:
		if hash == 0 {
			return 0, errors.New("ECDSA signs no message without a hash")
		}
		return schemeECDSA, nil
	}
	if hash != 0 {
		return 0, errors.New("Ed25519 signs messages, no hashes")
	}
	return schemeEd25519, nil
}

// try has something signed and verifies it: whoever answers has the key of this certificate.
func (k *outsideKey) try() error {
	message := make([]byte, 32)
	rand.Read(message)
	sum := sha256.Sum256(message)
	trial := *k
	trial.timeout = sampleTimeout
	good := false
	var err error
	var signature []byte
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
		if signature, err = trial.Sign(nil, sum[:], options); err == nil {
			good = rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature, options) == nil
		}
	case *ecdsa.PublicKey:
		if signature, err = trial.Sign(nil, sum[:], crypto.SHA256); err == nil {
			good = ecdsa.VerifyASN1(public, sum[:], signature)
		}
	case ed25519.PublicKey:
		if signature, err = trial.Sign(nil, message, crypto.Hash(0)); err == nil {
			good = ed25519.Verify(public, message, signature)
		}
	}
	if err == nil && !good {
		err = errors.New("what a key process signed does not fit the certificate")
	}
	return err
}

// tlsConfigs returns every configuration of TLS that has a certificate to show.
func tlsConfigs(opts *server.Options) []*tls.Config {
	all := []*tls.Config{
		opts.TLSConfig, opts.Websocket.TLSConfig, opts.LeafNode.TLSConfig, opts.Cluster.TLSConfig, opts.Gateway.TLSConfig,
	}
	for _, remote := range opts.Gateway.Gateways {
		all = append(all, remote.TLSConfig)
	}
	for _, remote := range opts.LeafNode.Remotes {
		all = append(all, remote.TLSConfig)
	}
	return all
}

// bind has the outside keys of a configuration signed by these processes, once each has shown that it can. The names are
// those of the keys in the files: the processes may hold another key of a certificate still, which they are about to forget.
func (p *keyProcesses) bind(opts *server.Options, names map[string]string) error {
	timeout := defaultSignTimeout
	if opts.TLSTimeout > 0 {
		timeout = time.Duration(opts.TLSTimeout * float64(time.Second))
	}
	tried := map[[sha256.Size]byte]bool{}
	for _, config := range tlsConfigs(opts) {
		if config == nil {
			continue
		}
		for _, certificate := range config.Certificates {
			key, outside := certificate.PrivateKey.(*outsideKey)
			if !outside {
				continue
			}
			if p == nil {
				return fmt.Errorf("a key_file that begins with %q needs --keys-fd", outsidePrefix)
			}
			if names[key.file] != hex.EncodeToString(key.id[:]) {
				return fmt.Errorf("the private key in %s does not belong to certificate %q", key.file, certificate.Leaf.Subject)
			}
			key.processes, key.timeout = p, timeout
			if tried[key.id] {
				continue
			}
			if err := key.try(); err != nil {
				return fmt.Errorf("the private key of certificate %q: %w", certificate.Leaf.Subject, err)
			}
			tried[key.id] = true
		}
	}
	return nil
}
