package integration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

// areRequests compares what a webhook got with the contract, and returns how
// many came more than once.
func areRequests(t *testing.T, got []request, secret string, traces map[string]*sent) (repeats int) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range got {
		trace := r.header.Get("x-terra-trace-id")
		e := traces[trace]
		if e == nil {
			t.Errorf("a webhook with the unknown trace id %q", trace)
			continue
		}
		if seen[trace] {
			repeats++
		}
		seen[trace] = true
		for name, want := range map[string]string{
			"Content-Type": "application/json", "dev-id": "acme", "hook-type": "WEBHOOK", "terra-reference": e.reference,
			"x-terra-signature": r.header.Get("terra-signature"), "x-terra-ordering-timestamp": fmt.Sprint(e.ordering.UnixMilli()),
		} {
			if r.header.Get(name) != want {
				t.Errorf("%s: header %s is %q, want %q", e.name, name, r.header.Get(name), want)
			}
		}
		if string(r.body) != string(e.body) {
			t.Errorf("%s: the body arrived as %.200q", e.name, r.body)
		}
		if err := signature.Verify(secret, r.header.Get("terra-signature"), r.body, r.at, time.Minute); err != nil {
			t.Errorf("%s: %v", e.name, err)
		}
	}
	if len(seen) != len(traces) {
		t.Errorf("webhooks of %d events, want %d", len(seen), len(traces))
	}
	return repeats
}

// message is a message with what the contract says of it.
type message struct {
	types.Message
	event *sent
	link  string // "" of one that carries its event
	lives time.Duration
}

// areMessages compares a queue with the contract and returns the newest message
// of every event, and how many came more than once.
func areMessages(t *testing.T, name string, got []types.Message, traces map[string]*sent) (all map[string]message, repeats int) {
	t.Helper()
	all = map[string]message{}
	for _, m := range got {
		trace := aws.ToString(m.MessageAttributes["trace-id"].StringValue)
		e := traces[trace]
		if e == nil {
			t.Errorf("%s: a message with the unknown trace id %q", name, trace)
			continue
		}
		if _, again := all[trace]; again {
			repeats++
		}
		v := e.read(t)
		want := map[string]string{"type": v.Type, "dev-id": "acme", "reference": e.reference, "trace-id": trace}
		for attribute, value := range want {
			if a := m.MessageAttributes[attribute]; aws.ToString(a.DataType) != "String" || aws.ToString(a.StringValue) != value {
				t.Errorf("%s: %s: attribute %s is %s %q, want %q", name, e.name, attribute, aws.ToString(a.DataType), aws.ToString(a.StringValue), value)
			}
		}
		if len(m.MessageAttributes) != len(want) {
			t.Errorf("%s: %s has %d attributes", name, e.name, len(m.MessageAttributes))
		}
		all[trace] = e.message(t, name, m, v)
	}
	if len(all) != len(traces) {
		t.Errorf("%s: messages of %d events, want %d", name, len(all), len(traces))
	}
	return all, repeats
}

// message compares a message's body with the contract byte for byte, except for the link and its life.
func (e *sent) message(t *testing.T, name string, m types.Message, v envelope) message {
	t.Helper()
	if v.Type == "healthcheck" {
		if *m.Body != string(e.body) {
			t.Errorf("%s: the healthcheck is %q", name, *m.Body)
		}
		return message{Message: m, event: e}
	}
	var pointer struct {
		URL     string
		Seconds int `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(*m.Body), &pointer); err != nil {
		t.Fatalf("%s: %s: %v", name, e.name, err)
	}
	who := v.person()
	want := fmt.Sprintf(`{"status":"success","type":"s3_payload","url":%s,"expires_in":%d,"payload_reference":%s,"user_id":%s,"reference_id":%s}`,
		quoted(pointer.URL), pointer.Seconds, quoted(e.reference), quoted(who.ID), quoted(who.Reference))
	if *m.Body != want {
		t.Errorf("%s: %s is\n%s, want\n%s", name, e.name, *m.Body, want)
	}
	return message{m, e, pointer.URL, time.Duration(pointer.Seconds) * time.Second}
}

// quoted is text in JSON, null if it is empty.
func quoted(text string) string {
	if text == "" {
		return "null"
	}
	return `"` + text + `"`
}

// areInGroups checks what makes a FIFO queue keep order and drop repeats.
func areInGroups(t *testing.T, all map[string]message) {
	t.Helper()
	for trace, m := range all {
		v := m.event.read(t)
		group := v.person().ID
		switch group {
		case "":
			group = v.Type
		case hostile: // not all of it is ASCII
			sum := sha256.Sum256([]byte(hostile))
			group = hex.EncodeToString(sum[:])
		}
		if m.Attributes["MessageGroupId"] != group || m.Attributes["MessageDeduplicationId"] != trace {
			t.Errorf("%s: group %q, want %q; deduplication id %q, want %q", m.event.name, m.Attributes["MessageGroupId"], group, m.Attributes["MessageDeduplicationId"], trace)
		}
	}
}

// linksHold follows every link. No changed link may lead anywhere.
func linksHold(t *testing.T, name string, all map[string]message, ttl time.Duration) {
	t.Helper()
	var previous string
	for _, m := range all {
		if m.link == "" {
			continue
		}
		if m.lives > ttl || m.lives < ttl-10*time.Second {
			t.Errorf("%s: %s: expires_in says %v, want %v", name, m.event.name, m.lives, ttl)
		}
		if status, body := fetch(t, m.link); status != http.StatusOK || body != string(m.event.body) {
			t.Errorf("%s: the link of %s answers %d %.200q", name, m.event.name, status, body)
		}
		for what, link := range tampered(t, m.link, previous) {
			if status, _ := fetch(t, link); status != http.StatusForbidden {
				t.Errorf("%s: a link %s answers %d", name, what, status)
			}
		}
		previous = m.link
	}
}

// tampered returns what somebody could make of a link, and of another.
func tampered(t *testing.T, link, other string) map[string]string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	o, err := url.Parse(other)
	if err != nil {
		t.Fatal(err)
	}
	longer := u.Query()
	for _, life := range []string{"expires", "X-Amz-Expires"} {
		if longer.Has(life) {
			longer.Set(life, longer.Get(life)+"0")
		}
	}
	elsewhere := *u
	elsewhere.Path, u.RawQuery = o.Path, longer.Encode()
	all := map[string]string{"that lives longer": u.String()}
	if other != "" {
		all["to another payload"] = elsewhere.String()
	}
	return all
}
