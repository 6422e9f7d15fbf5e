package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
)

// stuckWriter takes nothing until it is let go.
type stuckWriter struct {
	free chan struct{}
	bytes.Buffer
}

func (w *stuckWriter) Write(data []byte) (int, error) {
	<-w.free
	return w.Buffer.Write(data)
}

func TestJournalNeverWaitsForItsReader(t *testing.T) {
	out := &stuckWriter{free: make(chan struct{})}
	j := newJournal(out)
	j.room = 10_000
	j.follow(&server.Options{Debug: true})
	begun := time.Now()
	for i := range 5000 {
		j.Debugf("debug %d", i)
	}
	for i := range 5000 {
		j.Errorf("error %d", i)
	}
	j.flush(50 * time.Millisecond)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("writing lines that nobody reads took %s", took)
	}
	lost := j.lost()
	if lost == 0 || lost > 10_000 {
		t.Errorf("%d lines were dropped", lost)
	}
	close(out.free)
	j.flush(patience)
	text := out.String()
	if !strings.Contains(text, "debug 0\n") || !strings.Contains(text, "error 0\n") {
		t.Error("debug lines took the room of errors")
	}
	told, notices := 0, regexp.MustCompile(`\[WRN\] (\d+) lines of this log were dropped`).FindAllStringSubmatch(text, -1)
	for _, notice := range notices {
		count, _ := strconv.Atoi(notice[1])
		told += count
	}
	if told != int(lost) {
		t.Errorf("the log tells of %d lines dropped, it were %d", told, lost)
	}
	if written := strings.Count(text, "\n") - len(notices); written+int(lost) != 10_000 {
		t.Errorf("%d lines written and %d dropped", written, lost)
	}
	j.Noticef("after")
	j.flush(patience)
	if text := out.String(); !strings.HasSuffix(text, "[INF] after\n") || strings.Count(text, "were dropped") != len(notices) {
		t.Error("the log does not go on as before")
	}
}

func TestJournalLines(t *testing.T) {
	out := &bytes.Buffer{}
	j := newJournal(out)
	j.Noticef("two\nlines\r\n[1] [FTL] of a peer")
	j.Tracef("a token")
	j.Debugf("not asked for")
	j.Warnf("%s", strings.Repeat("é", longestLine))
	j.Errorf(`maximum control line exceeded, State 1 (snip: "{\"pass\":\"secret...")`)
	j.follow(&server.Options{Debug: true, Logtime: true, LogtimeUTC: true})
	j.Debugf("asked for")
	fmt.Fprintf(j, "said\notherwise\n")
	j.flush(patience)
	pid := regexp.QuoteMeta(j.pid)
	want := "^" + pid + `\[INF\] two\\nlines\\r\\n\[1\] \[FTL\] of a peer` + "\n" +
		pid + `\[WRN\] é+\.\.\. \(4096 bytes more\)` + "\n" +
		pid + `\[ERR\] maximum control line exceeded, State 1` + "\n" +
		pid + `\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[DBG\] asked for` + "\nsaid\notherwise\n$"
	if !regexp.MustCompile(want).MatchString(out.String()) || strings.Count(out.String(), "é") != longestLine/2 {
		t.Errorf("got %q", out.String())
	}
}

// TestLogThatNobodyReadsHoldsNothingUp runs the engine at debug level against a full pipe.
func TestLogThatNobodyReadsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := unix.FcntlInt(writer.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	p := startProcessLogging(t, plainConfig+"\ndebug: true\n", writer)
	writer.Close()
	p.send(validHello())
	p.expect("hello")
	ports := p.expect("ready")["ports"].(map[string]any)
	// Lines about these fill the pipe many times over; were one of them to wait, so would all that follows.
	for range 300 {
		raw := dialRaw(t, int(ports["client"].(float64)))
		raw.say(`CONNECT {"verbose":true,"name":"` + strings.Repeat("x", 3000) + `"}`)
		p.send(allowing(p.expectAfterLosses("question")))
		if got := raw.line(); got != "+OK" {
			t.Fatalf("got %q", got)
		}
		raw.say("NONSENSE " + strings.Repeat("y", 3000))
		raw.Close()
	}
	p.conn.Close() // The end comes too, with nobody to read of it.
	receive(t, p.exited)
	rest, err := io.ReadAll(bufio.NewReader(reader))
	if err != nil || !strings.Contains(string(rest), "[DBG]") {
		t.Errorf("the pipe has %d bytes, %v", len(rest), err)
	}
}

// TestBrokerIsToldOfLinesDropped stops reading the log for a while.
func TestBrokerIsToldOfLinesDropped(t *testing.T) {
	g, broker := startGate(t, nil)
	dropped := uint64(0)
	g.lostLines = func() uint64 { dropped++; return dropped }
	go g.tellLosses(time.Millisecond)
	first := broker.expect("losses")
	if second := broker.expect("losses"); second["log_lines"].(float64) <= first["log_lines"].(float64) {
		t.Errorf("told %v, then %v", first, second)
	}
}
