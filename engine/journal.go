package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// longestLine is the most bytes of one line of the log; what a peer sent can be much longer.
	longestLine = 4096
	// journalRoom is the most bytes of lines that wait to be read. Debug lines get half of it, so that they never take
	// the room of those that matter.
	journalRoom = 1 << 20
	// lastWords bounds how long the end of the engine waits for its last lines to be read.
	lastWords = time.Second
)

// journal is the log of the engine: the library's logger, and the standard error of everything else. Whoever writes a line
// never waits for whoever reads them. Lines that find no room are dropped and counted, and the log says so when it goes on.
type journal struct {
	out  io.Writer
	pid  string
	room int

	mu      sync.Mutex
	changed sync.Cond // something waits, or nothing is being written any more
	waiting []byte
	writing bool
	dropped uint64
	told    uint64 // of those dropped, the ones the log has told of

	stamp func() string // date and time of a line, empty when lines have none
	debug bool

	// ahead is called before each line: what is to be known when it is read.
	ahead func()
}

func newJournal(out io.Writer) *journal {
	j := &journal{out: out, pid: "[" + strconv.Itoa(os.Getpid()) + "] ", room: journalRoom, stamp: func() string { return "" }, ahead: func() {}}
	j.changed.L = &j.mu
	go j.write()
	return j
}

// precede has something done before each line.
func (j *journal) precede(ahead func()) {
	j.mu.Lock()
	j.ahead = ahead
	j.mu.Unlock()
}

// follow takes over what the configuration says about the log.
func (j *journal) follow(opts *server.Options) {
	stamp := func() string { return "" }
	if opts.Logtime {
		stamp = func() string {
			now := time.Now()
			if opts.LogtimeUTC {
				now = now.UTC()
			}
			return now.Format("2006/01/02 15:04:05.000000 ")
		}
	}
	j.mu.Lock()
	j.stamp, j.debug = stamp, opts.Debug
	j.mu.Unlock()
}

func (j *journal) Noticef(format string, v ...any) { j.log("INF", format, v) }
func (j *journal) Warnf(format string, v ...any)   { j.log("WRN", format, v) }
func (j *journal) Errorf(format string, v ...any)  { j.log("ERR", format, v) }
func (j *journal) Debugf(format string, v ...any)  { j.log("DBG", format, v) }

// Tracef does nothing: these lines show the tokens of CONNECT.
func (j *journal) Tracef(string, ...any) {}

// Fatalf ends the engine, as the library expects it to.
func (j *journal) Fatalf(format string, v ...any) {
	j.log("FTL", format, v)
	j.flush(lastWords)
	os.Exit(1)
}

func (j *journal) log(level, format string, v []any) {
	text := fmt.Sprintf(format, v...)
	if level != "DBG" {
		j.mu.Lock()
		ahead := j.ahead
		j.mu.Unlock()
		ahead()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	room := j.room
	if level == "DBG" {
		if room /= 2; !j.debug {
			return
		}
	}
	j.add(j.line(level, text), room)
}

// line returns a text as one line, whatever is in it: what a peer sent must not look like lines of the engine.
func (j *journal) line(level, text string) string {
	text = strings.TrimRight(text, "\r\n")
	// The beginning of a CONNECT that is too long can be a password.
	text, _, _ = strings.Cut(text, " (snip: ")
	if len(text) > longestLine {
		text = fmt.Sprintf("%s... (%d bytes more)", clip(text, longestLine), len(text)-longestLine)
	}
	return j.pid + j.stamp() + "[" + level + "] " + oneLine.Replace(text) + "\n"
}

var oneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// clip returns the first bytes of a text, without half a character at their end.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// add queues something to be written; the lock is held.
func (j *journal) add(text string, room int) {
	if len(j.waiting)+len(text) > room {
		j.dropped++
		return
	}
	j.waiting = append(j.waiting, text...)
	j.changed.Broadcast()
}

// Write takes what is not said by way of the library, as it is.
func (j *journal) Write(text []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range bytes.Lines(text) {
		j.add(string(line), j.room)
	}
	return len(text), nil
}

// write hands on what is waiting, for ever.
func (j *journal) write() {
	var batch []byte
	j.mu.Lock()
	for {
		for len(j.waiting) == 0 {
			j.changed.Wait()
		}
		batch, j.waiting = j.waiting, batch[:0]
		if lost := j.dropped - j.told; lost > 0 {
			// They would have come after those that had room.
			batch = append(batch, j.line("WRN", fmt.Sprintf("%d lines of this log were dropped: the broker did not take them in time", lost))...)
			j.told = j.dropped
		}
		j.writing = true
		j.mu.Unlock()
		j.out.Write(batch) // Nobody is left to be told of an error.
		j.mu.Lock()
		j.writing = false
		j.changed.Broadcast()
	}
}

// lost returns how many lines were dropped so far.
func (j *journal) lost() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.dropped
}

// flush waits until everything is written, at most for a time.
func (j *journal) flush(most time.Duration) {
	end := time.Now().Add(most)
	late := time.AfterFunc(most, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.changed.Broadcast()
	})
	defer late.Stop()
	j.mu.Lock()
	defer j.mu.Unlock()
	for (len(j.waiting) > 0 || j.writing) && time.Now().Before(end) {
		j.changed.Wait()
	}
}
