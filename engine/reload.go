package main

import (
	"errors"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats-server/v2/server"
)

// reload takes over what changed in the file and in the hello, and tells the broker how that went.
func (e *engine) reload(order incoming) {
	problem := ""
	if err := e.takeOver(order); err != nil {
		problem, _, _ = strings.Cut(err.Error(), ": old=") // The values that follow can be secrets.
	}
	e.gate.send(reloaded{Type: "reloaded", ID: order.ID, Problem: problem}, inAnyCase)
}

// follow begins a drain or takes it back, and tells the broker how that went.
func (e *engine) follow(order incoming) {
	err := errors.New("there is no order")
	if order.Order != nil {
		err = e.drain.follow(*order.Order)
	}
	answer := drainAnswer{Type: "drained", ID: order.ID}
	if err != nil {
		answer.Problem = err.Error()
	}
	e.gate.send(answer, inAnyCase)
}

// takeOver puts the file in force, or returns an error and leaves everything as it was. Connections stay, but for those
// of accounts that are gone and links that the file no longer has.
func (e *engine) takeOver(order incoming) error {
	hello := e.hello
	if len(order.Hello) > 0 {
		var err error
		if hello, err = parseHello(order.Hello); err != nil {
			return err
		}
		if hello.Authentication != e.hello.Authentication {
			return errors.New("who authenticates can only change with a restart")
		}
	}
	opts, origins, err := readOptions(e.file, hello, e.auth, e.doors)
	if err != nil {
		return err
	}
	if err = e.keys.bind(opts, hello.Keys); err != nil {
		return err
	}
	revoked, err := readRevoked(hello.Revoked)
	if err != nil {
		return err
	}
	e.revoked.guard(opts, hello.Authentication)
	accounts, err := accountsOf(e.file, hello)
	if err != nil {
		return err
	}
	opts.Tags = e.drain.tags(opts.Tags)
	opts.SameAccounts = hello.Authentication == byQuestions && reflect.DeepEqual(accounts, e.accounts)
	gone := e.accountsWithout(accounts)
	if err = order.inTime(); err != nil {
		return err
	}
	verified := rememberVerified(opts)
	if err = e.srv.ReloadOptions(opts); err != nil {
		return err
	}
	e.hello, e.opts, e.accounts = hello, opts, accounts
	e.revoked.current.Store(revoked)
	e.doors.remember(verified)
	e.doors.renew(opts, hello)
	e.origins.Store(origins)
	e.log.follow(opts)
	e.srv.SetLoggerV2(e.log, opts.Debug, false, false)
	e.endRevoked()
	return e.endAccounts(gone)
}

// inTime says when nobody waits any more for what comes of an order: the broker has told that nothing has changed.
func (order incoming) inTime() error {
	if deadline, ok := positive(order.Deadline); ok && time.Now().UnixMilli() >= int64(deadline) {
		return errors.New("the engine came to it too late")
	}
	return nil
}

// accountsWithout returns the accounts that a reload takes away.
func (e *engine) accountsWithout(remaining accountsInFile) []*server.Account {
	var gone []*server.Account
	for name := range e.accounts.named {
		if _, stays := remaining.named[name]; stays {
			continue
		}
		if account, err := e.srv.LookupAccount(name); err == nil {
			gone = append(gone, account)
		}
	}
	return gone
}

// endAccounts does what the library leaves undone: it ends the clients of an account that is gone, and leaves its leafnodes
// and its streams in what is left of it. Nothing is deleted.
func (e *engine) endAccounts(gone []*server.Account) error {
	leafnodes, err := e.srv.Leafz(nil)
	if err != nil {
		return err
	}
	for _, leafnode := range leafnodes.Leafs {
		if _, err := e.srv.LookupAccount(leafnode.Account); err != nil {
			e.srv.DisconnectClientByID(leafnode.ID)
		}
	}
	for _, account := range gone {
		if account.JetStreamEnabled() {
			if err := account.DisableJetStream(); err != nil {
				e.srv.Errorf("Streams of account %q, which is gone: %v", account.GetName(), err)
			}
		}
	}
	return nil
}

// accountsInFile is all that decides what the accounts of a file are.
type accountsInFile struct {
	named    map[string]any
	mappings [][2]string
}

func accountsOf(file string, hello brokerHello) (accountsInFile, error) {
	content, err := conf.ParseFile(file)
	if err != nil {
		return accountsInFile{}, err
	}
	named, _ := content["accounts"].(map[string]any)
	return accountsInFile{named: named, mappings: hello.Mappings}, nil
}
