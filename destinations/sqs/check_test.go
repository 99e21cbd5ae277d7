package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

func decode(t *testing.T, body string) (p pointer) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return p
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	brief := func(f *far) {
		f.AddRole(strictaws.Role{ARN: roleARN, ExternalID: externalID})
		f.config = func(c *Config) {
			c.LinkTTL = 2 * time.Hour
			c.Payloads.S3.RoleARN, c.Payloads.S3.ExternalID, c.Payloads.S3.STSEndpoint = roleARN, secret.New(externalID), f.URL
		}
	}
	for name, tt := range map[string]struct {
		spoil func(*far)
		class string
		says  string
	}{
		"all is well":           {func(*far) {}, "sent", ""},
		"no right to send":      {func(f *far) { f.Deny("sqs:SendMessage") }, "misconfigured", "grant sqs:SendMessage on arn:aws:sqs:eu-central-1:111122223333:events"},
		"no right to find":      {func(f *far) { f.Deny("sqs:GetQueueUrl") }, "misconfigured", "grant sqs:GetQueueUrl"},
		"no right to look":      {func(f *far) { f.Deny("sqs:GetQueueAttributes") }, "remark", "grant sqs:GetQueueAttributes on arn:aws:sqs:eu-central-1:111122223333:events"},
		"looking is throttled":  {func(f *far) { f.Fail("GetQueueAttributes", strictaws.Fault{Status: 400, Code: "RequestThrottled"}) }, "throttled", "look at the queue"},
		"no queue":              {func(f *far) { f.RemoveQueue(f.url) }, "misconfigured", "does not exist"},
		"links end sooner":      {brief, "remark", "not 2h0m0s as link_ttl says"},
		"nobody signs links":    {func(f *far) { brief(f); f.Deny("sts:AssumeRole") }, "misconfigured", "assume the role"},
		"remarks come together": {func(f *far) { brief(f); f.Deny("sqs:GetQueueAttributes") }, "remark", "; links live "},
	} {
		f := newFar(t, "events", nil)
		tt.spoil(f)
		err := f.open(t).Check(context.Background())
		got := classOf(err)
		if _, ok := errors.AsType[destination.Remark](err); ok {
			got = "remark"
		}
		if got != tt.class || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %s (%v), want %s: %q", name, got, err, tt.class, tt.says)
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
	h := map[string][]string(e.Headers) // as it is shown: no names of HTTP
	if e.Target != "events.fifo" || h["type"][0] != "sleep" || h["MessageGroupId"][0] != "u7" || h["MessageDeduplicationId"][0] != sleep(t, 7).ID {
		t.Errorf("%+v", e)
	}
	if e, err = d.Explain(healthcheck(t, 1, 0)); err != nil || e.Body != `{"type":"healthcheck","text":""}` || e.Key != "" {
		t.Errorf("%+v %v", e, err)
	}
	if n := f.Requests("*"); n != 0 {
		t.Errorf("explaining made %d requests", n)
	}
}
