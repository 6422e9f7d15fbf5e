// Opens NATS connections over TLS and tells how long the server took to let each of them in.
//
// It speaks just enough of the client protocol for that, so that on a machine shared with the server under
// measurement as little as possible goes into the load itself. Connections stay open until standard input ends.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	deadline       = 10 * time.Second
	mostAtOnce     = 20_000
	bytesOfAReader = 1024 // Long enough for the INFO of the servers measured, short for the sake of memory.
)

// login is one token with the seed of the key it belongs to.
type login struct {
	Token string `json:"token"`
	Seed  string `json:"seed"`
}

// outcome of one connection.
type outcome struct {
	conn   net.Conn
	late   time.Duration // from the planned start to the real one
	answer time.Duration // from CONNECT to PONG
	whole  time.Duration // from dialling to PONG
	err    error
}

// report is the one line this program writes.
type report struct {
	Connected int     `json:"connected"`
	Failed    int     `json:"failed"`
	Failure   string  `json:"failure"`
	Seconds   float64 `json:"seconds"`
	LateP99   float64 `json:"late_p99_ms"`
	AnswerP50 float64 `json:"answer_p50_ms"`
	AnswerP99 float64 `json:"answer_p99_ms"`
	AnswerMax float64 `json:"answer_longest_ms"`
	WholeP99  float64 `json:"whole_p99_ms"`
}

func main() {
	address := flag.String("address", "", "host:port of the server, on loopback")
	ca := flag.String("ca", "", "PEM file with the CA of the server")
	cert := flag.String("cert", "", "PEM file with a client certificate, empty for none")
	key := flag.String("key", "", "PEM file with its key")
	logins := flag.String("logins", "", "JSON file with tokens and seeds, empty for none")
	count := flag.Int("count", 1, "connections to open")
	rate := flag.Float64("rate", 0, "connections begun per second whatever the server does; 0: as fast as workers get them")
	workers := flag.Int("workers", 8, "connections begun at once without a rate")
	postQuantum := flag.Bool("post-quantum", false, "offer the post-quantum key exchange too, which Choria programs do not")
	flag.Parse()

	if err := run(*address, *ca, *cert, *key, *logins, *count, *rate, *workers, *postQuantum); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, ca, cert, key, logins string, count int, rate float64, workers int, postQuantum bool) error {
	if count < 1 || count > mostAtOnce {
		return fmt.Errorf("count is 1 to %d", mostAtOnce)
	}
	config, err := tlsConfig(ca, cert, key)
	if err != nil {
		return err
	}
	if !postQuantum {
		config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	}
	known, err := readLogins(logins)
	if err != nil {
		return err
	}

	outcomes := make([]outcome, count)
	began := time.Now()
	begin := func(i int, planned time.Time) {
		var who *login
		if len(known) > 0 {
			who = &known[i%len(known)]
		}
		outcomes[i] = connect(address, config, who)
		outcomes[i].late = max(0, time.Since(planned)-outcomes[i].whole)
	}
	if rate > 0 {
		atRate(count, rate, began, begin)
	} else {
		byWorkers(count, workers, begin)
	}
	if err := json.NewEncoder(os.Stdout).Encode(summary(outcomes, time.Since(began))); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// atRate begins connections by the clock, so that a slow server does not slow down the load.
func atRate(count int, rate float64, began time.Time, begin func(int, time.Time)) {
	var running sync.WaitGroup
	for i := range count {
		planned := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		time.Sleep(time.Until(planned))
		running.Go(func() { begin(i, planned) })
	}
	running.Wait()
}

func byWorkers(count, workers int, begin func(int, time.Time)) {
	var running sync.WaitGroup
	next := make(chan int)
	for range workers {
		running.Go(func() {
			for i := range next {
				begin(i, time.Now())
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	running.Wait()
}

func connect(address string, config *tls.Config, who *login) (o outcome) {
	start := time.Now()
	defer func() { o.whole = time.Since(start) }()
	conn, err := net.DialTimeout("tcp", address, deadline)
	if err != nil {
		return outcome{err: err}
	}
	conn.SetDeadline(start.Add(deadline))
	o, err = greet(conn, config, who)
	if err != nil {
		conn.Close()
		return outcome{err: err}
	}
	o.conn.SetDeadline(time.Time{})
	return o
}

func greet(conn net.Conn, config *tls.Config, who *login) (outcome, error) {
	line, err := bufio.NewReaderSize(conn, bytesOfAReader).ReadString('\n')
	if err != nil {
		return outcome{}, err
	}
	var info struct {
		Nonce string `json:"nonce"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "INFO ")), &info); err != nil {
		return outcome{}, err
	}
	secured := tls.Client(conn, config)
	if err := secured.Handshake(); err != nil {
		return outcome{}, err
	}
	hello, err := connectLine(who, info.Nonce)
	if err != nil {
		return outcome{}, err
	}
	asked := time.Now()
	if _, err := secured.Write(hello); err != nil {
		return outcome{}, err
	}
	answers := bufio.NewReaderSize(secured, bytesOfAReader)
	for {
		answer, err := answers.ReadString('\n')
		if err != nil {
			return outcome{}, err
		}
		if strings.HasPrefix(answer, "PONG") {
			return outcome{conn: secured, answer: time.Since(asked)}, nil
		}
		if strings.HasPrefix(answer, "-ERR") {
			return outcome{}, fmt.Errorf("refused: %s", strings.TrimSpace(answer))
		}
	}
}

func connectLine(who *login, nonce string) ([]byte, error) {
	fields := map[string]any{
		"verbose": false, "pedantic": false, "tls_required": true, "name": "bench", "lang": "go", "version": "1",
		"protocol": 1, "headers": true, "no_responders": true,
	}
	if who != nil {
		seed, err := hex.DecodeString(who.Seed)
		if err != nil {
			return nil, err
		}
		signature := ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(nonce))
		fields["auth_token"] = who.Token
		fields["jwt"] = who.Token
		fields["sig"] = base64.RawURLEncoding.EncodeToString(signature)
	}
	text, err := json.Marshal(fields)
	return fmt.Appendf(nil, "CONNECT %s\r\nPING\r\n", text), err
}

func tlsConfig(ca, cert, key string) (*tls.Config, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", ca)
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func readLogins(path string) ([]login, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var known []login
	return known, json.Unmarshal(text, &known)
}

func summary(outcomes []outcome, took time.Duration) report {
	var late, answer, whole []time.Duration
	told := report{Seconds: took.Seconds()}
	for _, o := range outcomes {
		if o.err != nil {
			told.Failed++
			told.Failure = o.err.Error()
			continue
		}
		late, answer, whole = append(late, o.late), append(answer, o.answer), append(whole, o.whole)
	}
	told.Connected = len(answer)
	told.LateP99, told.WholeP99 = quantile(late, 0.99), quantile(whole, 0.99)
	told.AnswerP50, told.AnswerP99, told.AnswerMax = quantile(answer, 0.5), quantile(answer, 0.99), quantile(answer, 1)
	return told
}

// quantile of durations in milliseconds, 0 of none.
func quantile(of []time.Duration, part float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return float64(of[int(part*float64(len(of)-1))]) / float64(time.Millisecond)
}
