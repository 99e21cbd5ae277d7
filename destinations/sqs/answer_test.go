package sqs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// rewriting is something between us and SQS that gives every batch another answer.
type rewriting struct {
	http.RoundTripper
	answer func(bodies []string) (kind, body string)
}

func (x rewriting) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.Header.Get("X-Amz-Target"), "SendMessageBatch") {
		return x.RoundTripper.RoundTrip(req)
	}
	var in struct {
		Entries []struct{ MessageBody string }
	}
	if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
		return nil, err
	}
	var bodies []string
	for _, e := range in.Entries {
		bodies = append(bodies, e.MessageBody)
	}
	kind, body := x.answer(bodies)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// TestDeliveredIsWhatTheAnswerPromises: of three messages each counts only with an
// id of SQS's and the MD5 of its own body, told of once.
func TestDeliveredIsWhatTheAnswerPromises(t *testing.T) {
	taken := func(id, message, sum string) string {
		return fmt.Sprintf(`{"Id":%q,"MessageId":%q,"MD5OfMessageBody":%q}`, id, message, sum)
	}
	failed := func(id string) string { return `{"Id":"` + id + `","Code":"InternalError","SenderFault":false}` }
	of := func(successful ...string) string {
		return `{"Successful":[` + strings.Join(successful, ",") + `],"Failed":[]}`
	}
	all := func(b []string) []string {
		return []string{taken("0", "m-0", md5Of(b[0])), taken("1", "m-1", md5Of(b[1])), taken("2", "m-2", md5Of(b[2]))}
	}
	with := func(i int, entry string) func([]string) string {
		return func(b []string) string {
			a := all(b)
			a[i] = entry
			return of(a...)
		}
	}
	fixed := func(body string) func([]string) string { return func([]string) string { return body } }
	const none, second = "transient transient transient", "sent transient sent"
	for _, tt := range []struct {
		name   string
		kind   string // Content-Type; "": that of SQS
		answer func(bodies []string) string
		want   string
		says   string
	}{
		{"all is well", "", func(b []string) string { return of(all(b)...) }, "sent sent sent", ""},
		{"in another order", "", func(b []string) string { a := all(b); return of(a[2], a[0], a[1]) }, "sent sent sent", ""},
		{"labelled plainly", "text/plain", func(b []string) string { return of(all(b)...) }, "sent sent sent", ""},
		{"the sum in capitals", "", func(b []string) string {
			return strings.NewReplacer(md5Of(b[1]), strings.ToUpper(md5Of(b[1]))).Replace(of(all(b)...))
		}, "sent sent sent", ""},
		{"one without an id", "", func(b []string) string { return with(1, `{"Id":"1","MD5OfMessageBody":"`+md5Of(b[1])+`"}`)(b) }, second, "no MessageId"},
		{"one with an empty id", "", func(b []string) string { return with(1, taken("1", "", md5Of(b[1])))(b) }, second, "no MessageId"},
		{"one with a page as its id", "", func(b []string) string { return with(1, taken("1", "<html>", md5Of(b[1])))(b) }, second, "no MessageId"},
		{"one without a sum", "", with(1, `{"Id":"1","MessageId":"m-1"}`), second, "MD5OfMessageBody"},
		{"one refused without a code", "", func(b []string) string {
			a := all(b)
			return `{"Successful":[` + a[0] + "," + a[2] + `],"Failed":[{"Id":"1","Code":"","SenderFault":true}]}`
		}, second, "refuses the message without a code"},
		{"one with the sum of nothing", "", with(1, taken("1", "m-1", md5Of(""))), second, "MD5OfMessageBody"},
		{"one with its neighbour's sum", "", func(b []string) string { return with(1, taken("1", "m-1", md5Of(b[0])))(b) }, second, "MD5OfMessageBody"},
		{"one is missing", "", func(b []string) string { a := all(b); return of(a[0], a[2]) }, second, "does not say what became"},
		{"one is there twice", "", func(b []string) string { a := all(b); return of(a[0], a[1], a[1], a[2]) }, second, "says twice"},
		{"one is taken and failed", "", func(b []string) string {
			return `{"Successful":[` + strings.Join(all(b), ",") + `],"Failed":[` + failed("1") + `]}`
		}, second, "says twice"},
		{"one failed", "", func(b []string) string {
			a := all(b)
			return `{"Successful":[` + a[0] + "," + a[2] + `],"Failed":[` + failed("1") + `]}`
		}, second, "InternalError"},
		{"one that was not sent", "", func(b []string) string { return of(append(all(b), taken("3", "m-3", md5Of("")))...) }, none, "that were not sent"},
		{"one that was not sent failed", "", func(b []string) string {
			return `{"Successful":[` + strings.Join(all(b), ",") + `],"Failed":[` + failed("7") + `]}`
		}, none, "that were not sent"},
		{"an id spelled otherwise", "", func(b []string) string { return with(1, taken("01", "m-1", md5Of(b[1])))(b) }, none, "that were not sent"},
		{"a negative id", "", func(b []string) string { return with(1, taken("-1", "m-1", md5Of(b[1])))(b) }, none, "that were not sent"},
		{"an entry without Id", "", func(b []string) string { return with(1, `{"MessageId":"m-1","MD5OfMessageBody":"`+md5Of(b[1])+`"}`)(b) }, none, "that were not sent"},
		{"nothing at all", "", fixed(`{}`), none, "not what SQS promises"},
		{"an empty body", "", fixed(``), none, "not what SQS promises"},
		{"cut short", "", func(b []string) string { a := of(all(b)...); return a[:len(a)-20] }, none, "not what SQS promises"},
		{"a list", "", fixed(`[]`), none, "not what SQS promises"},
		{"the answer to one message", "", func(b []string) string { return `{"MessageId":"m-0","MD5OfMessageBody":"` + md5Of(b[0]) + `"}` }, none, "not what SQS promises"},
		{"the answer to GetQueueUrl", "", fixed(`{"QueueUrl":"https://sqs.eu-central-1.amazonaws.com/111122223333/events"}`), none, "not what SQS promises"},
		{"the older protocol", "text/xml", fixed(`<SendMessageBatchResponse><SendMessageBatchResult/></SendMessageBatchResponse>`), "misconfigured misconfigured misconfigured", "its Content-Type is text/xml"},
		{"a captive portal", "text/html", fixed(`<html><body>Please log in</body></html>`), "misconfigured misconfigured misconfigured", "its Content-Type is text/html"},
		{"a captive portal that says nothing", "text/html; charset=utf-8", fixed(``), "misconfigured misconfigured misconfigured", "mend endpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lent := deps(t)
			kind := tt.kind
			if kind == "" {
				kind = "application/x-amz-json-1.0"
			}
			lent.HTTP.Transport = rewriting{lent.HTTP.Transport, func(b []string) (string, string) { return kind, tt.answer(b) }}
			d := newFar(t, "events", nil).Open(t, lent).(*sender)
			defer d.Close()
			var got []string
			for i, r := range d.SendBatch(t.Context(), []destination.Delivery{sleep(t, 0), sleep(t, 1), sleep(t, 2)}) {
				got = append(got, classOf(r.Err))
				if r.Err == nil && r.Receipt.Answer != fmt.Sprint("m-", i) {
					t.Errorf("message %d: the receipt is %+v", i, r.Receipt)
				}
				if unreadable := strings.Contains(tt.says, "SQS promises") || strings.Contains(tt.says, "Content-Type"); unreadable && r.Receipt.Code != http.StatusOK {
					t.Errorf("message %d: the receipt is %+v, want the status", i, r.Receipt)
				}
				if r.Err != nil && !strings.Contains(r.Err.Error(), tt.says) {
					t.Errorf("message %d: %v; want it to say %q", i, r.Err, tt.says)
				}
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
		})
	}
}

// TestTheURLOfAnswersIsThatOfTheQueue: what answers everything alike does not lead
// deliveries elsewhere, nor its text to where people look.
func TestTheURLOfAnswersIsThatOfTheQueue(t *testing.T) {
	for _, url := range []string{"", "events", "https://sqs.example/1/other", "https://sqs.example/1/events?x=y", "https://sqs.example/1/\x1bevents", "https://sqs.example/" + strings.Repeat("x", 2<<10) + "/events", "/1/events"} {
		f := newFar(t, "events", nil)
		body, _ := json.Marshal(map[string]string{"QueueUrl": url})
		f.Fail("GetQueueUrl", answered(string(body)))
		d := f.open(t)
		_, err := d.Send(t.Context(), sleep(t, 1))
		if classOf(err) != "transient" || !strings.Contains(err.Error(), "the answer") || d.queue.String() != "events" {
			t.Errorf("%.60q: %v", url, err)
		}
	}
}

// TestABatchThatIsTooMuchForTheServiceIsHalved, within the same attempt: limits of
// other providers are lower than AWS's.
func TestABatchThatIsTooMuchForTheServiceIsHalved(t *testing.T) {
	for _, x := range []strictaws.Fault{
		{Status: 400, Code: "AWS.SimpleQueueService.BatchRequestTooLong", Type: "BatchRequestTooLong", Times: 3},
		{Status: 400, Code: "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", Type: "TooManyEntriesInBatchRequest", Times: 3},
		{Status: 413, Raw: "<html>too large</html>", Times: 3},
	} {
		f := newFar(t, "events", nil)
		f.Fail("SendMessageBatch", x)
		var ds []destination.Delivery
		for n := range 10 {
			ds = append(ds, sleep(t, n))
		}
		for i, r := range f.open(t).SendBatch(t.Context(), ds) {
			if r.Err != nil || r.Receipt.Answer == "" {
				t.Errorf("%s: delivery %d: %+v", x.Code, i, r)
			}
		}
		// 10 and 5 and 2 are refused; 1, 1, 3 and 5 pass.
		if n, sent := f.Requests("SendMessageBatch"), len(f.Messages(f.url)); n != 7 || sent != 10 {
			t.Errorf("%s: %d messages in %d requests", x.Code, sent, n)
		}
	}
}

// TestWhatAPersonSendsAgainReachesAFIFOQueue, within the five minutes in which
// repeats are dropped; its own automatic retries are repeats.
func TestWhatAPersonSendsAgainReachesAFIFOQueue(t *testing.T) {
	f := newFar(t, "events.fifo", nil)
	d, x := f.open(t), sleep(t, 1)
	var ids []string
	for _, at := range []struct{ round, attempt int }{{0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 1}} {
		x.Round, x.Attempt = at.round, at.attempt
		r, err := d.Send(t.Context(), x)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.Answer)
	}
	if ids[0] != ids[1] || ids[2] != ids[3] || ids[1] == ids[2] || ids[3] == ids[4] {
		t.Errorf("the messages are %v", ids)
	}
	m := f.Messages(f.url)
	if len(m) != 3 {
		t.Fatalf("the queue holds %d messages, want one a round", len(m))
	}
	for round, want := range []string{x.ID, x.ID + ".1", x.ID + ".2"} {
		if m[round].Dedup != want || m[round].Attributes["trace-id"].StringValue != x.ID {
			t.Errorf("round %d: %+v", round, m[round])
		}
	}
	e, err := d.Explain(x)
	if got := map[string][]string(e.Headers)["MessageDeduplicationId"]; err != nil || got[0] != x.ID+".2" {
		t.Errorf("explained as %v, %v", got, err)
	}
}

// quoting is a far side that puts the signature of each request where advice and
// remarks take something from answers.
type quoting struct {
	http.RoundTripper
	answers map[string]func(signature string) *http.Response // by operation
}

func (x quoting) RoundTrip(req *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	answer := x.answers[operation]
	if answer == nil {
		return x.RoundTripper.RoundTrip(req)
	}
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	resp := answer(signature)
	resp.Request = req
	return resp, nil
}

func respond(status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}
}

// TestAdviceShowsNoSignature: what is taken from answers has a form of its own.
func TestAdviceShowsNoSignature(t *testing.T) {
	const label = "application/x-amz-json-1.0"
	signature := regexp.MustCompile(`[0-9a-f]{64}`)
	for name, answers := range map[string]map[string]func(string) *http.Response{
		"as a media type": {"SendMessageBatch": func(s string) *http.Response { return respond(200, "text/"+s, "<html>") }},
		"as a user": {"SendMessageBatch": func(s string) *http.Response {
			return respond(403, label, `{"__type":"AccessDenied","message":"User: arn:aws:iam::111122223333:user/`+s+` is not authorized: no resource-based policy"}`)
		}},
		"as a queue's URL": {"GetQueueUrl": func(s string) *http.Response {
			return respond(200, label, `{"QueueUrl":"http://q.example/`+s+`/events"}`)
		}},
		"as a queue's host": {"GetQueueUrl": func(s string) *http.Response { return respond(200, label, `{"QueueUrl":"http://`+s+`/1/events"}`) }},
		"as a message's id": {"SendMessageBatch": func(s string) *http.Response {
			return respond(200, label, `{"Successful":[{"Id":"0","MessageId":"`+s+`"}]}`)
		}},
		"as a key": {"GetQueueAttributes": func(s string) *http.Response {
			return respond(200, label, `{"Attributes":{"QueueArn":"arn:aws:sqs:eu-central-1:`+s+`:events","KmsMasterKeyId":"alias/`+s+`"}}`)
		}},
		"as a size": {"GetQueueAttributes": func(s string) *http.Response {
			return respond(200, label, `{"Attributes":{"QueueArn":"arn:aws:sqs:eu-central-1:1:events","MaximumMessageSize":"`+s+`","DelaySeconds":"`+s+`"}}`)
		}},
	} {
		lent := deps(t)
		lent.HTTP.Transport = quoting{lent.HTTP.Transport, answers}
		d := newFar(t, "events", nil).Open(t, lent).(*sender)
		check := d.Check(t.Context())
		r, sent := d.Send(t.Context(), sleep(t, 1))
		if all := fmt.Sprint(check, sent, r, d); signature.MatchString(all) {
			t.Errorf("%s: a signature is shown: %s", name, all)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
