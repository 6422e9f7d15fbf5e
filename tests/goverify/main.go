// Command goverify tells what Go's own TLS makes of certificates, keys and CA files. It reads a list of cases from the
// standard input and writes a list of answers.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

type question struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
	CA          []byte `json:"ca"`
	Host        string `json:"host"`
	Now         int64  `json:"now"`
}

type answer struct {
	Pair     string   `json:"pair"`     // why certificate and key cannot be loaded
	CAs      int      `json:"cas"`      // certificates that were found in the CA file
	Blocks   []string `json:"blocks"`   // kinds of the blocks in the certificate file
	Host     string   `json:"host"`     // why the certificate is not one for the host
	Server   string   `json:"server"`   // why no connection to a server with the certificate stands
	Client   string   `json:"client"`   // why no connection of a client with the certificate stands
	Server12 string   `json:"server12"` // as Server, with TLS 1.2
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	known := own()
	answers := []answer{}
	for _, q := range questions {
		answers = append(answers, judge(q, known))
	}
	_ = json.NewEncoder(os.Stdout).Encode(answers)
}

func judge(q question, known tls.Certificate) (a answer) {
	for rest := q.Certificate; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		a.Blocks = append(a.Blocks, block.Type)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(q.CA)
	a.CAs = len(pool.Subjects()) //nolint:staticcheck // of a pool that is not the system's
	pair, err := tls.X509KeyPair(q.Certificate, q.Key)
	if err != nil {
		a.Pair = err.Error()
		return a
	}
	if q.Host != "" {
		a.Host = text(pair.Leaf.VerifyHostname(q.Host))
	}
	now := func() time.Time { return time.Unix(q.Now, 0) }
	presents := &tls.Config{Certificates: []tls.Certificate{pair}, Time: now}
	// The name is checked apart, so that each answer has one cause.
	verifies := &tls.Config{RootCAs: pool, Time: now, InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error { return verify(state, pool, now()) }}
	a.Server = handshake(presents, verifies)
	old := verifies.Clone()
	old.MaxVersion = tls.VersionTLS12
	a.Server12 = handshake(presents, old)
	asks := &tls.Config{Certificates: []tls.Certificate{known}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, Time: now}
	shows := &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, Time: now}
	a.Client = handshake(asks, shows)
	return a
}

func verify(state tls.ConnectionState, pool *x509.CertPool, now time.Time) error {
	sent := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		sent.AddCert(certificate)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: pool, Intermediates: sent, CurrentTime: now})
	return err
}

func handshake(server, client *tls.Config) string {
	left, right := connected()
	deadline := time.Now().Add(10 * time.Second)
	_ = left.SetDeadline(deadline)
	_ = right.SetDeadline(deadline)
	served := make(chan error, 1)
	go func() {
		conn := tls.Server(left, server)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Write([]byte{0})
		}
		if err != nil {
			_ = left.Close()
		}
		served <- err
	}()
	conn := tls.Client(right, client)
	err := conn.Handshake()
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	_ = right.Close()
	if other := <-served; other != nil && server.ClientAuth != tls.NoClientCert {
		return other.Error()
	}
	return text(err)
}

// connected returns both ends of a connection, which has room for an alert that nobody waits for.
func connected() (net.Conn, net.Conn) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		panic(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		panic(err)
	}
	return accepted, dialled
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func own() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<33, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
