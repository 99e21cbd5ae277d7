package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewRefusesWhatIsNoAddress(t *testing.T) {
	for _, address := range []string{"", "localhost:8080", "ftp://x", "http://", "http://x?y=1", "http://x/#a", "http://me:pw@x", "://"} {
		if _, err := New(address, "", nil); err == nil {
			t.Errorf("%q was taken", address)
		} else if strings.Contains(err.Error(), "pw") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
	for _, address := range []string{"http://127.0.0.1:8080", "https://fantail.example/api/", "http://[::1]:80"} {
		if _, err := New(address, "", nil); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestSendSaysEverythingAndLeavesTheBodyAlone(t *testing.T) {
	c, s := scripted(t, answer{status: 202, body: `{"id":"i1","reference":"r1","deliveries":3}`})
	c.Brand = "zebra"
	body := "{ \"type\":\t\"auth\",\n\"x\":\"\\u0000<&>\" }\n"
	got, err := c.Send(t.Context(), SendRequest{
		Developer: "acme", Reference: "r1", IdempotencyKey: "k", Body: []byte(body),
		Ordering: time.Date(2026, 7, 1, 9, 12, 33, 999_999, time.UTC),
	})
	if err != nil || got != (Accepted{ID: "i1", Reference: "r1", Deliveries: 3}) {
		t.Errorf("got %+v, %v", got, err)
	}
	a := s.asked[0]
	if a.method != "POST" || a.url != "http://daemon.example:8080/v1/events" || a.body != body {
		t.Errorf("asked %+v", a)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer token", "dev-id": "acme", "zebra-reference": "r1", "Idempotency-Key": "k",
		"zebra-ordering-timestamp": "1782897153000", "Content-Type": "application/json",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestListsFollowCursors(t *testing.T) {
	page := func(ids, next string) answer {
		var items []string
		for id := range strings.SplitSeq(ids, ",") {
			if id != "" {
				items = append(items, `{"id":"`+id+`"}`)
			}
		}
		return ok(`{"items":[` + strings.Join(items, ",") + `],"next":"` + next + `"}`)
	}
	for _, tc := range []struct {
		name    string
		limit   int
		answers []answer
		want    string
		err     string
		sizes   []string
	}{
		{"one page", 0, []answer{page("a,b", "")}, "a b", "", []string{"1000"}},
		{"empty pages on the way", 0, []answer{page("a", "1"), page("", "2"), page("", "3"), page("b", "")}, "a b", "", []string{"1000", "1000", "1000", "1000"}},
		{"nothing", 0, []answer{page("", "")}, "", "", []string{"1000"}},
		{"a limit", 3, []answer{page("a,b", "1"), page("c", "2")}, "a b c", "", []string{"3", "1"}},
		{"an error on the way", 0, []answer{page("a", "1"), refused(400, "invalid_cursor")}, "a", "because", []string{"1000", "1000"}},
		{"a cursor that stands still", 0, []answer{page("a", "1"), page("b", "1")}, "a b", "does not move", []string{"1000", "1000"}},
		{"no JSON", 0, []answer{ok("<html>")}, "", "is http://daemon.example:8080 the daemon?", []string{"1000"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, s := scripted(t, tc.answers...)
			var ids []string
			var failure error
			for d, err := range c.Deliveries(t.Context(), DeliveryFilter{Developer: "a&b", States: []string{"dead", "pending"}, Limit: tc.limit}) {
				if failure = err; err == nil {
					ids = append(ids, d.ID)
				}
			}
			if got := strings.Join(ids, " "); got != tc.want {
				t.Errorf("items %q, want %q", got, tc.want)
			}
			if tc.err == "" && failure != nil || tc.err != "" && (failure == nil || !strings.Contains(failure.Error(), tc.err)) {
				t.Errorf("error %v, want %q", failure, tc.err)
			}
			cursor := ""
			for i, a := range s.asked {
				want := "http://daemon.example:8080/v1/deliveries?" + cursor + "developer=a%26b&limit=" + tc.sizes[i] + "&state=dead&state=pending"
				if a.url != want {
					t.Errorf("request %d: %s, want %s", i, a.url, want)
				}
				cursor = "cursor=" + string(rune('1'+i)) + "&"
			}
		})
	}
}

func TestAListCanBeLeft(t *testing.T) {
	c, s := scripted(t, ok(`{"items":[{"id":"a"},{"id":"b"}],"next":"1"}`))
	for range c.Events(t.Context(), EventFilter{}) {
		break
	}
	if len(s.asked) != 1 {
		t.Errorf("%d requests", len(s.asked))
	}
}

func TestPathsAreEscaped(t *testing.T) {
	c, s := scripted(t, ok(`{}`), ok(`{}`), ok(`{}`))
	_, _ = c.Event(t.Context(), "a/../b?c#d e")
	_ = c.Pause(t.Context(), "..", "ä", "")
	_, _ = c.Erase(t.Context(), "a&b", "u/1")
	var got []string
	for _, a := range s.asked {
		got = append(got, strings.TrimPrefix(a.url, "http://daemon.example:8080/v1/"))
	}
	want := []string{"events/a%2F..%2Fb%3Fc%23d%20e", "destinations/%2E%2E/%C3%A4/pause", "users/u%2F1/data?developer=a%26b"}
	if !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	for _, tc := range []struct {
		answer answer
		want   Error
		text   string
	}{
		{refused(404, "not_found"), Error{404, "not_found", "because", 0}, "because (not_found)"},
		{answer{status: 500, body: "<html><h1>Bad</h1>"}, Error{500, "", "Internal Server Error", 0}, "500: Internal Server Error"},
		{answer{status: 400, body: "Client sent an HTTP request to an HTTPS server.\n"}, Error{400, "", "Client sent an HTTP request to an HTTPS server.", 0}, "400: Client sent an HTTP request to an HTTPS server."},
		{answer{status: 401}, Error{401, "", "Unauthorized", 0}, "401: Unauthorized"},
		{answer{status: 301, retryAfter: "5"}, Error{301, "", "Moved Permanently", 5 * time.Second}, "301: Moved Permanently"},
		{answer{status: 301, retryAfter: "99999999"}, Error{301, "", "Moved Permanently", 0}, "301: Moved Permanently"},
	} {
		c, _ := scripted(t, tc.answer)
		_, err := c.Event(t.Context(), "x")
		e, ok := errors.AsType[*Error](err)
		if !ok || *e != tc.want || err.Error() != tc.text {
			t.Errorf("%d %q: got %v", tc.answer.status, tc.answer.body, err)
		}
		if IsNotFound(err) != (tc.want.Status == 404) {
			t.Errorf("%v: IsNotFound is wrong", err)
		}
	}
}

func TestChangesOverASelectionGoOnToTheEnd(t *testing.T) {
	c, s := scripted(t, ok(`{"matched":500,"changed":499,"next":"n1"}`), ok(`{"matched":0,"changed":0,"next":"n2"}`), ok(`{"matched":2,"changed":2}`))
	var told []int
	sum, err := c.RetryAll(t.Context(), Selection{Developer: "acme", State: "dead", Since: time.Unix(0, 0).UTC()}, func(c Changed) { told = append(told, c.Changed) })
	if err != nil || sum != (Changed{502, 501}) || !slices.Equal(told, []int{499, 499, 501}) {
		t.Errorf("got %+v, %v, told %v", sum, err, told)
	}
	if got, want := s.asked[1].body, `{"developer":"acme","state":"dead","since":"1970-01-01T00:00:00Z","cursor":"n1"}`; got != want {
		t.Errorf("asked %s, want %s", got, want)
	}

	c, _ = scripted(t, ok(`{"matched":5,"changed":5,"next":"n1"}`), refused(503, "unavailable"))
	if sum, err := c.CancelAll(t.Context(), Selection{All: true}, nil); err == nil || sum.Changed != 5 {
		t.Errorf("got %+v, %v: want what was done, and the error", sum, err)
	}
	c, _ = scripted(t, ok(`{"next":"n1"}`), ok(`{"next":"n1"}`))
	if _, err := c.CancelAll(t.Context(), Selection{All: true}, nil); err == nil {
		t.Error("a cursor that stands still makes no error")
	}
}

func TestReadinessIsAnAnswerEvenWhenItIsNo(t *testing.T) {
	c, _ := scripted(t, answer{status: 503, retryAfter: "1", body: `{"ready":false,"problems":["stopping"]}`}, answer{status: 200, body: `{"ready":true,"problems":[],"warnings":["w"],"version":"v1"}`},
		answer{status: 503, body: "<html>"}, refused(404, "not_found"))
	if r, err := c.Readiness(t.Context()); err != nil || r.Ready || !slices.Equal(r.Problems, []string{"stopping"}) {
		t.Errorf("not ready: %+v, %v", r, err)
	}
	if r, err := c.Readiness(t.Context()); err != nil || !r.Ready || r.Version != "v1" || len(r.Warnings) != 1 {
		t.Errorf("ready: %+v, %v", r, err)
	}
	for range 2 {
		if r, err := c.Readiness(t.Context()); err == nil || r.Ready {
			t.Errorf("no answer: %+v, %v", r, err)
		}
	}
	c, _ = scripted(t, answer{status: 503, body: `{"ready":false,"problems":["stopping","disk"]}`}, ok(`{"ready":true,"problems":[]}`))
	if err := c.Ready(t.Context()); err == nil || err.Error() != "stopping; disk (not_ready)" {
		t.Errorf("not ready: %v", err)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
}

func TestOneDeliveryIsMoved(t *testing.T) {
	c, s := scripted(t, ok(`{"id":"d","from":"dead","to":"pending"}`), ok(`{"id":"d","from":"pending","to":"pending"}`), refused(409, "conflict"))
	if m, err := c.Retry(t.Context(), "d"); err != nil || m != (Moved{"d", "dead", "pending"}) {
		t.Errorf("retry: %+v, %v", m, err)
	}
	if _, err := c.RebindOne(t.Context(), "d"); err != nil || s.asked[1].body != `{"rebind":true}` {
		t.Errorf("rebind: asked %+v, %v", s.asked[1], err)
	}
	if _, err := c.Cancel(t.Context(), "d"); err == nil || s.asked[2].url != "http://daemon.example:8080/v1/deliveries/d/cancel" {
		t.Errorf("cancel: asked %+v, %v", s.asked[2], err)
	}
}
