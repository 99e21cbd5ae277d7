package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// Hand in an event, and see what became of it.
func Example() {
	ctx := context.Background()
	c, err := client.New(server, token, nil)
	if err != nil {
		log.Fatal(err)
	}
	accepted, err := c.Send(ctx, client.SendRequest{
		Developer:      "acme",
		Reference:      "request-81",
		IdempotencyKey: "81", // a network fault is tried again, and nothing is stored twice
		Body:           []byte(`{"type":"sleep","user":{"user_id":"u-1"},"data":[]}`),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("on disk, on its way to %d destination\n", accepted.Deliveries)

	e, err := c.Event(ctx, accepted.ID)
	if err != nil {
		log.Fatal(err)
	}
	d := settled(ctx, c, e.Deliveries[0])
	fmt.Println(d.Destination, d.State, "after", len(d.Attempts), "attempt, answered", d.Attempts[0].Code)
	// Output:
	// on disk, on its way to 1 destination
	// app delivered after 1 attempt, answered 200
}

// settled asks for a delivery until it is no longer pending.
func settled(ctx context.Context, c *client.Client, id string) client.Delivery {
	for {
		d, err := c.Delivery(ctx, id)
		if err != nil {
			log.Fatal(err)
		}
		if d.State != "pending" {
			return d
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func ExampleClient_SendBatch() {
	ctx := context.Background()
	c, err := client.New(server, token, nil)
	if err != nil {
		log.Fatal(err)
	}
	var lines []byte
	for i, body := range []string{
		`{"type":"activity","user":{"user_id":"u-2"}}`,
		`{"type":"daily","user":{"user_id":"u-2"}}`,
		`{"user":{"user_id":"u-2"}}`,
	} {
		lines, err = client.AppendLine(lines, client.SendRequest{
			Developer: "acme", IdempotencyKey: fmt.Sprint("import-7-", i), Body: []byte(body),
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	for r, err := range c.SendBatch(ctx, lines) {
		switch {
		case err != nil: // lines without a result: hand them in again, with the same keys
			log.Fatal(err)
		case r.Err != nil:
			fmt.Printf("line %d: %s\n", r.Line, r.Err.Code)
		default:
			fmt.Printf("line %d: on disk\n", r.Line)
		}
	}
	// Output:
	// line 1: on disk
	// line 2: on disk
	// line 3: missing_type
}

// A list follows its pages by itself: Limit bounds what is returned, and leaving
// the loop ends the reading.
func ExampleClient_Deliveries() {
	ctx := context.Background()
	c, err := client.New(server, token, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, typ := range []string{"body", "nutrition", "menstruation"} {
		if _, err := c.Send(ctx, client.SendRequest{Developer: "acme", Body: []byte(`{"type":"` + typ + `"}`)}); err != nil {
			log.Fatal(err)
		}
	}
	n := 0
	for d, err := range c.Deliveries(ctx, client.DeliveryFilter{
		Developer: "acme", Destination: "app", States: []string{"pending", "delivered"}, Since: time.Now().Add(-time.Hour), Limit: 2,
	}) {
		if err != nil {
			log.Fatal(err)
		}
		e, err := c.Event(ctx, d.Event)
		if err != nil {
			log.Fatal(err)
		}
		n++
		fmt.Println(n, e.Type)
	}
	// Output:
	// 1 menstruation
	// 2 nutrition
}

func ExampleClient_Retry() {
	ctx := context.Background()
	c, err := client.New(server, token, nil)
	if err != nil {
		log.Fatal(err)
	}
	mended.Store(false) // globex's server is down, and their settings know no retries
	id := send(ctx, c, "globex", `{"type":"sleep"}`)
	fmt.Println(settled(ctx, c, id).State)

	mended.Store(true)
	if _, err := c.Retry(ctx, id); err != nil {
		log.Fatal(err)
	}
	fmt.Println(settled(ctx, c, id).State)
	// Output:
	// dead
	// delivered
}

// send hands in an event and returns the id of its delivery.
func send(ctx context.Context, c *client.Client, developer, body string) string {
	accepted, err := c.Send(ctx, client.SendRequest{Developer: developer, Body: []byte(body)})
	if err != nil {
		log.Fatal(err)
	}
	e, err := c.Event(ctx, accepted.ID)
	if err != nil {
		log.Fatal(err)
	}
	return e.Deliveries[0]
}

// What died while an endpoint was down is delivered again. A replay goes on in
// the daemon; whoever wants to see how far it is asks.
func ExampleClient_Replay() {
	ctx := context.Background()
	c, err := client.New(server, token, nil)
	if err != nil {
		log.Fatal(err)
	}
	mended.Store(false)
	for range 5 {
		settled(ctx, c, send(ctx, c, "globex", `{"type":"daily"}`))
	}
	mended.Store(true)

	p, err := c.Replay(ctx, client.ReplayRequest{
		Developer: "globex", Destination: "app", States: []string{"dead"}, Since: time.Now().Add(-time.Hour), Rate: 50,
	})
	for err == nil && p.State == "running" {
		time.Sleep(100 * time.Millisecond)
		p, err = c.GetReplay(ctx, p.ID) // p.Found and p.Made say how far it is
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d found, %d made, %d were on their way already\n", p.State, p.Found, p.Made, p.Pending)
	// Output:
	// finished: 5 found, 5 made, 0 were on their way already
}

func ExampleClient_Check() {
	c, err := client.New(server, token, nil)
	if err != nil {
		log.Fatal(err)
	}
	d, err := c.Check(context.Background(), "acme", "app")
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range d.Check.Findings {
		fmt.Println(f.Name, f.Result)
	}
	// Output:
	// guard ok
	// connect ok
	// access ok
}

// Refusals of the daemon are an *Error; everything else is of the network, or
// the context's.
func ExampleError() {
	ctx := context.Background()
	c, err := client.New(server, token, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Send(ctx, client.SendRequest{Developer: "nobody", Body: []byte(`{"type":"sleep"}`)})
	if refusal, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(refusal.Status, refusal.Code, "worth another try:", refusal.Temporary())
	}
	_, err = c.Delivery(ctx, "00000000-0000-7000-8000-000000000000_1")
	fmt.Println("not found:", client.IsNotFound(err))

	c, err = client.New(server, "another-token", nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = c.Egress(ctx)
	fmt.Println(err)
	// Output:
	// 404 unknown_developer worth another try: false
	// not found: true
	// a valid bearer token is needed (unauthorized)
}
