package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// arriving posts a body to a sink as the daemon would.
func arriving(s *sink, n int, body []byte, sign string) {
	r := httptest.NewRequest(http.MethodPost, "/d/0", bytes.NewReader(body))
	r.Header.Set("Terra-Reference", fmt.Sprint(n))
	r.Header.Set("Terra-Signature", sign)
	s.receive(r, 0)
}

func newTestSink() *sink {
	s := &sink{check: newChecker("key", []int{2048, 4096})}
	s.stall.Store(&stall{over: make(chan struct{})})
	return s
}

func tallyOf(t *testing.T, s *sink) tally {
	t.Helper()
	w := httptest.NewRecorder()
	s.tally(w, nil)
	got, err := readTally(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTheSinkChecksBodyAndSignature(t *testing.T) {
	body := newBodies(2048).append(nil, 7)
	at := time.Unix(1780000000, 0)
	good := signature.Sign("key", at, body)
	changed := bytes.Replace(body, []byte("sleep"), []byte("sheep"), 1)
	for name, c := range map[string]struct {
		n     int
		body  []byte
		sign  string
		wrong int
	}{
		"as sent":                      {7, body, good, 0},
		"another size":                 {7, newBodies(4096).append(nil, 7), signature.Sign("key", at, newBodies(4096).append(nil, 7)), 0},
		"unsigned":                     {7, body, "", 1},
		"another secret":               {7, body, signature.Sign("other", at, body), 1},
		"another time":                 {7, body, strings.Replace(good, "t=178", "t=177", 1), 1},
		"changed behind the signature": {7, changed, good, 1},
		"changed but signed":           {7, changed, signature.Sign("key", at, changed), 1},
		"another event's number":       {8, body, good, 1},
		"cut short":                    {7, body[:2000], good, 1},
	} {
		s := newTestSink()
		arriving(s, c.n, c.body, c.sign)
		got := tallyOf(t, s)
		if got.Arrivals != 1 || got.Wrong != c.wrong {
			t.Errorf("%s: %+v, want %d wrong", name, got.found, c.wrong)
		}
		if _, err := compare(got, nil, nil); (err != nil) != (c.wrong > 0) {
			t.Errorf("%s: the run ends with %v", name, err)
		}
	}
}

func TestLostAndDuplicatedAreCounted(t *testing.T) {
	b := newBodies(2048)
	s := newTestSink()
	for _, n := range []int{1, 2, 2, 2} {
		arriving(s, n, b.append(nil, n), signature.Sign("key", time.Unix(1780000000, 0), b.append(nil, n)))
	}
	r := &rig{groups: []group{{developers: 1, fanout: 1}}}
	waves := []sent{{task: task{Developers: 1}, all: []sending{
		{N: 1, Count: 2, Status: 202}, {N: 3, Count: 4, Status: 503}, {N: 7, Count: 1}, // an event that was not accepted cannot be lost
	}}}
	if v, err := compare(tallyOf(t, s), waves, r.spots); err != nil || v != (verdict{doubled: 2, refused: 5}) {
		t.Errorf("%+v, %v", v, err)
	}
	waves[0].all = append(waves[0].all, sending{N: 8, Count: 3, Status: 202})
	if v, err := compare(tallyOf(t, s), waves, r.spots); err == nil || v.lost != 3 {
		t.Errorf("%+v, %v, want 3 lost and an error", v, err)
	}
}

func TestATallyThatWasCutIsRefused(t *testing.T) {
	s := newTestSink()
	arriving(s, 1, newBodies(2048).append(nil, 1), "")
	w := httptest.NewRecorder()
	s.tally(w, nil)
	head, _, _ := strings.Cut(w.Body.String(), "\n")
	if _, err := readTally(strings.NewReader(head + "\n")); err == nil {
		t.Error("a tally without its arrivals was read")
	}
	if _, err := readTally(strings.NewReader("")); err == nil {
		t.Error("an empty tally was read")
	}
}

func TestBodiesHaveTheirSizeAndAreEvents(t *testing.T) {
	for _, size := range []int{1000, 2048, 64 << 10} {
		got := newBodies(size).append(nil, 1234567890)
		if len(got) != size || !json.Valid(got) || !bytes.Contains(got, []byte("customer-1234567890")) {
			t.Errorf("size %d: %d bytes, %.120s", size, len(got), got)
		}
	}
	line := newBodies(2048).appendLine(nil, "d3", 12)
	var l struct {
		Developer string `json:"dev_id"`
		Reference string
		Event     json.RawMessage
	}
	if err := json.Unmarshal(line, &l); err != nil || l.Developer != "d3" || l.Reference != "12" || !bytes.Equal(l.Event, newBodies(2048).append(nil, 12)) {
		t.Errorf("%v %.120s", err, line)
	}
}

// TestDevelopersTakeTurnsEvenly: each developer has one turn a round. The first half of them have half
// of any twenty events, give or take two.
func TestDevelopersTakeTurnsEvenly(t *testing.T) {
	for _, developers := range []int{1, 2, 3, 8, 20, 1000, 1024} {
		s := task{Developers: developers}
		seen := map[int]bool{}
		for n := 7 * developers; n < 8*developers; n++ {
			seen[s.turn(n)] = true
		}
		if len(seen) != developers {
			t.Errorf("%d of %d had a turn", len(seen), developers)
		}
		for n := 0; developers%20 == 0 && n < developers; n++ {
			first := 0
			for i := range 20 {
				if s.turn(n+i) < developers/2 {
					first++
				}
			}
			if first < 8 || first > 12 {
				t.Errorf("of %d: %d of 20 events from %d on go to the first half", developers, first, n)
			}
		}
	}
}

func TestLoadersSayWhatTheySaw(t *testing.T) {
	want := []sending{{1, 100, 2, 3, 4, 202}, {101, 1, 5, 6, 7, 0}}
	var b bytes.Buffer
	if err := writeSent(&b, want, time.Second); err != nil {
		t.Fatal(err)
	}
	got, cpu, err := readSent(bufio.NewReader(&b))
	if err != nil || cpu != time.Second || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v %v %v", got, cpu, err)
	}
}
