package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// servePages serves the library's monitoring pages until the process ends. The library's own listener would be a TCP
// port: for every user of the machine and, as its pages allow all origins, for every web page in a browser on it.
func servePages(listener net.Listener, srv *server.Server) {
	pages := &http.Server{
		Handler:           pagesOf(srv),
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    1 << 16,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	pages.Serve(listener)
}

// pagesOf gives the pages without the library's listener: Server.HTTPHandler has them only beside it.
func pagesOf(srv *server.Server) http.Handler {
	mux := http.NewServeMux()
	for path, handle := range map[string]http.HandlerFunc{
		server.RootPath:         srv.HandleRoot,
		server.VarzPath:         srv.HandleVarz,
		server.ConnzPath:        srv.HandleConnz,
		server.RoutezPath:       srv.HandleRoutez,
		server.GatewayzPath:     srv.HandleGatewayz,
		server.LeafzPath:        srv.HandleLeafz,
		server.SubszPath:        srv.HandleSubsz,
		"/subscriptionsz":       srv.HandleSubsz,
		server.StackszPath:      srv.HandleStacksz,
		server.AccountzPath:     srv.HandleAccountz,
		server.AccountStatzPath: srv.HandleAccountStatz,
		server.JszPath:          srv.HandleJsz,
		server.HealthzPath:      srv.HandleHealthz,
		server.IPQueuesPath:     srv.HandleIPQueuesz,
		server.RaftzPath:        srv.HandleRaftz,
	} {
		mux.HandleFunc(path, handle)
	}
	return mux
}
