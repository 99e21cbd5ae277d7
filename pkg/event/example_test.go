package event_test

import (
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// A body is read once, for its envelope, and never changed. What it becomes at a
// destination follows from the catalogue of types.
func Example() {
	body := []byte(`{"type":"sleep","version":"2022-03-16","user":{"user_id":"u-1","provider":"OURA"},"data":[
		{"metadata":{"summary_id":"s-1","start_time":"2026-07-01T22:10:00+02:00"}},
		{"metadata":{"summary_id":"s-2","start_time":"2026-07-02T13:05:00+02:00"}}]}`)
	envelope, err := event.Parse(body)
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2026, 7, 2, 14, 0, 0, 0, time.UTC)
	e := &event.Event{ID: event.NewID(at, 0, 1), Developer: "acme", Ordering: at, Envelope: envelope, Body: body}
	fmt.Println(e.Type, e.UserID, e.ID)

	for p := range event.DefaultCatalogue().Payloads(e) {
		fmt.Println(p.ID, p.Identity, p.Start)
	}
	// Output:
	// sleep u-1 019f2321-1b00-7000-8000-000000000001
	// 019f2321-1b00-7000-8000-000000000001-0 s-1 2026-07-01T22:10:00+02:00
	// 019f2321-1b00-7000-8000-000000000001-1 s-2 2026-07-02T13:05:00+02:00
}
