package sqs

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

func decode(t *testing.T, body string) (p pointer) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return p
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*far)
		says  string // "": all is well
	}{
		"all is well":      {func(*far) {}, ""},
		"no right to send": {func(f *far) { f.Deny("sqs:SendMessage") }, "grant sqs:SendMessage on arn:aws:sqs:eu-central-1:111122223333:events"},
		"no right to find": {func(f *far) { f.Deny("sqs:GetQueueUrl") }, "grant sqs:GetQueueUrl"},
		"no right to look": {func(f *far) { f.Deny("sqs:GetQueueAttributes") }, "look at the queue, which only the check does (grant sqs:GetQueueAttributes on arn"},
		"no queue":         {func(f *far) { f.RemoveQueue(f.url) }, "does not exist"},
	} {
		f := newFar(t, "events", nil)
		tt.spoil(f)
		err := f.open(t).Check(context.Background())
		if tt.says == "" && err != nil || tt.says != "" && (classOf(err) != "misconfigured" || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
		if len(f.Messages(f.url))+len(f.Objects("payloads")) > 0 {
			t.Errorf("%s: the check left %v %v", name, f.Messages(f.url), f.Objects("payloads"))
		}
	}
}

func TestExplainShowsNoLink(t *testing.T) {
	f := newFar(t, "events.fifo", nil)
	d := f.open(t)
	e, err := d.Explain(sleep(t, 7))
	if err != nil {
		t.Fatal(err)
	}
	p := decode(t, e.Body)
	if p.URL != "(a link to payload "+e.Key+")" || p.ExpiresIn != 600 || *p.UserID != "u7" || p.Reference != "reference-7" {
		t.Errorf("%+v", p)
	}
	if e.Target != "events.fifo" || e.Headers["type"][0] != "sleep" || e.Headers["MessageGroupId"][0] != "u7" || e.Headers["MessageDeduplicationId"][0] != sleep(t, 7).ID {
		t.Errorf("%+v", e)
	}
	if e, err = d.Explain(healthcheck(t, 1, 0)); err != nil || e.Body != `{"type":"healthcheck","text":""}` || e.Key != "" {
		t.Errorf("%+v %v", e, err)
	}
	if n := f.Requests("*"); n != 0 {
		t.Errorf("explaining made %d requests", n)
	}
}
