package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// keptStreams is the folder, in that of the streams, for those that the library would delete unasked.
const keptStreams = "kept"

// loadOptions reads a configuration file of nats-server and refuses what would lead around the gate, or in operator
// mode around the operator. Without a word on who authenticates, the file may be for either.
func loadOptions(file, authentication string) (*server.Options, error) {
	opts, err := server.ProcessConfigFile(file)
	if err != nil && !strings.Contains(err.Error(), file) {
		err = fmt.Errorf("%s: %w", file, err) // Errors of syntax do not name it.
	}
	if err != nil {
		return nil, err
	}
	operator := len(opts.TrustedOperators) > 0
	_, inMemory := opts.AccountResolver.(*server.MemAccResolver)
	switch leaf := opts.LeafNode; {
	case leaf.Username != "" || leaf.Nkey != "" || len(leaf.Users) > 0:
		return nil, fmt.Errorf("%s: 'authorization' in 'leafnodes' would let leafnodes in without asking the broker; remove it", file)
	case operator && (!inMemory || opts.DefaultSentinel != ""):
		return nil, fmt.Errorf("%s: 'operator' needs 'resolver: MEMORY', and there must be no 'default_sentinel'", file)
	case operator && authentication == byQuestions, !operator && (opts.AccountResolver != nil || len(opts.TrustedKeys) > 0):
		return nil, fmt.Errorf("%s: 'operator', 'trusted_keys' and 'resolver' bring accounts the broker does not decide on; remove them and list the accounts in 'accounts'", file)
	case !operator && authentication == byOperator:
		return nil, fmt.Errorf("%s: in operator mode 'operator' must be there", file)
	}
	opts.NoSigs = true // The broker decides what a signal means.
	// A user of the system account could have the library read the file again, without what is added here.
	opts.ConfigFile = ""
	// At trace level the library would log the tokens of CONNECT. It logs to the standard error only.
	opts.Trace, opts.TraceVerbose = false, false
	opts.LogFile, opts.Syslog, opts.RemoteSyslog = "", false, ""
	return opts, nil
}

// checkOptions has the library validate all that it validates before it starts. Nothing is opened.
func checkOptions(file string) error {
	opts, err := loadOptions(file, "")
	if err == nil {
		_, err = server.NewServer(opts)
	}
	return err
}

// applyHello adds to the options what the file cannot say.
func applyHello(opts *server.Options, hello brokerHello, authenticator server.Authentication) error {
	if hello.Authentication == byQuestions {
		opts.CustomClientAuthentication = authenticator
	}
	// The library reads mappings by way of a map, which has no order, and the first that takes a subject wins.
	for _, account := range opts.Accounts {
		var ordered [][2]string
		for _, mapping := range hello.Mappings {
			if account.RemoveMapping(mapping[0]) {
				ordered = append(ordered, mapping)
			}
		}
		for _, mapping := range ordered {
			if err := account.AddMapping(mapping[0], mapping[1]); err != nil {
				return err
			}
		}
	}
	if opts.StoreDir != "" {
		opts.KeepDirectory = filepath.Join(opts.StoreDir, keptStreams)
	}
	opts.Cluster.Members = hello.ClusterMembers
	for _, host := range hello.ClusterHosts {
		opts.Cluster.Known = append(opts.Cluster.Known, &url.URL{Scheme: "nats", Host: net.JoinHostPort(host, "1")})
	}
	opts.AlwaysEnableNonce = true
	// A PING two seconds after the start of a connection breaks clients that still wait for their verdict.
	opts.DisableShortFirstPing = true
	if !*hello.OptionalClientCertificates {
		return nil
	}
	for _, listener := range []struct {
		block string
		tls   *tls.Config
	}{
		{"tls", opts.TLSConfig},
		{"websocket.tls", opts.Websocket.TLSConfig},
		{"leafnodes.tls", opts.LeafNode.TLSConfig},
	} {
		if listener.tls == nil {
			continue
		}
		if listener.tls.ClientCAs == nil {
			return fmt.Errorf("optional client certificates need 'ca_file' in block '%s': without it the certificates of all authorities this machine trusts would do", listener.block)
		}
		listener.tls.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return nil
}

// boundPorts returns the port of every open listener. The library tells those of websockets and leafnodes only by
// writing them back to its options, so call this after the start.
func boundPorts(srv *server.Server, opts *server.Options) map[string]int {
	ports := map[string]int{}
	note := func(name string, port int) {
		if port > 0 {
			ports[name] = port
		}
	}
	if address, ok := srv.Addr().(*net.TCPAddr); ok {
		note("client", address.Port)
	}
	for name, address := range map[string]*net.TCPAddr{
		"cluster": srv.ClusterAddr(), "gateway": srv.GatewayAddr(),
	} {
		if address != nil {
			note(name, address.Port)
		}
	}
	note("websocket", opts.Websocket.Port)
	note("leafnode", opts.LeafNode.Port)
	return ports
}
