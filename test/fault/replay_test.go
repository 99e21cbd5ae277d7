package fault

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// traces remembers by reference with which trace ids an event came.
type traces struct {
	mu   sync.Mutex
	came map[string][]string
}

func (f *traces) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !drain(r) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ref := r.Header.Get("terra-reference")
	f.came[ref] = append(f.came[ref], r.Header.Get("x-terra-trace-id"))
}

// The daemon is killed with kill -9 twice in the middle of a replay. The replay goes on by itself,
// every event that it selects has one new delivery, and its figures are right.
func TestKillDoesNotEndAReplay(t *testing.T) {
	const events = 4000
	far := &traces{came: map[string][]string{}}
	server := httptest.NewServer(far)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	dir := t.TempDir()
	listen := settings(t, dir, server.URL)
	d := start(t, dir, listen)
	for i := 0; i < events; i += client.MaxBatch {
		var lines []byte
		var err error
		for j := range client.MaxBatch {
			ref := fmt.Sprint(i + j)
			if lines, err = client.AppendLine(lines, client.SendRequest{Developer: "acme", Reference: ref, Body: []byte(`{"type":"sleep","n":` + ref + `}`)}); err != nil {
				t.Fatal(err)
			}
		}
		for r, err := range d.SendBatch(t.Context(), bytes.Clone(lines)) {
			if err != nil || r.Err != nil {
				t.Fatal(r, err)
			}
		}
	}
	d.settled(t)

	p, err := d.Replay(t.Context(), client.ReplayRequest{Developer: "acme", States: []string{"delivered"}, Rate: 2000})
	if err != nil {
		t.Fatal(err)
	}
	// The first position from which a process goes on is stored after the first page; the second kill
	// comes after that.
	for _, made := range []int64{events / 5, 3 * events / 5} {
		for limit := time.Now().Add(2 * time.Minute); p.Made < made; {
			if p, err = d.GetReplay(t.Context(), p.ID); err != nil || p.State != "running" || time.Now().After(limit) {
				t.Fatalf("before %d were made: %+v, %v\n%s", made, p, err, &d.log)
			}
		}
		d.kill()
		d = start(t, dir, listen)
		if p, err = d.GetReplay(t.Context(), p.ID); err != nil {
			t.Fatal(err)
		}
	}
	for limit := time.Now().Add(2 * time.Minute); p.State == "running"; {
		<-time.After(20 * time.Millisecond)
		if p, err = d.GetReplay(t.Context(), p.ID); err != nil || time.Now().After(limit) {
			t.Fatalf("the replay does not end: %+v, %v\n%s", p, err, &d.log)
		}
	}
	if p.State != "finished" || p.Found != events || p.Made != events || p.Pending != 0 || p.Gone != 0 {
		t.Errorf("the replay has ended as %+v", p)
	}
	if row := d.settled(t); row.Accepted != 2*events || row.Delivered != 2*events {
		t.Errorf("audit %+v, want %d first deliveries and as many again", row, events)
	}
	d.stop(t)

	far.mu.Lock()
	defer far.mu.Unlock()
	repeated := 0
	for i := range events {
		came := far.came[fmt.Sprint(i)]
		attempts := len(came)
		slices.Sort(came)
		if came = slices.Compact(came); len(came) != 2 {
			t.Errorf("event %d came with the trace ids %v: want those of two deliveries", i, came)
		}
		repeated += attempts - len(came)
	}
	t.Logf("%d events replayed over two kills, %d attempts repeated", events, repeated)
}
