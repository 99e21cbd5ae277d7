package sqs

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// TestEveryFaultHasItsClass, and its text says what to do about it.
func TestEveryFaultHasItsClass(t *testing.T) {
	whole := func(x strictaws.Fault) func(*far) { return func(f *far) { f.Fail("SendMessageBatch", x) } }
	each := func(x strictaws.Fault) func(*far) {
		return func(f *far) { f.FailEntries(func(string) (strictaws.Fault, bool) { return x, true }) }
	}
	const tooLong = "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."
	small, large := sleep(t, 1), healthcheck(t, 2, 100<<10)
	for _, tt := range []struct {
		name  string
		spoil func(*far)
		d     destination.Delivery
		class string
		says  string
	}{
		{"nothing", func(*far) {}, small, "sent", ""},
		{"a wrong secret", config(func(c *Config) { c.SecretAccessKey = secret.New("wrong-secret") }), small, "misconfigured", "access_key_id and secret_access_key belong together"},
		{"a removed key", func(f *far) { f.RemoveUser(strictaws.AccessKey) }, small, "misconfigured", "access_key_id and secret_access_key"},
		{"another region", config(func(c *Config) { c.Region = "us-east-1" }), small, "misconfigured", "SignatureDoesNotMatch"},
		{"a wrong clock", func(f *far) { f.Advance(10 * time.Minute) }, large, "misconfigured", "Signature expired"},
		{"no such queue", config(func(c *Config) { c.Queue = "none" }), small, "misconfigured", "none does not exist: create it"},
		{"no such queue by URL", config(func(c *Config) { c.Queue = c.Endpoint + "/" + strictaws.Account + "/none" }), small, "misconfigured", "none does not exist: create it"},
		{"a queue elsewhere", config(func(c *Config) { c.Queue = "https://sqs.eu-central-1.amazonaws.com/111122223333/events" }), small, "misconfigured", "queue is a URL that region or endpoint does not know"},
		{"no right to send", func(f *far) { f.Deny("sqs:SendMessage") }, small, "misconfigured", "grant sqs:SendMessage on arn:aws:sqs:eu-central-1:111122223333:events"},
		{"no right to find", func(f *far) { f.Deny("sqs:GetQueueUrl") }, small, "misconfigured", "grant sqs:GetQueueUrl on arn:aws:sqs:eu-central-1:*:events"},
		{"no right to a KMS key", whole(strictaws.Fault{Status: 400, Code: "KMS.AccessDeniedException", Type: "KmsAccessDenied"}), small, "misconfigured", "grant kms:GenerateDataKey and kms:Decrypt"},
		{"a disabled KMS key", whole(strictaws.Fault{Status: 400, Code: "KMS.DisabledException", Type: "KmsDisabled"}), small, "misconfigured", "see that it is enabled"},
		{"a KMS key of no use, in the shape's name", whole(strictaws.Fault{Status: 400, Code: "KmsInvalidState"}), small, "misconfigured", "KMS key"},
		{"KMS throttles", whole(strictaws.Fault{Status: 400, Code: "KMS.ThrottlingException", Type: "KmsThrottled"}), small, "throttled", ""},
		{"SQS throttles", whole(strictaws.Fault{Status: 403, Code: "RequestThrottled"}), small, "throttled", ""},
		{"SQS throttles FIFO", whole(strictaws.Fault{Status: 400, Code: "ThrottlingException"}), small, "throttled", ""},
		{"one is throttled", each(strictaws.Fault{Status: 400, Code: "RequestThrottled"}), small, "throttled", ""},
		{"unavailable", whole(strictaws.Fault{Status: 503, Code: "ServiceUnavailable"}), small, "transient", "503"},
		{"an internal failure", whole(strictaws.Fault{Status: 500, Code: "InternalFailure"}), small, "transient", "500"},
		{"one fails inside", each(strictaws.Fault{Status: 500, Code: "InternalError"}), small, "transient", "InternalError"},
		{"nobody knows", whole(strictaws.Fault{Status: 400, Code: "SomethingNew"}), small, "transient", "SomethingNew"},
		{"nobody knows of one", each(strictaws.Fault{Status: 400, Code: "SomethingNew"}), small, "transient", "SomethingNew"},
		{"characters that we let pass", each(strictaws.Fault{Status: 400, Code: "InvalidMessageContents"}), small, "rejected", "InvalidMessageContents"},
		{"too long for the queue", each(strictaws.Fault{Status: 400, Code: "InvalidParameterValue", Message: tooLong}), large, "rejected", "1024 bytes"},
		{"everything is too long", each(strictaws.Fault{Status: 400, Code: "InvalidParameterValue", Message: tooLong}), small, "misconfigured", "raise the queue's MaximumMessageSize"},
		{"another parameter", each(strictaws.Fault{Status: 400, Code: "InvalidParameterValue", Message: "odd"}), small, "transient", "odd"},
		{"what cannot be sent to", whole(strictaws.Fault{Status: 400, Code: "AWS.SimpleQueueService.UnsupportedOperation"}), small, "misconfigured", "no queue that messages can be sent to"},
		{"too long for anybody", func(*far) {}, healthcheck(t, 1, 2<<20), "rejected", "1048576"},
		{"no URL", func(f *far) { f.Fail("GetQueueUrl", answered("{}")) }, small, "transient", "the answer is not what SQS promises"},
		{"a moved bucket", func(f *far) { f.RemoveBucket("payloads") }, small, "misconfigured", "bucket payloads"},
		{"a bucket that nobody may write to", func(f *far) { f.Deny("s3:PutObject") }, small, "misconfigured", "s3:PutObject"},
		{"a slow bucket", func(f *far) { f.Fail("PutObject", strictaws.Fault{Status: 503, Code: "SlowDown"}) }, small, "throttled", "SlowDown"},
		{"the operator's store down", func(f *far) { f.shared = true; f.down.Store(true) }, small, "engine", ""},
		{"a role that does not trust us", role("another-id"), small, "misconfigured", "sts:ExternalId"},
		{"a role that does", role(externalID), small, "sent", ""},
		{"a token service that is down", func(f *far) {
			role(externalID)(f)
			f.Fail("AssumeRole", strictaws.Fault{Status: 503, Code: "ServiceUnavailable"})
		}, small, "transient", "assume the role"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFar(t, "events", nil)
			tt.spoil(f)
			d := f.open(t)
			r, err := d.Send(context.Background(), tt.d)
			if got := classOf(err); got != tt.class {
				t.Errorf("%s (%v), want %s", got, err, tt.class)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want it to say %q", err, tt.says)
			}
			if tt.class == "sent" && (r.Code != http.StatusOK || r.Answer == "" || r.Address == "") {
				t.Errorf("the receipt is %+v", r)
			}
			if sent := len(f.Messages(f.url)); (sent == 1) != (err == nil) {
				t.Errorf("the queue holds %d messages after %v", sent, err)
			}
		})
	}
}

// config changes the settings, but not those of the bucket.
func config(change func(*Config)) func(*far) { return func(f *far) { f.config = change } }

// role assumes one with an external id.
func role(id string) func(*far) {
	return func(f *far) {
		f.config = func(c *Config) { c.RoleARN, c.ExternalID, c.STSEndpoint = roleARN, secret.New(id), f.URL }
	}
}

// TestADeniedRoleIsNotADeniedQueue: both are AccessDenied, and only one is
// mended at the queue.
func TestADeniedRoleIsNotADeniedQueue(t *testing.T) {
	f := newFar(t, "events", nil)
	role("another-id")(f)
	_, err := f.open(t).Send(context.Background(), sleep(t, 1))
	if err == nil || strings.Contains(err.Error(), "grant sqs:") {
		t.Errorf("%v blames the queue", err)
	}
}

// TestCredentialsThatNobodyGivesAreNotTheQueuesFault: what answers for them has codes
// and statuses as SQS has.
func TestCredentialsThatNobodyGivesAreNotTheQueuesFault(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
		giver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"code":"AccessDenied","message":"no"}`))
		}))
		defer giver.Close()
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", giver.URL)
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
			t.Setenv(name, "")
		}
		t.Setenv("AWS_CONFIG_FILE", "/dev/null")
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
		f := newFar(t, "events", nil)
		f.config = func(c *Config) { c.AccessKeyID, c.SecretAccessKey = secret.Value{}, secret.Value{} }
		lent := deps(t)
		lent.Ambient, lent.Metadata = true, lent.HTTP
		d := f.Open(t, lent).(*sender)
		defer d.Close()
		for _, err := range []error{d.Check(t.Context()), func() error { _, err := d.Send(t.Context(), sleep(t, 1)); return err }()} {
			if classOf(err) != "misconfigured" || !strings.Contains(err.Error(), "the operator's own credentials") || strings.Contains(err.Error(), "grant sqs:") || strings.Contains(err.Error(), noSQS) {
				t.Errorf("%d: %v", status, err)
			}
		}
	}
}

func TestAQueueThatVanishesIsLookedUpAgain(t *testing.T) {
	f := newFar(t, "events", nil)
	d := f.open(t)
	send := func() error {
		_, err := d.Send(context.Background(), sleep(t, 1))
		return err
	}
	for range 3 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.Requests("GetQueueUrl"); n != 1 {
		t.Errorf("looked up %d times, want once", n)
	}
	f.RemoveQueue(f.url)
	for range 2 { // at sending, then at looking it up
		if err := send(); classOf(err) != "misconfigured" {
			t.Errorf("%v", err)
		}
	}
	f.AddQueue(strictaws.Queue{Name: "events"})
	if err := send(); err != nil {
		t.Error(err)
	}
	if n := f.Requests("GetQueueUrl"); n != 3 {
		t.Errorf("looked up %d times, want thrice", n)
	}
	byURL := newFar(t, "events", nil)
	byURL.config = func(c *Config) { c.Queue = byURL.url }
	x := byURL.open(t)
	byURL.RemoveQueue(byURL.url)
	_, _ = x.Send(context.Background(), sleep(t, 1))
	_, err := x.Send(context.Background(), sleep(t, 1))
	if classOf(err) != "misconfigured" || byURL.Requests("GetQueueUrl") != 0 {
		t.Errorf("a queue with a URL: %v, %d look-ups", err, byURL.Requests("GetQueueUrl"))
	}
}

func TestAnotherAccountsQueue(t *testing.T) {
	const other = "999900001111"
	f := newFar(t, "events", func(c *Config) { c.Account = other })
	d := f.open(t)
	_, err := d.Send(context.Background(), sleep(t, 1))
	if classOf(err) != "misconfigured" || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a missing queue: %v", err)
	}
	f.AddQueue(strictaws.Queue{Name: "events", Account: other})
	_, err = d.Send(context.Background(), sleep(t, 1))
	if classOf(err) != "misconfigured" || !strings.Contains(err.Error(), "grant sqs:GetQueueUrl on arn:aws:sqs:eu-central-1:"+other+":events in the queue's policy") {
		t.Errorf("a queue that is not shared: %v", err)
	}
	url := f.AddQueue(strictaws.Queue{Name: "events", Account: other, Shared: []string{strictaws.Account}})
	if _, err = d.Send(context.Background(), sleep(t, 1)); err != nil || len(f.Messages(url)) != 1 {
		t.Errorf("a shared queue: %v, %d messages", err, len(f.Messages(url)))
	}
}

// TestABatchSettlesEachDeliveryOnItsOwn mixes what is sent, refused here,
// refused there and cannot be stored.
func TestABatchSettlesEachDeliveryOnItsOwn(t *testing.T) {
	f := newFar(t, "events", nil)
	d := f.open(t)
	f.FailEntries(func(body string) (strictaws.Fault, bool) {
		return strictaws.Fault{Status: 500, Code: "InternalError"}, strings.Contains(body, `"reference-3"`)
	})
	ds := []destination.Delivery{sleep(t, 0), healthcheck(t, 1, 2<<20), sleep(t, 2), sleep(t, 3), healthcheck(t, 4, 600<<10), healthcheck(t, 5, 600<<10), sleep(t, 6)}
	ds[6].Event.Developer = "../else"
	want := []string{"sent", "rejected", "sent", "transient", "sent", "sent", "transient"}
	for i, r := range d.SendBatch(context.Background(), ds) {
		if got := classOf(r.Err); got != want[i] {
			t.Errorf("delivery %d: %s (%v), want %s", i, got, r.Err, want[i])
		}
	}
	if n := f.Requests("SendMessageBatch"); n != 2 {
		t.Errorf("%d requests, want 2: the two large ones do not fit into one", n)
	}
	var got, traces []string
	for _, m := range f.Messages(f.url) {
		got = append(got, m.Attributes["reference"].StringValue)
		traces = append(traces, m.Attributes["trace-id"].StringValue)
		if m.Attributes["dev-id"].StringValue != "acme" || m.Attributes["type"].DataType != "String" {
			t.Errorf("the attributes are %+v", m.Attributes)
		}
	}
	if want := "reference-0 reference-2 reference-4 reference-5"; strings.Join(got, " ") != want {
		t.Errorf("sent %v, want %s", got, want)
	}
	if want := []string{ds[0].ID, ds[2].ID, ds[4].ID, ds[5].ID}; !slices.Equal(traces, want) {
		t.Errorf("the trace ids are %v, want %v", traces, want)
	}
	f.Server.Mend()
	var twenty []destination.Delivery
	for n := range 20 {
		twenty = append(twenty, sleep(t, 100+n))
	}
	for i, r := range d.SendBatch(context.Background(), twenty) {
		if r.Err != nil {
			t.Errorf("delivery %d of 20: %v", i, r.Err)
		}
	}
}

// TestLinksEndWithTheSessionThatSignedThem: the message says so, and it is so.
func TestLinksEndWithTheSessionThatSignedThem(t *testing.T) {
	f := newFar(t, "events", nil)
	f.AddRole(strictaws.Role{ARN: roleARN, ExternalID: externalID, Life: 5 * time.Minute})
	f.config = func(c *Config) {
		c.RoleARN, c.ExternalID, c.STSEndpoint = roleARN, secret.New(externalID), f.URL
		c.Payloads.S3.Settings = c.Settings
	}
	if _, err := f.open(t).Send(context.Background(), sleep(t, 1)); err != nil {
		t.Fatal(err)
	}
	p := decode(t, f.bodies()[0])
	if p.ExpiresIn < 290 || p.ExpiresIn > 300 {
		t.Errorf("expires_in is %d, want at most the session's 300", p.ExpiresIn)
	}
	f.Advance(time.Duration(p.ExpiresIn-1) * time.Second)
	if status, body, err := fetch(p.URL); status != http.StatusOK {
		t.Errorf("before its end: %d %s %v", status, body, err)
	}
	f.Advance(3 * time.Second)
	if status, _, _ := fetch(p.URL); status == http.StatusOK {
		t.Error("it lives on")
	}
}

func TestLinksLiveAsLongAsTheySay(t *testing.T) {
	f := newFar(t, "events", nil)
	if _, err := f.open(t).Send(context.Background(), sleep(t, 1)); err != nil {
		t.Fatal(err)
	}
	p := decode(t, f.bodies()[0])
	if p.ExpiresIn != 600 {
		t.Errorf("expires_in is %d", p.ExpiresIn)
	}
	f.Advance(599 * time.Second)
	if status, body, err := fetch(p.URL); status != http.StatusOK {
		t.Errorf("after 599 s: %d %s %v", status, body, err)
	}
	f.Advance(3 * time.Second)
	if status, _, _ := fetch(p.URL); status != http.StatusForbidden {
		t.Errorf("after 602 s: %d", status)
	}
	if status, _, _ := fetch(strings.Replace(p.URL, "X-Amz-Signature=", "X-Amz-Signature=0", 1)); status != http.StatusForbidden {
		t.Errorf("tampered with: %d", status)
	}
}

// TestARepeatReachesAFIFOQueueOnce, though its link is another one.
func TestARepeatReachesAFIFOQueueOnce(t *testing.T) {
	f := newFar(t, "events.fifo", nil)
	d := f.open(t)
	f.Fail("SendMessageBatch", strictaws.Fault{Breaks: true, Done: true, Times: 2}) // the second over a fresh connection
	x := sleep(t, 1)
	if _, err := d.Send(context.Background(), x); classOf(err) != "transient" {
		t.Errorf("an answer was lost: %v", err)
	}
	x.Attempt++
	if _, err := d.Send(context.Background(), x); err != nil {
		t.Error(err)
	}
	other := x
	other.ID += "_1_20638" // a replay
	if _, err := d.Send(context.Background(), other); err != nil {
		t.Error(err)
	}
	m := f.Messages(f.url)
	if len(m) != 2 || m[0].Group != x.Event.UserID || m[0].Dedup != x.ID || m[1].Dedup != other.ID {
		t.Errorf("the queue holds %+v", m)
	}
}

func TestPayloadsAreStoredOnceUnderTheEventsID(t *testing.T) {
	f := newFar(t, "events", nil)
	d, x := f.open(t), sleep(t, 1)
	for range 3 {
		if _, err := d.Send(context.Background(), x); err != nil {
			t.Fatal(err)
		}
	}
	objects := f.Objects("payloads")
	if len(objects) != 1 || string(objects[0].Body) != string(x.Event.Body) || !strings.HasSuffix(objects[0].Key, "/acme/"+x.Event.ID.String()+".json") {
		t.Errorf("the bucket holds %+v", objects)
	}
	_, _ = d.Send(context.Background(), healthcheck(t, 2, 0))
	if n := len(f.Objects("payloads")); n != 1 {
		t.Errorf("%d objects after a healthcheck", n)
	}
	if m := f.bodies(); len(m) != 4 || m[3] != `{"type":"healthcheck","text":""}` {
		t.Errorf("the queue holds %q", m)
	}
}

// echoing is a far side that fails each message of a batch and repeats the
// signature of the request.
type echoing struct{ http.RoundTripper }

func (e echoing) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.Header.Get("X-Amz-Target"), "SendMessageBatch") {
		return e.RoundTripper.RoundTrip(req)
	}
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	body := `{"Successful":[],"Failed":[{"Id":"0","Code":"InternalError","SenderFault":false,"Message":"you signed ` + signature + `"}]}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// TestTheSignatureOfABatchIsHiddenInWhatIsSaidOfEachMessage.
func TestTheSignatureOfABatchIsHiddenInWhatIsSaidOfEachMessage(t *testing.T) {
	lent := deps(t)
	lent.HTTP.Transport = echoing{lent.HTTP.Transport}
	d := newFar(t, "events", nil).Open(t, lent)
	defer d.Close()
	if _, err := d.Send(t.Context(), sleep(t, 1)); err == nil || !strings.HasSuffix(err.Error(), "InternalError: you signed [redacted]") {
		t.Errorf("%v", err)
	}
}
