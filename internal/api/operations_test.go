package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// The client has a call for every operation, and each makes that operation.
func TestTheClientCoversEveryOperation(t *testing.T) {
	r := newRig(t, setup{tokens: []Token{token("all", "ingest operate configure link")}})
	r.checks.result = found
	d, err := loadDescription()
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	c, err := client.New(r.server.URL, "secret-of-all", &http.Client{Transport: &recorder{t, d, r.server.Client().Transport,
		func(operation string, _ int) { asked = append(asked, operation) }}})
	if err != nil {
		t.Fatal(err)
	}
	c.Patience = 0
	ctx := t.Context()
	first := func(next func(func(any, error) bool)) { next(func(any, error) bool { return false }) }
	all := func(next func(func(any, error) bool)) { next(func(any, error) bool { return true }) } // an answer counts at its end
	// By operation and method of the client; what is refused was asked all the same.
	calls := map[string]map[string]func(){
		"sendEvent":          {"Send": func() { _, _ = c.Send(ctx, client.SendRequest{Developer: "acme", Body: []byte(sleep)}) }},
		"sendBatch":          {"SendBatch": func() { all(seq(c.SendBatch(ctx, []byte("{}\n")))) }},
		"listEvents":         {"Events": func() { first(seq(c.Events(ctx, client.EventFilter{}))) }},
		"getEvent":           {"Event": func() { _, _ = c.Event(ctx, "x") }},
		"getEventBody":       {"EventBody": func() { _, _ = c.EventBody(ctx, "x") }},
		"listDeliveries":     {"Deliveries": func() { first(seq(c.Deliveries(ctx, client.DeliveryFilter{}))) }},
		"getDelivery":        {"Delivery": func() { _, _ = c.Delivery(ctx, "x") }},
		"getDeliveryRequest": {"DeliveryRequest": func() { _, _, _ = c.DeliveryRequest(ctx, "x") }},
		"retryDelivery":      {"Retry": func() { _, _ = c.Retry(ctx, "x") }, "RebindOne": func() { _, _ = c.RebindOne(ctx, "x") }},
		"cancelDelivery":     {"Cancel": func() { _, _ = c.Cancel(ctx, "x") }},
		"retryDeliveries":    {"RetryAll": func() { _, _ = c.RetryAll(ctx, client.Selection{Developer: "acme"}, nil) }},
		"cancelDeliveries":   {"CancelAll": func() { _, _ = c.CancelAll(ctx, client.Selection{Developer: "acme"}, nil) }},
		"createReplay":       {"Replay": func() { _, _ = c.Replay(ctx, client.ReplayRequest{Developer: "acme", DryRun: true}) }},
		"listReplays":        {"Replays": func() { first(seq(c.Replays(ctx, "", 0))) }},
		"getReplay":          {"GetReplay": func() { _, _ = c.GetReplay(ctx, 1) }},
		"cancelReplay":       {"CancelReplay": func() { _, _ = c.CancelReplay(ctx, 1) }},
		"listDestinations": {
			"Destinations":      func() { first(seq(c.Destinations(ctx, "", ""))) },
			"FindDestinations":  func() { first(seq(c.FindDestinations(ctx, client.DestinationFilter{}))) },
			"DestinationTotals": func() { _, _ = c.DestinationTotals(ctx, "acme") },
		},
		"pauseDestination":  {"Pause": func() { _ = c.Pause(ctx, "acme", "app", "") }},
		"resumeDestination": {"Resume": func() { _ = c.Resume(ctx, "acme", "app") }},
		"rebindDestination": {"Rebind": func() { _, _ = c.Rebind(ctx, "acme", "app") }},
		"checkDestination":  {"Check": func() { _, _ = c.Check(ctx, "acme", "app") }},
		"testDestination":   {"Test": func() { _, _ = c.Test(ctx, "acme", "app", client.TestRequest{}) }},
		"listDevelopers":    {"Developers": func() { first(seq(c.Developers(ctx, ""))) }},
		"getDeveloper":      {"Document": func() { _, _ = c.Document(ctx, "acme") }},
		"putDeveloper":      {"PutDocument": func() { _, _ = c.PutDocument(ctx, "acme", []byte("developer: acme"), client.ChangeOptions{}) }},
		"deleteDeveloper":   {"RemoveDeveloper": func() { _, _ = c.RemoveDeveloper(ctx, "acme", "keep", client.ChangeOptions{}) }},
		"listVersions":      {"DocumentVersions": func() { _, _ = c.DocumentVersions(ctx, "acme") }},
		"getVersion":        {"DocumentVersion": func() { _, _ = c.DocumentVersion(ctx, "acme", 1) }},
		"restoreVersion":    {"RestoreDocument": func() { _, _ = c.RestoreDocument(ctx, "acme", 1, client.ChangeOptions{}) }},

		"getDocumentDestination":    {"DocumentDestination": func() { _, _ = c.DocumentDestination(ctx, "acme", "app") }},
		"putDocumentDestination":    {"PutDestination": func() { _, _ = c.PutDestination(ctx, "acme", "app", []byte("kind: x"), client.ChangeOptions{}) }},
		"deleteDocumentDestination": {"RemoveDestination": func() { _, _ = c.RemoveDestination(ctx, "acme", "app", client.ChangeOptions{}) }},
		"rotateSecret":              {"RotateSecret": func() { _, _ = c.RotateSecret(ctx, "acme", "app", client.Rotation{}, client.ChangeOptions{}) }},

		"followAttempts":         {"Follow": func() { all(seq(c.Follow(ctx, "", ""))) }, "FollowTotals": func() { all(seq(c.FollowTotals(ctx))) }},
		"audit":                  {"Audit": func() { _, _ = c.Audit(ctx, false) }},
		"getSeries":              {"Series": func() { _, _ = c.Series(ctx, client.SeriesFilter{}) }},
		"getUsage":               {"Usage": func() { _, _ = c.Usage(ctx, client.UsageFilter{}) }},
		"eraseUser":              {"Erase": func() { _, _ = c.Erase(ctx, "acme", "u") }},
		"linkPayload":            {"Link": func() { _, _ = c.Link(ctx, client.LinkRequest{Payload: "x"}) }},
		"getPayload":             {}, // a link is for whoever has it: any HTTP client
		"reload":                 {"Reload": func() { _, _ = c.Reload(ctx) }, "ReloadWith": func() { _, _ = c.ReloadWith(ctx, client.ReloadOptions{}) }},
		"backup":                 {"Backup": func() { _ = c.Backup(ctx, "/copy") }},
		"listDaemons":            {"Daemons": func() { _, _ = c.Daemons(ctx) }},
		"getEgress":              {"Egress": func() { _, _ = c.Egress(ctx) }},
		"getLimits":              {"Limits": func() { _, _ = c.Limits(ctx) }},
		"getMetrics":             {"Metrics": func() { _, _ = c.Metrics(ctx) }},
		"getHealth":              {"Healthy": func() { _ = c.Healthy(ctx) }},
		"getReadiness":           {"Readiness": func() { _, _ = c.Readiness(ctx) }, "Ready": func() { _ = c.Ready(ctx) }},
		"getDescription":         {"Description": func() { _, _ = c.Description(ctx) }},
		"listChanges":            {"Changes": func() { first(seq(c.Changes(ctx, client.ChangeFilter{}))) }},
		"getDestinationHistory":  {"History": func() { first(seq(c.History(ctx, "acme", "app", 0))) }},
		"explainEvent":           {"Explain": func() { _, _ = c.Explain(ctx, "acme", []byte(sleep)) }},
		"getExampleEvent":        {"ExampleEvent": func() { _, _ = c.ExampleEvent(ctx, client.TestRequest{Type: "sleep"}) }},
		"listEventTypes":         {"EventTypes": func() { _, _ = c.EventTypes(ctx) }},
		"getSettings":            {"Settings": func() { _, _ = c.Settings(ctx) }},
		"getDestinationSettings": {"DestinationSettings": func() { _, _ = c.DestinationSettings(ctx, "acme", "app") }},
		"createSession":          {"BeginSession": func() { _, _ = c.BeginSession(ctx, "x") }},
		"getSession":             {"Session": func() { _, _ = c.Session(ctx) }},
		"deleteSession":          {"EndSession": func() { _ = c.EndSession(ctx) }},
		"createPortalLink":       {"MakePortalLink": func() { _, _ = c.MakePortalLink(ctx, client.PortalLinkRequest{Developer: "acme"}) }},
		"listPortalLinks":        {"PortalLinks": func() { first(seq(c.PortalLinks(ctx, ""))) }},
		"revokePortalLink":       {"RevokePortalLink": func() { _ = c.RevokePortalLink(ctx, "x") }},
	}
	var methods []string
	for name := range d.operations() {
		if _, ok := calls[name]; !ok {
			t.Errorf("the client has no call for %s", name)
		}
	}
	for name, by := range calls {
		for method, do := range by {
			asked = nil
			do()
			if !slices.Equal(asked, []string{name}) {
				t.Errorf("Client.%s asks for %q, want %s", method, asked, name)
			}
			methods = append(methods, method)
		}
	}
	for m := range reflect.TypeFor[*client.Client]().Methods() {
		if !slices.Contains(methods, m.Name) {
			t.Errorf("Client.%s is held to no operation", m.Name)
		}
		if m.Type.In(1) != reflect.TypeFor[context.Context]() {
			t.Errorf("Client.%s takes no context", m.Name)
		}
	}
}

// seq forgets what a sequence is of.
func seq[T any](s func(func(T, error) bool)) func(func(any, error) bool) {
	return func(yield func(any, error) bool) {
		s(func(v T, err error) bool { return yield(v, err) })
	}
}
