package supabase

import (
	"log/slog"
	"net"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	project "github.com/seed-51f8da91/fantail/test/servers/supabase"
)

// settled is a project with our tables.
func settled(tb testing.TB) *project.Project {
	tb.Helper()
	p := project.Start(tb)
	settle(tb, p)
	return p
}

func settle(tb testing.TB, p *project.Project) {
	tb.Helper()
	p.Exec(tb, tablesOf("terra", "public").script())
	p.Reload(tb)
}

func settings(p *project.Project, change ...func(*Config)) Config {
	c := defaults()
	c.URL, c.AllowHTTP, c.ServiceRoleKey = p.URL, true, secret.New(p.Key)
	for _, with := range change {
		with(&c)
	}
	return c
}

func natural(c *Config) { c.PayloadIdentity = identityNatural }

// opened opens the destination to p.
func opened(tb testing.TB, p *project.Project, change ...func(*Config)) *supabase {
	tb.Helper()
	d := openWith(tb, settings(p, change...), destination.Deps{
		Log: slog.New(slog.DiscardHandler), HTTP: exchangetest.Client(tb, nil, nil).HTTP(), Dial: (&net.Dialer{}).DialContext,
		Brand: "terra", UserAgent: "Fantail/test",
	})
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return d
}

func openWith(tb testing.TB, c Config, deps destination.Deps) *supabase {
	tb.Helper()
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	d, err := open(c, deps)
	if err != nil {
		tb.Fatal(err)
	}
	return d.(*supabase)
}

// happened is the nth event, of body.
func happened(tb testing.TB, n int, body string) *event.Event {
	tb.Helper()
	return destinationtest.Delivery(tb, n, []byte(body)).Event
}

func deliver(tb testing.TB, d *supabase, e *event.Event) error {
	tb.Helper()
	_, err := d.Send(tb.Context(), destination.Delivery{ID: e.ID.String() + "_1", Attempt: 1, Event: e})
	return err
}

// send delivers and expects success.
func send(tb testing.TB, d *supabase, events ...*event.Event) {
	tb.Helper()
	for _, e := range events {
		if err := deliver(tb, d, e); err != nil {
			tb.Fatalf("send %.200s: %v", e.Body, err)
		}
	}
}

// bodies returns what the rows lead to, and that nothing else is there.
func bodies(tb testing.TB, p *project.Project) (all [][]byte) {
	tb.Helper()
	objects := p.Objects("terra-payloads")
	for table, typ := range map[string]string{"terra_data_payloads": "data_type", "terra_misc_payloads": "payload_type"} {
		for _, row := range p.Rows(tb, table, "payload_id") {
			key := segment(row[typ]) + "/" + row["payload_id"] + ".json"
			body, ok := objects[key]
			if !ok {
				tb.Errorf("the row %v leads to nothing at %s", row, key)
			}
			delete(objects, key)
			all = append(all, body)
		}
	}
	for key := range objects {
		tb.Errorf("no row leads to the object %s", key)
	}
	return all
}
