package api

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

func (r *rig) usage(query string, headers ...string) (u usageAnswer) {
	r.t.Helper()
	a := r.do("GET", "/v1/usage"+query, "", headers...)
	if a.into(r.t, &u); a.status != 200 {
		r.t.Fatalf("usage%s: %s", query, a)
	}
	return u
}

func (u usageView) String() string {
	n := func(p *int64) string {
		if p == nil {
			return "null"
		}
		return fmt.Sprint(*p)
	}
	return fmt.Sprintf("%s %s/%s %d=%d+%d+%d+%d %s %s", u.Day, u.Developer, u.Destination, u.Accepted, u.Delivered, u.Pending, u.Dead, u.Cancelled, n(u.Attempts), n(u.Bytes))
}

func texts(views []usageView) string {
	var all []string
	for _, v := range views {
		all = append(all, v.String())
	}
	return strings.Join(all, "; ")
}

// withinADay waits until midnight, UTC, is not so near that a test would see two days.
func withinADay(t *testing.T) {
	t.Helper()
	today := event.DayOf(time.Now())
	for event.DayOf(time.Now().Add(20*time.Second)) != today && event.DayOf(time.Now()) == today {
		time.Sleep(10 * time.Millisecond)
	}
}

func TestUsageByDayDeveloperAndDestination(t *testing.T) {
	withinADay(t)
	r := newRig(t, setup{})
	id := r.post(sleep) // to app and night
	r.post(`{"type":"walk"}`)
	r.do("POST", "/v1/events", sleep, "dev-id: initech")
	deliveries := walk(r, "/v1/deliveries?developer=acme&destination=night&event="+id)
	r.do("POST", "/v1/deliveries/"+deliveries[0]+"/cancel", "")
	at, err := store.ParseDeliveryID(walk(r, "/v1/deliveries?developer=acme&destination=app&event="+id)[0])
	if err != nil {
		t.Fatal(err)
	}
	items, _, err := r.store.Due(t.Context(), store.QueueID{Dest: at.Dest}, store.Position{}, 1<<62, 1)
	if err != nil {
		t.Fatal(err)
	}
	o := store.Outcome{Item: items[0], State: store.Delivered, Attempts: 1, Attempt: &store.Attempt{At: time.Now().UnixNano(), Class: "delivered", Counted: true}}
	if _, err := r.store.Settle(t.Context(), time.Now(), []store.Outcome{o}); err != nil {
		t.Fatal(err)
	}
	today, n := event.DayOf(at.Event.Time()), int64(len(sleep))
	for query, want := range map[string]string{
		"":                               fmt.Sprintf("%s / 4=1+2+0+1 1 %d", today.Date(), 3*n+15),
		"?by=developer":                  fmt.Sprintf(" acme/ 3=1+1+0+1 1 %d;  initech/ 1=0+1+0+0 0 %d", 2*n+15, n),
		"?by=destination&developer=acme": fmt.Sprintf(" acme/app 2=1+1+0+0 1 %d;  acme/night 1=0+0+0+1 0 %d", n+15, n),
		"?by=day&developer=acme&destination=night":              fmt.Sprintf("%s / 1=0+0+0+1 0 %d", today.Date(), n),
		"?developer=nobody":                                     "",
		"?since=" + (today + 1).Date() + "&until=2200-01-01":    "",
		"?since=1969-01-01&until=" + today.Date():               "",
		"?by=developer&developer=initech&since=" + today.Date(): fmt.Sprintf(" initech/ 1=0+1+0+0 0 %d", n),
		"?since=" + url.QueryEscape(at.Event.Time().Format(time.RFC3339)) + "&until=" + url.QueryEscape(today.Start().Add(time.Second).Format(time.RFC3339)): fmt.Sprintf("%s / 4=1+2+0+1 1 %d", today.Date(), 3*n+15),
	} {
		if got := texts(r.usage(query).Items); got != want {
			t.Errorf("usage%s: %s, want %s", query, got, want)
		}
	}
	if u := r.usage(""); u.Since != (today-29).Date() || u.Until != (today+1).Date() || u.By != "day" || u.Counted != "" {
		t.Errorf("30 days, today included: %+v", u)
	}
	for _, bad := range []string{"by=hour", "since=yesterday", "until=2026-13-01", "since=2026-07-02&until=2026-07-02", "since=" + (today + 9).Date(), "day=1"} {
		if a := r.do("GET", "/v1/usage?"+bad, ""); a.status != 400 || a.code() != "invalid_parameter" {
			t.Errorf("usage?%s: %s", bad, a)
		}
	}
}

func TestUsageOfOthersIsHidden(t *testing.T) {
	withinADay(t)
	r := newRig(t, setup{tokens: []Token{token("acme", "read", "acme"), token("all", "ingest read"), token("in", "ingest")}})
	r.post(sleep, bearer("all"))
	r.do("POST", "/v1/events", sleep, "dev-id: initech", bearer("all"))
	for _, by := range []string{"day", "developer", "destination"} {
		for _, v := range r.usage("?by="+by, bearer("acme")).Items {
			if v.Developer == "initech" || by == "day" && v.Accepted != 2 {
				t.Errorf("by %s it shows %v", by, v)
			}
		}
	}
	if u := r.usage("?developer=initech", bearer("acme")); len(u.Items) != 0 {
		t.Errorf("it shows %v", u.Items)
	}
	if u := r.usage("?by=developer", bearer("all")); len(u.Items) != 2 {
		t.Errorf("an operator sees %v", u.Items)
	}
	if a := r.do("GET", "/v1/usage", "", bearer("in")); a.status != 403 {
		t.Errorf("a producer: %s", a)
	}
}

// someUsage stands for a store of an older version that was taken over.
type someUsage []store.UsageRow

func (s someUsage) Usage(_ context.Context, _ store.UsageQuery, each func(*store.UsageRow)) error {
	for _, u := range s {
		each(&u)
	}
	return nil
}

// What an older version did not count is null, and so is every sum with it.
func TestUsageThatWasNotCountedIsNull(t *testing.T) {
	withinADay(t)
	r := newRig(t, setup{})
	day := event.DayOf(time.Now()) - 2
	c := store.Counts{Accepted: 1, Delivered: 1}
	r.api.Usage = someUsage{
		{Day: day, Dest: 1, Counts: c, Partial: true}, {Day: day, Dest: 2, Counts: c, Attempts: 1, Bytes: 7},
		{Day: day + 1, Dest: 1, Counts: c, Partial: true}, {Day: day + 2, Dest: 2, Counts: c, Attempts: 2, Bytes: 8}, {Day: day + 2, Dest: 3},
	}
	for query, want := range map[string]string{
		"":                fmt.Sprintf("%s / 2=2+0+0+0 null null; %s / 1=1+0+0+0 null null; %s / 1=1+0+0+0 2 8", day.Date(), (day + 1).Date(), (day + 2).Date()),
		"?by=destination": " acme/app 2=2+0+0+0 null null;  acme/night 2=2+0+0+0 3 15",
		"?by=developer":   " acme/ 4=4+0+0+0 null null",
	} {
		if u := r.usage(query); texts(u.Items) != want || u.Counted != (day+2).Date() {
			t.Errorf("usage%s: %s from %s, want %s", query, texts(u.Items), u.Counted, want)
		}
	}
}

// TestUsageBehindAClockThatWasSetBack: ids do not run backward, so what is accepted then
// counts on the day that the clock had reached. Audit has it, and so has usage.
func TestUsageBehindAClockThatWasSetBack(t *testing.T) {
	r := newRig(t, setup{})
	ahead := time.Now().Add(72 * time.Hour)
	e := &event.Event{Developer: "acme", Reference: "r", Envelope: event.Envelope{Type: "walk"}, Body: []byte(`{"type":"walk"}`)}
	if _, err := r.store.Append(t.Context(), ahead, []*store.Entry{{Event: e, To: []uint32{1}}}); err != nil {
		t.Fatal(err)
	}
	r.post(`{"type":"walk"}`)
	day := event.DayOf(ahead)
	u := r.usage("")
	if len(u.Items) != 1 || u.Items[0].Day != day.Date() || u.Items[0].Accepted != r.store.Counts(1).Accepted || u.Until != (day+1).Date() {
		t.Errorf("%d accepted, usage tells of %s until %s", r.store.Counts(1).Accepted, texts(u.Items), u.Until)
	}
}

// TestUsageUntilAlone is of the days before it.
func TestUsageUntilAlone(t *testing.T) {
	r := newRig(t, setup{})
	if u := r.usage("?until=2026-03-31"); u.Since != "2026-03-01" || u.Until != "2026-03-31" {
		t.Errorf("%s to %s", u.Since, u.Until)
	}
	if u := r.usage("?until=1970-01-03"); u.Since != "1970-01-01" {
		t.Errorf("from %s", u.Since)
	}
}
