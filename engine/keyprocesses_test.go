package main

import (
	"crypto"
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeProcesses is the other end of the socket that key processes share, with an own idea of answers.
type fakeProcesses struct {
	t       testing.TB
	fd      int
	seen    atomic.Int64
	serving sync.WaitGroup
	ended   sync.Once
}

// keySocket returns the engine's end, and that of the processes.
func keySocket(t testing.TB) (*keyProcesses, *fakeProcesses) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := openKeyProcesses(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeProcesses{t: t, fd: fds[1]}
	t.Cleanup(func() { f.close(); p.conn.Close() })
	return p, f
}

// close is the end of all processes. The descriptor is closed after them: its number may be somebody else's then.
func (f *fakeProcesses) close() {
	f.ended.Do(func() {
		unix.Shutdown(f.fd, unix.SHUT_RDWR)
		f.serving.Wait()
		unix.Close(f.fd)
	})
}

// serve is one process; nil is no answer.
func (f *fakeProcesses) serve(answer func(request []byte) []byte) {
	f.serving.Go(func() {
		for {
			request := make([]byte, 1024)
			size, err := unix.Read(f.fd, request)
			if err != nil || size <= 0 {
				return
			}
			f.seen.Add(1)
			if made := answer(request[:size]); made != nil {
				unix.Write(f.fd, made)
			}
		}
	})
}

func TestASignatureIsNotWaitedForLongerThanAHandshake(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newKey(t)
	ca.issueOf("server", key)
	p, processes := keySocket(t)
	processes.serve(func([]byte) []byte { return nil })
	outside := outsideOf(t, ca, "server", p, 100*time.Millisecond)
	if _, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, errSignTimeout) {
		t.Errorf("got %v", err)
	}
	if counts := p.counts(); counts.Late != 1 || counts.Again != 1 || counts.Signed != 0 {
		t.Errorf("counted %+v", counts)
	}
	eventually(t, "asked for twice", func() bool { return processes.seen.Load() == 2 })
	if len(p.pending) != 0 || len(p.room) != 0 {
		t.Errorf("%d requests are left, %d places taken", len(p.pending), len(p.room))
	}
}

func TestWhatAProcessTookWhenItEndedIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newKey(t)
	ca.issueOf("server", key)
	p, processes := keySocket(t)
	sign := by(key)
	processes.serve(func(request []byte) []byte {
		if processes.seen.Load() == 1 {
			return nil // It has ended.
		}
		return sign(request)
	})
	outside := outsideOf(t, ca, "server", p, patience)
	signature, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256)
	if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, make([]byte, 32), signature) {
		t.Errorf("got %v", err)
	}
	if counts := p.counts(); counts.Again != 1 || counts.Signed != 1 {
		t.Errorf("counted %+v", counts)
	}
}

func TestRequestsWaitWithinBounds(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issueOf("server", newKey(t))
	p, _ := keySocket(t)
	outside := outsideOf(t, ca, "server", p, 50*time.Millisecond)
	p.waiting.Store(mostSignaturesWaiting)
	if _, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, errSignOverflow) {
		t.Errorf("got %v", err)
	}
	p.waiting.Store(0)
	for range cap(p.room) {
		p.room <- struct{}{}
	}
	if _, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256); !errors.Is(err, errSignTimeout) {
		t.Errorf("got %v", err)
	}
	for range cap(p.room) {
		<-p.room
	}
	// Nobody takes anything: what the kernel has no room for fails at once, and nothing waits for ever.
	var err error
	for range 10_000 {
		if err = p.send(make([]byte, requestHead)); err != nil {
			break
		}
	}
	if !errors.Is(err, errSignOverflow) {
		t.Errorf("a full socket: %v", err)
	}
}

func TestTheEndOfAllKeyProcessesFailsWhoWaits(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "authority")
	ca.issueOf("server", newKey(t))
	p, processes := keySocket(t)
	outside := outsideOf(t, ca, "server", p, time.Hour)
	waiting := make(chan error, 1)
	go func() {
		_, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256)
		waiting <- err
	}()
	eventually(t, "a request is on its way", func() bool { return len(p.room) == 1 })
	processes.close()
	for range 2 {
		select {
		case err := <-waiting:
			if !errors.Is(err, errSignLost) {
				t.Errorf("got %v", err)
			}
		case <-time.After(patience):
			t.Fatal("it waits for ever")
		}
		go func() { // Also who comes afterwards.
			_, err := outside.Sign(nil, make([]byte, 32), crypto.SHA256)
			waiting <- err
		}()
	}
}

func TestStrangeAnswersAreIgnored(t *testing.T) {
	t.Parallel()
	ca, key := newAuthority(t, "authority"), newKey(t)
	ca.issueOf("server", key)
	p, processes := keySocket(t)
	sign := by(key)
	processes.serve(func(request []byte) []byte {
		fd := processes.fd
		unix.Write(fd, []byte("short"))
		unix.Write(fd, append(binary.BigEndian.AppendUint64(nil, 99), 0, 1, 2))
		unix.Write(fd, sign(request))
		return sign(request) // The second answer is nobody's.
	})
	for range 3 {
		if err := outsideOf(t, ca, "server", p, patience).try(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnusableDescriptorsForKeyProcesses(t *testing.T) {
	t.Parallel()
	if p, err := openKeyProcesses(-1); p != nil || err != nil {
		t.Errorf("without one: %v, %v", p, err)
	}
	_, stream := socketPair(t)
	if _, err := openKeyProcesses(int(stream.Fd())); err == nil || !strings.Contains(err.Error(), "keeps messages whole") {
		t.Errorf("a stream: %v", err)
	}
	for name, text := range map[string]string{"empty.pem": "", "damaged.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if _, err := loadKeyPair(writeFile(t, name, text), outsidePrefix+"/nowhere"); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
