package sqs

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// TestSetups are queues as customers have them.
func TestSetups(t *testing.T) {
	const other = "999900001111"
	const key = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d"
	fine := destinationtest.Verdict{}
	held := func(says ...string) destinationtest.Verdict {
		return destinationtest.Verdict{Is: destinationtest.Held, Says: says}
	}
	noted := func(says ...string) destinationtest.Verdict {
		return destinationtest.Verdict{Is: destinationtest.Noted, Says: says}
	}
	like := func(q strictaws.Queue) func(*far) { return func(f *far) { f.add(q) } }
	toOther := func(q strictaws.Queue) func(*far) {
		q.Account = other
		return func(f *far) {
			f.add(q)
			f.config = func(c *Config) { c.Account = other }
		}
	}
	assuming := func(then func(*far)) func(*far) {
		return func(f *far) {
			then(f)
			account := f.config
			f.config = func(c *Config) {
				account(c)
				c.RoleARN, c.ExternalID, c.STSEndpoint = roleARN, secret.New(externalID), f.URL
			}
		}
	}
	signing := func(q strictaws.Queue) func(*far) { // links of a role hold its session's token
		return func(f *far) {
			f.add(q)
			f.config = func(c *Config) {
				c.Payloads.S3.RoleARN, c.Payloads.S3.ExternalID, c.Payloads.S3.STSEndpoint = roleARN, secret.New(externalID), f.URL
			}
		}
	}
	const kmsUnseen = "SQS uses the key when it stores a message, and the check stores none"
	for _, s := range []struct {
		name        string
		queue       string
		make        func(*far)
		check, send destinationtest.Verdict
		unseen      string
	}{
		{"a standard queue", "events", func(*far) {}, fine, fine, ""},
		{"a FIFO queue", "events.fifo", func(*far) {}, fine, fine, ""},
		{"a FIFO queue that knows messages by their content", "events.fifo", like(strictaws.Queue{ContentDedup: true}), fine, fine, ""},
		{"a FIFO queue with high throughput", "events.fifo", like(strictaws.Queue{HighThroughput: true}), fine, fine, ""},
		{"another account's queue that lets us in", "events", toOther(strictaws.Queue{Policy: allow("arn:aws:iam::"+strictaws.Account+":root", "*")}), fine, fine, ""},
		{"another account's queue without a policy", "events", toOther(strictaws.Queue{}),
			held(`in the queue's policy: {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::`), held(`"Action":"sqs:GetQueueUrl"`), ""},
		{"another account's queue that shows itself and takes nothing", "events", toOther(strictaws.Queue{Policy: allow("arn:aws:iam::"+strictaws.Account+":root", "sqs:GetQueueUrl")}),
			held(`"Action":"sqs:SendMessage"`), held(`"Action":"sqs:SendMessage"`), ""},
		{"a queue that denies us", "events", like(strictaws.Queue{Policy: strings.Replace(allow("*", "sqs:SendMessage"), "Allow", "Deny", 1)}), held("explicitly"), held("explicitly"), ""},
		{"no right to send", "events", func(f *far) { f.Deny("sqs:SendMessage") }, held(`{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:111122223333:events"}`), held("grant sqs:SendMessage"), ""},
		{"no right to look", "events", func(f *far) { f.Deny("sqs:GetQueueAttributes") }, noted("grant sqs:GetQueueAttributes"), fine, ""},
		{"a KMS key that we may use", "events", like(strictaws.Queue{KMSKey: key}), noted(key, "only a delivery shows"), fine, ""},
		{"a KMS key that we may not use", "events", func(f *far) { f.add(strictaws.Queue{KMSKey: key}); f.Deny("kms:GenerateDataKey") },
			noted("kms:GenerateDataKey and kms:Decrypt"), held(`"Action":["kms:GenerateDataKey","kms:Decrypt"]`), kmsUnseen},
		{"a KMS key that we may only encrypt with", "events", func(f *far) { f.add(strictaws.Queue{KMSKey: key}); f.Deny("kms:Decrypt") }, noted(key), held("kms:Decrypt"), kmsUnseen},
		{"AWS's own key", "events", like(strictaws.Queue{KMSKey: "alias/aws/sqs"}), noted("alias/aws/sqs"), fine, ""},
		{"AWS's own key of another account, as a role", "events", assuming(toOther(strictaws.Queue{Shared: []string{strictaws.Account}, KMSKey: "alias/aws/sqs"})),
			held("KmsMasterKeyId=,SqsManagedSseEnabled=true"), held("KMS key"), ""},
		{"a queue that is gone", "events", func(f *far) { f.RemoveQueue(f.url) }, held("events does not exist: create it"), held("does not exist"), ""},
		{"a small MaximumMessageSize", "events", signing(strictaws.Queue{MaxSize: 1 << 10}), held("--attributes MaximumMessageSize=1048576"), held("--attributes MaximumMessageSize=1048576"), ""},
		{"room for a pointer and little more", "events", like(strictaws.Queue{MaxSize: 2 << 10}), noted("one with long ids is rejected"), fine, ""},
		{"links end before a message is seen", "events", like(strictaws.Queue{Delay: 15 * time.Minute}), noted("DelaySeconds of 15m0s outlive every link (10m0s)"), fine, ""},
		{"links end before a message comes back", "events", like(strictaws.Queue{Visibility: time.Hour}), noted("VisibilityTimeout of 1h0m0s outlive"), fine, ""},
		{"a FIFO queue by another name", "events", func(f *far) {
			f.Fail("GetQueueAttributes", answered(`{"Attributes":{"QueueArn":"arn:aws:sqs:eu-central-1:111122223333:events","FifoQueue":"true"}}`))
			f.FailEntries(func(string) (strictaws.Fault, bool) {
				return strictaws.Fault{Status: 400, Code: "MissingParameter", Message: "The request must contain the parameter MessageGroupId."}, true
			})
		}, held("the name of a FIFO queue ends with .fifo"), held("the name of a FIFO queue ends with .fifo"), ""},
		{"a proxy that shows another queue", "events", func(f *far) {
			f.Fail("GetQueueAttributes", answered(`{"Attributes":{"QueueArn":"arn:aws:sqs:eu-central-1:111122223333:else"}}`))
		}, held("no QueueArn of a queue named events"), fine, ""},
		{"another region", "events", config(func(c *Config) { c.Region = "us-east-1" }), held("region is wrong"), held("region is wrong"), ""},
		{"a wrong clock", "events", func(f *far) { f.Advance(10 * time.Minute) }, held("clock"), held("clock"), ""},
		{"a queue's URL elsewhere", "events", config(func(c *Config) { c.Queue = "https://sqs.eu-central-1.amazonaws.com/111122223333/events" }), held("region or endpoint does not know"), held("region or endpoint does not know"), ""},
		{"the older protocol", "events", func(f *far) {
			f.Fail("*", strictaws.Fault{Status: 400, Code: "InvalidAction", Message: "Could not find operation"})
		}, held("does not know SQS's JSON protocol"), held("does not know SQS's JSON protocol"), ""},
		{"throttled now and then", "events", func(f *far) {
			f.Fail("SendMessageBatch", strictaws.Fault{Status: 400, Code: "RequestThrottled", Times: 1})
		},
			destinationtest.Verdict{Is: destinationtest.Retried}, fine, ""},
	} {
		destinationtest.RunSetups(t, []destinationtest.Setup{{
			Name: s.name, Check: s.check, Send: s.send, Unseen: s.unseen,
			Bodies: bodiesFor(s.name),
			Open: func(tb testing.TB, lent destination.Deps) destination.Destination {
				f := newFar(tb, s.queue, nil)
				s.make(f)
				tb.Cleanup(func() {
					if n := len(f.Messages(f.url)); (n > 0) != (s.send.Is == destinationtest.Fine) {
						tb.Errorf("the queue holds %d messages", n)
					}
				})
				return f.Open(tb, lent)
			},
		}})
	}
	t.Run("portals", portals)
}

// bodiesFor are what a set-up is sent: where healthchecks fit and pointers do not,
// pointers alone.
func bodiesFor(setup string) []string {
	if !strings.HasPrefix(setup, "a small") {
		return nil
	}
	return []string{`{"type":"sleep","version":"2022-03-16","user":{"user_id":"u"},"data":[{}]}`}
}

// add makes the queue of f anew.
func (f *far) add(q strictaws.Queue) {
	q.Name = f.queue
	f.url = f.AddQueue(q)
}

// allow is a queue's policy.
func allow(principal, action string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":%q,"Resource":"*"}]}`, principal, action)
}

// portals answer everything that is asked of them, as the networks of hotels do.
func portals(t *testing.T) {
	said := destinationtest.Verdict{Is: destinationtest.Held, Says: []string{"mend endpoint"}}
	retried := destinationtest.Verdict{Is: destinationtest.Retried, Says: []string{"the answer"}}
	for name, p := range map[string]struct {
		status     int
		kind, body string
		verdict    destinationtest.Verdict
	}{
		"a page":                 {200, "text/html", "<html>log in</html>", said},
		"a redirect":             {302, "text/html", "", said},
		"nothing":                {204, "", "", said},
		"JSON of nothing":        {200, "application/json", "{}", retried},
		"JSON of something else": {200, "application/json", `{"status":"ok","Successful":null}`, retried},
	} {
		for _, url := range []bool{true, false} {
			destinationtest.RunSetups(t, []destinationtest.Setup{{
				Name: fmt.Sprint(name, " with a URL ", url), Check: p.verdict, Send: p.verdict,
				Open: func(tb testing.TB, lent destination.Deps) destination.Destination {
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						if p.kind != "" {
							w.Header().Set("Content-Type", p.kind)
						}
						w.WriteHeader(p.status)
						_, _ = w.Write([]byte(p.body))
					}))
					tb.Cleanup(server.Close)
					f := newFar(tb, "events", nil) // the bucket is sound
					f.config = func(c *Config) {
						c.Endpoint = server.URL
						if url {
							c.Queue = server.URL + "/111122223333/events"
						}
					}
					return f.Open(tb, lent)
				},
			}})
		}
	}
}
