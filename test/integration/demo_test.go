package integration

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/all"
	"github.com/seed-51f8da91/fantail/internal/cli"
	"github.com/seed-51f8da91/fantail/pkg/client"
)

func TestDemoAddsUp(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), []string{"demo"}, nil, &out, &errs, all.Destinations()); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, &out, &errs)
	}
	// What depends on how fast the machine is stands between the events and the last picture.
	text := regexp.MustCompile(`in \S*fantail-demo-\d+,`).ReplaceAllString(out.String(), "in PATH,")
	text = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).ReplaceAllString(text, "http://127.0.0.1:PORT")
	head, rest, _ := strings.Cut(text, "\n\n")
	last := strings.LastIndex(rest, "destination ")
	if got := head + "\n\n" + rest[max(last, 0):]; got != demoShows {
		t.Errorf("the demo shows:\n%s\nwant:\n%s\nall of it:\n%s", got, demoShows, &out)
	}
}

// demoShows is what a run prints that adds up, without its progress.
const demoShows = `Starting the daemon, in PATH, and four receivers. All of it takes some 10 s, most of them waits between retries.
Fantail runs at http://127.0.0.1:PORT.
Two developers, four webhooks. Retries here wait seconds; the default schedule waits 30 s to 18 h, just over a day in all.
Sent 50 events: every sample body once to each developer. Each was on disk before it was acknowledged.

destination     plays                        accepted   delivered   retrying   dead
acme/app        healthy                      25         25          0          0
acme/crm        fails twice, then recovers   25         25          0          0
globex/hooks    healthy                      25         25          0          0
globex/legacy   hangs for ever               2          0           0          2

Audit, recounted from every event and delivery on disk:
  acme/app       accepted 25 = delivered 25 + pending 0 + dead 0 + cancelled 0: adds up
  acme/crm       accepted 25 = delivered 25 + pending 0 + dead 0 + cancelled 0: adds up
  globex/hooks   accepted 25 = delivered 25 + pending 0 + dead 0 + cancelled 0: adds up
  globex/legacy  accepted 2 = delivered 0 + pending 0 + dead 2 + cancelled 0: adds up
Every delivered event arrived with its exact bytes and a signature that the receiver verified by itself. Nothing was lost.
`

// With --keep the demo goes on: the console stands at the address that it says, and events go on.
func TestDemoKeepsTheConsoleOpen(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &says{}
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(ctx, []string{"demo", "--keep"}, nil, out, out, all.Destinations()) }()
	console := regexp.MustCompile(`Open the console: (http://127\.0\.0\.1:\d+)/console/\n`)
	var address []string
	until(t, "the demo says where the console is", func() bool { address = console.FindStringSubmatch(out.String()); return address != nil })
	c, err := client.New(address[1], "", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(address[1] + "/console/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("the console: %s", res.Status)
	}
	until(t, "events go on, and acme/crm fails again", func() bool {
		for d, err := range c.Destinations(t.Context(), "acme", "") {
			if err != nil {
				t.Fatal(err)
			}
			if d.Name == "crm" && d.Pending > 0 && d.FailedAttempts > 0 {
				return true
			}
		}
		return false
	})
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// says is what a program that still runs has printed.
type says struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *says) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *says) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// The demo's verdict is real: a receiver with another secret makes it fail.
func TestDemoFailsOnACorruptedSecret(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := cli.Run(t.Context(), []string{"demo", "--corrupt-secret"}, nil, &out, &errs, all.Destinations()); code != 1 {
		t.Fatalf("exit %d, want 1\n%s%s", code, &out, &errs)
	}
	if !strings.Contains(errs.String(), "acme/app") || !strings.Contains(errs.String(), "does not verify") {
		t.Errorf("the error does not say what is wrong: %s", &errs)
	}
}
