package sqs

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// provoked are answers by the API reference of SQS (query-compatible codes, as the
// header has them) and its common errors, and what they must come to. text is what
// a message needs to be told from others of its code.
var provoked = []struct {
	code, text, class, says string
}{
	{"AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", "misconfigured", "events does not exist: create it"},
	{"QueueDoesNotExist", "", "misconfigured", "events does not exist: create it"},
	{"ResourceNotFoundException", "", "misconfigured", "events does not exist"},
	{"AWS.SimpleQueueService.QueueDeletedRecently", "", "misconfigured", "events does not exist"},
	{"InvalidAddress", "The address is not valid for this endpoint.", "misconfigured", "queue is a URL that region or endpoint does not know"},
	{"AWS.SimpleQueueService.UnsupportedOperation", "", "misconfigured", "no queue that messages can be sent to"},

	{"AccessDenied", "User: arn:aws:iam::111122223333:user/fantail is not authorized to perform: sqs:sendmessage because no identity-based policy allows the sqs:sendmessage action",
		"misconfigured", `{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:111122223333:events"}`},
	{"AccessDeniedException", "Access to the resource is denied.", "misconfigured", "grant sqs:SendMessage on arn:aws:sqs:eu-central-1:111122223333:events"},
	{"AccessDenied", "User: arn:aws:iam::111122223333:user/fantail is not authorized to perform: sqs:sendmessage because no resource-based policy allows the sqs:sendmessage action",
		"misconfigured", `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/fantail"},"Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-central-1:111122223333:events"}`},
	{"AccessDenied", "User: arn:aws:sts::111122223333:assumed-role/fantail/fantail is not authorized to perform: sqs:sendmessage because no resource-based policy allows the sqs:sendmessage action",
		"misconfigured", `"Principal":{"AWS":"the ARN of who the key or the role belongs to"}`},
	{"AccessDenied", "is not authorized to perform: sqs:sendmessage with an explicit deny in a service control policy", "misconfigured", "denies sqs:SendMessage on arn:aws:sqs:eu-central-1:111122223333:events explicitly"},
	{"NotAuthorized", "", "misconfigured", "grant sqs:SendMessage"},

	{"KMS.AccessDeniedException", "The ciphertext refers to a customer master key that you are not allowed to access.", "misconfigured", `"Action":["kms:GenerateDataKey","kms:Decrypt"]`},
	{"KmsAccessDenied", "", "misconfigured", "grant kms:GenerateDataKey and kms:Decrypt"},
	{"KMS.DisabledException", "", "misconfigured", "aws kms enable-key"},
	{"KMS.InvalidStateException", "", "misconfigured", "aws kms cancel-key-deletion"},
	{"KMS.NotFoundException", "", "misconfigured", "aws sqs set-queue-attributes --queue-url "},
	{"KMS.InvalidKeyUsageException", "", "misconfigured", "take a symmetric one"},
	{"KMS.OptInRequired", "", "misconfigured", "not signed up for KMS"},
	{"KMS.ThrottlingException", "", "throttled", "KmsDataKeyReusePeriodSeconds"},
	{"KmsThrottled", "", "throttled", "KmsDataKeyReusePeriodSeconds"},
	{"KMS.SomethingNew", "", "misconfigured", "the queue's KMS key cannot be used"},

	{"RequestThrottled", "", "throttled", ""},
	{"ThrottlingException", "", "throttled", ""},
	{"ThrottledException", "", "throttled", ""},
	{"RequestLimitExceeded", "", "throttled", ""},
	{"TooManyRequestsException", "", "throttled", ""},
	{"SlowDown", "", "throttled", ""},
	{"OverLimit", "", "throttled", "see that its messages are consumed"},

	{"InvalidMessageContents", "Invalid characters found.", "rejected", ""},
	{"InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.", "misconfigured", "--attributes MaximumMessageSize=1048576"},
	{"MessageTooLong", "", "misconfigured", "raise the queue's MaximumMessageSize"},
	{"AWS.SimpleQueueService.BatchRequestTooLong", "", "misconfigured", "raise the queue's MaximumMessageSize"},
	{"RequestEntityTooLargeException", "", "misconfigured", "raise the queue's MaximumMessageSize"},
	{"InvalidParameterValueException", "The request include parameter that is not valid for this queue type.", "misconfigured", "the name of a FIFO queue ends with .fifo"},
	{"InvalidParameterValue", "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly", "misconfigured", "mend endpoint"},
	{"InvalidParameterValue", "Value for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters.", "rejected", ""},
	{"InvalidParameterValue", "Value for parameter MessageDeduplicationId is invalid.", "rejected", ""},
	{"InvalidParameterValue", "The message attribute 'type' must contain a non-empty value.", "rejected", ""},
	{"InvalidParameterValue", "something new", "transient", "something new"},
	{"MissingParameter", "The request must contain the parameter MessageGroupId.", "misconfigured", "the name of a FIFO queue ends with .fifo"},
	{"MissingParameter", "The request must contain the parameter Action.", "misconfigured", "mend endpoint"},

	{"AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "", "misconfigured", "mend endpoint"},
	{"AWS.SimpleQueueService.EmptyBatchRequest", "", "misconfigured", "mend endpoint"},
	{"AWS.SimpleQueueService.InvalidBatchEntryId", "", "misconfigured", "mend endpoint"},
	{"AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "", "misconfigured", "mend endpoint"},
	{"InvalidAction", "", "misconfigured", "does not know SQS's JSON protocol"},
	{"UnknownOperationException", "", "misconfigured", "does not know SQS's JSON protocol"},
	{"MalformedHttpRequestException", "", "misconfigured", "mend endpoint"},
	{"InvalidSecurity", "", "misconfigured", "over https alone"},

	{"SignatureDoesNotMatch", "Signature expired: 20260701T091233Z is now earlier than 20260701T092233Z", "misconfigured", "our clock, or theirs, is wrong"},
	{"InvalidSignatureException", "Signature not yet current: 20260701T091233Z is still later than 20260701T090233Z", "misconfigured", "our clock, or theirs, is wrong"},
	{"InvalidSignatureException", "Credential should be scoped to a valid region.", "misconfigured", "region is wrong"},
	{"SignatureDoesNotMatch", "The request signature we calculated does not match", "misconfigured", "belong together"},
	{"InvalidClientTokenId", "The security token included in the request is invalid.", "misconfigured", "access_key_id and secret_access_key"},
	{"UnrecognizedClientException", "", "misconfigured", "access_key_id and secret_access_key"},
	{"InvalidAccessKeyId", "", "misconfigured", "access_key_id and secret_access_key"},
	{"IncompleteSignature", "", "misconfigured", "access_key_id and secret_access_key"},
	{"MissingAuthenticationToken", "", "misconfigured", "access_key_id and secret_access_key"},
	{"ExpiredToken", "", "misconfigured", "use role_arn"},
	{"ExpiredTokenException", "", "misconfigured", "use role_arn"},
	{"RequestExpired", "", "misconfigured", "our clock, or theirs, is wrong"},
	{"OptInRequired", "", "misconfigured", "not signed up"},
	{"AccountProblem", "", "misconfigured", "wrong with the AWS account"},

	{"InternalFailure", "", "transient", ""},
	{"AWS.SimpleQueueService.InternalError", "", "transient", ""},
	{"ServiceUnavailable", "", "transient", ""},
	{"RequestTimeoutException", "", "transient", ""},
	{"RequestAbortedException", "", "transient", ""},
	{"SomethingNew", "", "transient", "SomethingNew"},
}

// TestEveryCodeIsProvoked, of the whole request and, where that can be, of one
// message in it, and each row of the table by at least one answer.
func TestEveryCodeIsProvoked(t *testing.T) {
	used := map[meaning]bool{}
	for _, p := range provoked {
		m, ok := meaningOf(spelled(p.code), p.text)
		used[m] = true
		if !ok && p.code != "SomethingNew" {
			t.Errorf("%s has no row", p.code)
		}
		x := strictaws.Fault{Status: 400, Code: p.code, Message: p.text}
		for name, fail := range map[string]func(*far){
			"a request": func(f *far) { f.Fail("SendMessageBatch", x) },
			"a message": func(f *far) {
				f.FailEntries(func(string) (strictaws.Fault, bool) { return x, true })
			},
		} {
			f := newFar(t, "events", nil)
			f.config = func(c *Config) { c.Queue = f.url }
			fail(f)
			_, err := f.open(t).Send(t.Context(), sleep(t, 1))
			if got := classOf(err); got != p.class || !strings.Contains(err.Error(), p.says) || strings.Contains(err.Error(), "{") && strings.Contains(err.Error(), "{right}") {
				t.Errorf("%s that is answered %s %q: %s (%v), want %s saying %q", name, p.code, p.text, got, err, p.class, p.says)
			}
		}
	}
	for _, m := range meanings {
		if !used[m] {
			t.Errorf("no test provokes %s %q", m.code, m.says)
		}
	}
}

// TestALongEventIsItsOwnFault where a short one would have passed.
func TestALongEventIsItsOwnFault(t *testing.T) {
	for _, p := range provoked {
		if m, _ := meaningOf(spelled(p.code), p.text); !m.size {
			continue
		}
		f := newFar(t, "events", nil)
		f.Fail("SendMessageBatch", strictaws.Fault{Status: 400, Code: p.code, Message: p.text})
		if _, err := f.open(t).Send(t.Context(), healthcheck(t, 1, 3<<10)); classOf(err) != "rejected" || strings.Contains(err.Error(), "raise") {
			t.Errorf("%s: %v", p.code, err)
		}
	}
}

// TestEveryStatusHasAClass where no code says more, as of proxies.
func TestEveryStatusHasAClass(t *testing.T) {
	want := map[int]string{}
	for status := 300; status < 500; status++ {
		want[status] = "misconfigured"
	}
	for status := 500; status < 600; status++ {
		want[status] = "transient"
	}
	for status, class := range map[int]string{408: "transient", 409: "transient", 421: "transient", 425: "transient", 429: "throttled", 501: "misconfigured", 505: "misconfigured"} {
		want[status] = class
	}
	f := newFar(t, "events", nil)
	f.config = func(c *Config) { c.Queue = f.url }
	d := f.open(t)
	for status := 300; status < 600; status++ {
		if status == http.StatusNotModified { // has no body
			continue
		}
		f.Fail("SendMessageBatch", strictaws.Fault{Status: status, Raw: "<html>no</html>", Header: http.Header{"Content-Type": {"text/html"}}})
		r, err := d.Send(t.Context(), sleep(t, status))
		if classOf(err) != want[status] || r.Code != status {
			t.Errorf("%d: %v (%+v), want %s", status, err, r, want[status])
		}
	}
	f.Fail("SendMessageBatch", strictaws.Fault{Status: 413, Raw: "<html>no</html>"})
	if _, err := d.Send(t.Context(), healthcheck(t, 1, 3<<10)); classOf(err) != "rejected" {
		t.Errorf("a long one that is answered 413: %v", err)
	}
	f.Fail("SendMessageBatch", strictaws.Fault{Status: 503, Raw: "later", Header: http.Header{"Retry-After": {"9"}}})
	_, err := d.Send(t.Context(), sleep(t, 1))
	if class, wait := destination.ClassOf(err); class != destination.Throttled || wait.Seconds() != 9 {
		t.Errorf("503 that says when: %v, %v", err, wait)
	}
}
