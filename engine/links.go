package main

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// linkPings is the time between two pings of a link to another broker. A link whose third ping is due while two are
// unanswered is dead, so one that stands still is known after 16 to 24 seconds.
const linkPings = 8 * time.Second

func init() { server.LinkPingInterval = linkPings }
