package api

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// walk follows a list to its end and returns the ids.
func walk(r *rig, path string) (ids []string) {
	r.t.Helper()
	next := ""
	for range 1000 {
		var p page[struct{ ID string }]
		a := r.do("GET", path+next, "")
		if a.into(r.t, &p); a.status != 200 {
			r.t.Fatalf("%s: %s", path, a)
		}
		for _, item := range p.Items {
			ids = append(ids, item.ID)
		}
		if p.Next == "" {
			return ids
		}
		next = "&cursor=" + url.QueryEscape(p.Next)
	}
	r.t.Fatalf("%s never ends", path)
	return nil
}

func TestListsFilter(t *testing.T) {
	r := newRig(t, setup{})
	first := r.post(sleep)
	walkEvent := r.post(`{"type":"walk","user":{"user_id":"u2"}}`)
	var other struct{ ID string }
	r.do("POST", "/v1/events", `{"type":"walk","user":{"user_id":"u1"}}`, "dev-id: initech").into(t, &other)
	early, late := "2001-01-01T00:00:00Z", time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)

	for query, want := range map[string][]string{
		"limit=1000":                   {other.ID, walkEvent, first},
		"limit=1":                      {other.ID, walkEvent, first},
		"developer=acme":               {walkEvent, first},
		"developer=nobody":             nil,
		"type=walk":                    {other.ID, walkEvent},
		"type=walk&type=sleep":         {other.ID, walkEvent, first},
		"type=wal":                     nil,
		"user=u1":                      {other.ID, first},
		"user=u1&developer=acme":       {first},
		"since=" + early:               {other.ID, walkEvent, first},
		"until=" + early:               nil,
		"since=" + late:                nil,
		"until=" + late + "&type=walk": {other.ID, walkEvent},
		"unmatched=true":               {other.ID},
		"unmatched=0":                  {other.ID, walkEvent, first},
	} {
		if got := walk(r, "/v1/events?"+query); !slices.Equal(got, want) {
			t.Errorf("events %s: %q, want %q", query, got, want)
		}
	}
	for query, want := range map[string][]string{
		"limit=1":                        {walkEvent + "_1", first + "_2", first + "_1"},
		"developer=acme&limit=2":         {walkEvent + "_1", first + "_2", first + "_1"},
		"developer=initech":              nil,
		"destination=night":              {first + "_2"},
		"destination=crm&developer=acme": nil,
		"destination=none":               nil,
		"state=pending&state=dead":       {walkEvent + "_1", first + "_2", first + "_1"},
		"state=delivered":                nil,
		"event=" + first:                 {first + "_2", first + "_1"},
		"event=" + first + "&state=dead": nil,
		"since=" + late:                  nil,
	} {
		got := walk(r, "/v1/deliveries?"+query)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("deliveries %s: %q, want %q", query, got, want)
		}
	}
}

func TestListsRefuseWhatTheyDoNotKnow(t *testing.T) {
	r := newRig(t, setup{})
	r.post(sleep)
	for path, code := range map[string]string{
		"/v1/events?dev=acme":                         "invalid_parameter",
		"/v1/events?developer=acme&developer=b":       "invalid_parameter",
		"/v1/events?limit=0":                          "invalid_parameter",
		"/v1/events?limit=1001":                       "invalid_parameter",
		"/v1/events?limit=x":                          "invalid_parameter",
		"/v1/events?since=24h":                        "invalid_parameter",
		"/v1/events?until=yesterday":                  "invalid_parameter",
		"/v1/events?unmatched=maybe":                  "invalid_parameter",
		"/v1/events?developer=%zz":                    "invalid_parameter",
		"/v1/events?cursor=AAAA":                      "invalid_cursor",
		"/v1/deliveries?states=dead":                  "invalid_parameter",
		"/v1/deliveries?state=lost":                   "invalid_parameter",
		"/v1/deliveries?event=x":                      "invalid_parameter",
		"/v1/deliveries?cursor=%F0%9F%98%80":          "invalid_cursor",
		"/v1/destinations?cursor=!":                   "invalid_cursor",
		"/v1/destinations?cursor=AAAA":                "invalid_cursor",
		"/v1/destinations?cursor=Z2FyYmFnZQ":          "invalid_cursor",
		"/v1/destinations?cursor=YQBiADAwMDAwMDAwMDF": "invalid_cursor",
		"/v1/destinations?name=app":                   "invalid_parameter",
		"/v1/destinations?state=lost":                 "invalid_parameter",
		"/v1/audit?deep=often":                        "invalid_parameter",
		"/v1/audit?since=2026-01-01T00:00:00Z":        "invalid_parameter",
		"/v1/deliveries/x?y=z":                        "invalid_parameter",
		"/v1/events?since=2026-01-01T00:00:00Z;x":     "invalid_parameter",
	} {
		if got := r.do("GET", path, ""); got.code() != code {
			t.Errorf("%s: %s, want %s", path, got, code)
		}
	}
}

func TestDeliveryShowsItsAttempts(t *testing.T) {
	r := newRig(t, setup{})
	id := r.post(sleep)
	a := r.do("GET", "/v1/deliveries/"+id+"_1", "")
	if !strings.Contains(string(a.body), `"attempts":[]`) {
		t.Errorf("without attempts: %s", a)
	}
	dest := uint32(1)
	items, _, err := r.store.Due(t.Context(), store.QueueID{Dest: dest}, store.Position{}, time.Now().Add(time.Hour).UnixNano(), 10)
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	at, due := time.Now(), time.Now().Add(time.Minute)
	if _, err := r.store.Settle(t.Context(), time.Now(), []store.Outcome{{
		Item: items[0], State: store.Pending, Due: due.UnixNano(), Settings: 77, Attempts: 1,
		Attempt: &store.Attempt{At: at.UnixNano(), Took: 1234 * time.Millisecond, Class: "transient", Code: 503, Answer: `bu\x00sy "<&>`, Address: "192.0.2.1:443", Counted: true, Requests: 2},
	}}); err != nil {
		t.Fatal(err)
	}
	var v struct {
		Developer, Destination, Kind, State string
		Due                                 time.Time
		Tried                               int
		Frozen                              bool
		Attempts                            []attemptView
	}
	r.do("GET", "/v1/deliveries/"+id+"_1", "").into(t, &v)
	if v.Developer != "acme" || v.Destination != "app" || v.Kind != "webhook" || v.State != "pending" || !v.Due.Equal(due) || v.Tried != 1 || !v.Frozen || len(v.Attempts) != 1 {
		t.Fatalf("got %+v", v)
	}
	if got := v.Attempts[0]; !got.At.Equal(at) || got.Millis != 1234 || got.Class != "transient" || got.Code != 503 || got.Answer != `bu\x00sy "<&>` || got.Address != "192.0.2.1:443" || !got.Counted {
		t.Errorf("attempt %+v", got)
	}
	if got := r.do("GET", "/v1/deliveries?event="+id, ""); strings.Contains(string(got.body), "attempts") {
		t.Errorf("a list shows attempts: %s", got)
	}
}

func TestDestinationsArePaged(t *testing.T) {
	r := newRig(t, setup{})
	var names []string
	cursor, more := "", ""
	for range 3 {
		var p page[destinationView]
		r.do("GET", "/v1/destinations?limit=1"+more, "").into(t, &p)
		for _, d := range p.Items {
			names = append(names, d.Developer+"/"+d.Name)
		}
		cursor = p.Next
		more = "&cursor=" + cursor
	}
	if want := []string{"acme/app", "acme/night", "initech/crm"}; cursor != "" || !slices.Equal(names, want) {
		t.Errorf("got %q then %q, want %q", names, cursor, want)
	}
	var p page[destinationView]
	if r.do("GET", "/v1/destinations?state=paused", "").into(t, &p); len(p.Items) != 0 {
		t.Errorf("paused: %+v", p.Items)
	}
}

func TestGoneBodyIs410(t *testing.T) {
	r := newRig(t, setup{})
	id := r.post(sleep)
	if got := r.do("DELETE", "/v1/users/u1/data?developer=acme", ""); got.status != 200 {
		t.Fatal(got)
	}
	if got := r.do("GET", "/v1/events/"+id+"/body", ""); got.status != 410 || got.code() != "gone" {
		t.Errorf("got %s", got)
	}
	var e eventView
	if r.do("GET", "/v1/events/"+id, "").into(t, &e); e.Gone != "erased" {
		t.Errorf("got %+v", e)
	}
	none := "01980000-0000-7000-8000-000000000000"
	for _, path := range []string{"/v1/events/" + none, "/v1/events/" + none + "/body", "/v1/deliveries/" + none + "_1", "/v1/events/x", "/v1/deliveries/x"} {
		if got := r.do("GET", path, ""); got.status != 404 || got.code() != "not_found" {
			t.Errorf("%s: %s", path, got)
		}
	}
}
