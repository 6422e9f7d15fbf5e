package main

// How key processes are asked for signatures.
//
// All key processes share one end of a socket pair that keeps messages whole, the engine has the other. The kernel gives
// each request to one process that is free. So a process that ends leaves the others at work, and one that is started
// takes part at once; the engine need not know of either. What a process had taken when it ended is asked once more.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// mostSignaturesWaiting bounds the handshakes that wait for a signature.
	mostSignaturesWaiting = 16_384
	// againAfter is the part of its time after which a signature that was asked for is asked for once more.
	againAfter = 4
	// longestSigned is more than any signature takes, or words of a process.
	longestSigned = 4096

	answerHead = 8 + 1
)

var (
	errSignTimeout  = errors.New("no key process signed in time")
	errSignOverflow = errors.New("too many handshakes wait for a signature")
	errSignLost     = errors.New("there are no key processes")
)

// signings counts what came of signatures since the start of the engine.
type signings struct {
	Type     string `json:"type"`
	Signed   uint64 `json:"signed"`
	Late     uint64 `json:"late"`     // not made in time
	Overflow uint64 `json:"overflow"` // too many waited
	Refused  uint64 `json:"refused"`  // the process could not
	Again    uint64 `json:"again"`    // asked for once more, since the process that had taken it said nothing
}

// keyProcesses is the engine's end of the socket that the key processes share.
type keyProcesses struct {
	conn    *net.UnixConn
	raw     func(func(fd uintptr) bool) error
	room    chan struct{} // one for each request that is on its way
	waiting atomic.Int64
	gone    chan struct{} // closed when the other end is

	mu      sync.Mutex
	lastID  uint64
	pending map[uint64]chan keyAnswer

	signed, late, overflow, refused, again atomic.Uint64
}

// keyAnswer is the answer to a request.
type keyAnswer struct {
	signature []byte
	err       error
}

// openKeyProcesses takes over the inherited descriptor of the socket; below 0 there is none.
func openKeyProcesses(fd int) (*keyProcesses, error) {
	if fd < 0 {
		return nil, nil
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || kind != unix.SOCK_SEQPACKET {
		return nil, fmt.Errorf("descriptor %d of --keys-fd is not a socket that keeps messages whole", fd)
	}
	file := os.NewFile(uintptr(fd), "keys")
	defer file.Close() // FileConn works on a duplicate.
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	inner, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("descriptor %d of --keys-fd is not a Unix socket", fd)
	}
	raw, err := inner.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	p := &keyProcesses{
		conn: inner, raw: raw.Write, gone: make(chan struct{}), pending: map[uint64]chan keyAnswer{},
		room: make(chan struct{}, 4*max(2, runtime.NumCPU())),
	}
	go p.read()
	return p, nil
}

// read hands out answers until the other end is closed by everybody.
func (p *keyProcesses) read() {
	defer close(p.gone)
	answer := make([]byte, longestSigned)
	for {
		size, err := p.conn.Read(answer)
		if err != nil || size == 0 {
			p.conn.Close()
			return
		}
		if size < answerHead {
			continue
		}
		id, ok, rest := binary.BigEndian.Uint64(answer), answer[8] == 0, answer[answerHead:size]
		var result keyAnswer
		if ok {
			result.signature = append([]byte(nil), rest...)
		} else {
			result.err = fmt.Errorf("the key process refuses: %.200q", rest)
		}
		p.mu.Lock()
		waiting := p.pending[id]
		delete(p.pending, id)
		p.mu.Unlock()
		if waiting != nil {
			waiting <- result // It has room, and nobody else sends to it.
		}
	}
}

// sign has a request answered within some time. Its first 16 bytes are filled in here.
func (p *keyProcesses) sign(request []byte, within time.Duration) ([]byte, error) {
	if p.waiting.Add(1) > mostSignaturesWaiting {
		p.waiting.Add(-1)
		p.overflow.Add(1)
		return nil, errSignOverflow
	}
	defer p.waiting.Add(-1)
	late := time.NewTimer(within)
	defer late.Stop()
	deadline := time.Now().Add(within)
	select {
	case p.room <- struct{}{}:
		defer func() { <-p.room }()
	case <-late.C:
		p.late.Add(1)
		return nil, errSignTimeout
	case <-p.gone:
		return nil, errSignLost
	}
	id, answer := p.expect()
	defer p.forget(id)
	binary.BigEndian.PutUint64(request, id)
	binary.BigEndian.PutUint64(request[8:], uint64(deadline.UnixMilli()))
	if err := p.send(request); err != nil {
		return nil, err
	}
	again := time.NewTimer(within / againAfter)
	defer again.Stop()
	for {
		select {
		case result := <-answer:
			if result.err != nil {
				p.refused.Add(1)
			} else {
				p.signed.Add(1)
			}
			return result.signature, result.err
		case <-again.C:
			p.again.Add(1)
			if err := p.send(request); err != nil {
				return nil, err
			}
		case <-late.C:
			p.late.Add(1)
			return nil, errSignTimeout
		case <-p.gone:
			return nil, errSignLost
		}
	}
}

func (p *keyProcesses) expect() (uint64, <-chan keyAnswer) {
	answer := make(chan keyAnswer, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastID++
	p.pending[p.lastID] = answer
	return p.lastID, answer
}

func (p *keyProcesses) forget(id uint64) {
	p.mu.Lock()
	delete(p.pending, id)
	p.mu.Unlock()
}

// send never waits: where the kernel has no room, nobody takes requests, and those that lie there are enough.
func (p *keyProcesses) send(request []byte) error {
	var failed error
	err := p.raw(func(fd uintptr) bool {
		failed = unix.Send(int(fd), request, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return true
	})
	switch {
	case err == nil && failed == nil:
		return nil
	case errors.Is(failed, unix.EAGAIN), errors.Is(failed, unix.ENOBUFS):
		p.overflow.Add(1)
		return errSignOverflow
	}
	return errSignLost
}

func (p *keyProcesses) counts() signings {
	return signings{
		Type: "signings", Signed: p.signed.Load(), Late: p.late.Load(), Overflow: p.overflow.Load(),
		Refused: p.refused.Load(), Again: p.again.Load(),
	}
}
