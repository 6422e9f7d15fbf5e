package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// mappedSources looks into an account for what the library offers no way to ask.
func mappedSources(account *server.Account) []string {
	mappings := reflect.ValueOf(account).Elem().FieldByName("mappings")
	sources := make([]string, mappings.Len())
	for place := range sources {
		sources[place] = mappings.Index(place).Elem().FieldByName("src").String()
	}
	return sources
}

// TestMappingsHaveTheOrderOfTheHello takes several rounds: without an order, chance brings the right one now and then.
func TestMappingsHaveTheOrderOfTheHello(t *testing.T) {
	want := []string{"a.b.c", "a.b.*", "a.*.c", "a.*.*", "b"}
	file := writeFile(t, "nats.conf", plainConfig[:strings.Index(plainConfig, "accounts")]+`
		accounts {
			system {}
			choria { mappings { "a.b.c": one, "a.b.*": two, "a.*.c": three, "a.*.*": four, b: five } }
		}
		system_account: system
	`)
	optional := false
	hello := brokerHello{OptionalClientCertificates: &optional, Mappings: [][2]string{
		{"a.b.c", "one"}, {"a.b.*", "two"}, {"a.*.c", "three"}, {"a.*.*", "four"}, {"b", "five"}, {"elsewhere", "six"},
	}}
	for range 20 {
		opts, err := loadOptions(file, byQuestions)
		if err != nil {
			t.Fatal(err)
		}
		if err := applyHello(opts, hello, nil); err != nil {
			t.Fatal(err)
		}
		for _, account := range opts.Accounts {
			if got := mappedSources(account); account.Name == "choria" && !slices.Equal(got, want) {
				t.Fatalf("the order is %q, want %q", got, want)
			}
		}
	}
}
