package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// collect reads a list of the client to its end.
func collect[T any](t *testing.T, list iter.Seq2[T, error]) (items []T) {
	t.Helper()
	for item, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

// The client and the API are written apart: this holds them together.
func TestClientAndAPIAgree(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate")}})
	c, err := client.New(r.server.URL, "secret-of-all", r.client)
	if err != nil {
		t.Fatal(err)
	}
	c.Patience = 0
	ctx := t.Context()
	ordering := time.UnixMilli(1780000000123).UTC()
	sent := client.SendRequest{Developer: "acme", Reference: "r1", Ordering: ordering, IdempotencyKey: "k", Body: []byte(sleep)}
	first, err := c.Send(ctx, sent)
	if err != nil || first.Deliveries != 2 || first.Reference != "r1" || first.Duplicate {
		t.Fatalf("send: %+v, %v", first, err)
	}
	if again, err := c.Send(ctx, sent); err != nil || !again.Duplicate || again.ID != first.ID {
		t.Errorf("send again: %+v, %v", again, err)
	}
	_, err = c.Send(ctx, client.SendRequest{Developer: "nobody", Body: []byte(sleep)})
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "unknown_developer" || refusal.Status != 404 {
		t.Errorf("send for nobody: %v", err)
	}
	lines, err := client.AppendLine(nil, sent)
	if err != nil {
		t.Fatal(err)
	}
	if lines, err = client.AppendLine(lines, client.SendRequest{Developer: "nobody", Body: []byte(`{"type":"a"}`)}); err != nil {
		t.Fatal(err)
	}
	if results := collect(t, c.SendBatch(ctx, lines)); len(results) != 2 || !results[0].Duplicate || results[0].ID != first.ID || results[1].Err == nil || results[1].Err.Code != "unknown_developer" {
		t.Errorf("batch: %+v", results)
	}

	if e, err := c.Event(ctx, first.ID); err != nil || !e.Ordering.Equal(ordering) || fmt.Sprint(e.Destinations) != "[app night]" || e.Size != len(sleep) {
		t.Errorf("event: %+v, %v", e, err)
	}
	if body, err := c.EventBody(ctx, first.ID); err != nil || string(body) != sleep {
		t.Errorf("body: %s, %v", body, err)
	}
	if es := collect(t, c.Events(ctx, client.EventFilter{Developer: "acme", Types: []string{"sleep"}, User: "u1", Since: ordering.AddDate(-20, 0, 0), Limit: 1})); len(es) != 1 {
		t.Errorf("events: %+v", es)
	}
	if es := collect(t, c.Events(ctx, client.EventFilter{Unmatched: true})); len(es) != 0 {
		t.Errorf("unmatched events: %+v", es)
	}
	ds := collect(t, c.Deliveries(ctx, client.DeliveryFilter{Developer: "acme", Destination: "app", States: []string{"pending", "dead"}, Event: first.ID}))
	if len(ds) != 1 || ds[0].State != "pending" || ds[0].Due.IsZero() {
		t.Fatalf("deliveries: %+v", ds)
	}

	if m, err := c.Cancel(ctx, ds[0].ID); err != nil || m.From != "pending" || m.To != "cancelled" {
		t.Errorf("cancel: %+v, %v", m, err)
	}
	if m, err := c.Retry(ctx, ds[0].ID); err != nil || m.To != "pending" {
		t.Errorf("retry: %+v, %v", m, err)
	}
	if _, err := c.RebindOne(ctx, ds[0].ID); err == nil {
		t.Error("what is not frozen was rebound")
	}
	if d, err := c.Delivery(ctx, ds[0].ID); err != nil || d.State != "pending" {
		t.Errorf("delivery: %+v, %v", d, err)
	}
	if sum, err := c.CancelAll(ctx, client.Selection{All: true, Since: ordering.AddDate(-20, 0, 0)}, nil); err != nil || sum.Changed != 2 {
		t.Errorf("cancel all: %+v, %v", sum, err)
	}
	if sum, err := c.RetryAll(ctx, client.Selection{Developer: "acme", State: "cancelled"}, nil); err != nil || sum.Changed != 2 {
		t.Errorf("retry all: %+v, %v", sum, err)
	}
	if sum, err := c.RetryAll(ctx, client.Selection{Developer: "acme", Rebind: true}, nil); err != nil || sum.Changed != 0 {
		t.Errorf("rebind all: %+v, %v", sum, err)
	}

	if err := c.Pause(ctx, "acme", "app", ""); err != nil {
		t.Errorf("pause: %v", err)
	}
	if all := collect(t, c.Destinations(ctx, "acme", "paused")); len(all) != 1 || all[0].State != "paused" || all[0].Reason != "paused by operator" || all[0].Since.IsZero() {
		t.Errorf("destinations: %+v", all)
	}
	if err := c.Resume(ctx, "acme", "app"); err != nil {
		t.Errorf("resume: %v", err)
	}
	if n, err := c.Rebind(ctx, "acme", "app"); err != nil || n != 41 {
		t.Errorf("rebind: %d, %v", n, err)
	}
	for _, deep := range []bool{false, true} {
		if rows, err := c.Audit(ctx, deep); err != nil || len(rows) == 0 || rows[0].Accepted != 1 || !rows[0].Balanced || (rows[0].Recounted != nil) != deep {
			t.Errorf("audit: %+v, %v", rows, err)
		}
	}
	if erased, err := c.Erase(ctx, "acme", "u1"); err != nil || erased.Events != 1 || erased.Cancelled != 2 {
		t.Errorf("erase: %+v, %v", erased, err)
	}
	_, egress := c.Egress(ctx)
	r.daemon.warnings = []string{"w"}
	if ready, err := c.Readiness(ctx); err != nil || !ready.Ready || len(ready.Warnings) != 1 || ready.Version != "1.2.3" {
		t.Errorf("readiness: %+v, %v", ready, err)
	}
	_, reload := c.Reload(ctx)
	if err := errors.Join(reload, c.Backup(ctx, "/copy"), c.Healthy(ctx), c.Ready(ctx), egress); err != nil {
		t.Error(err)
	}
}

// Over TLS the server speaks HTTP/2: nothing may hang on how HTTP/1 is done.
func TestOverHTTP2(t *testing.T) {
	r := newRig(t, setup{maxBody: 1 << 20})
	server := httptest.NewUnstartedServer(r.api)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	post := func(path string, body io.Reader) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Dev-Id", "acme")
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if res.ProtoMajor != 2 {
			t.Fatalf("%s", res.Proto)
		}
		return res
	}
	if res := post("/v1/events", strings.NewReader(sleep)); res.StatusCode != 202 {
		t.Errorf("known length: %s", res.Status)
	}
	if res := post("/v1/events", io.LimitReader(same{}, 100)); res.StatusCode != 400 {
		t.Errorf("unknown length: %s", res.Status)
	}
	if res := post("/v1/events", io.LimitReader(same{}, 3<<20)); res.StatusCode != 413 {
		t.Errorf("too large: %s", res.Status)
	}
	in, out := io.Pipe()
	go send(out, line(sleep))
	res := post("/v1/events/batch", in)
	answers := bufio.NewReader(res.Body)
	for i := range 3 {
		got, err := answers.ReadString('\n')
		if err != nil || !strings.HasPrefix(got, fmt.Sprintf(`{"line":%d,"status":202,`, i+1)) {
			t.Fatalf("line %d: %q, %v", i+1, got, err)
		}
		send(out, line(sleep))
	}
	out.Close()
	if rest, err := io.ReadAll(answers); err != nil || len(results(rest)) != 1 {
		t.Errorf("then %q, %v", rest, err)
	}
}
