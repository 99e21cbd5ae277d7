package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// answered is what the SDK makes of an answer.
func answered(status int, code, message string, header ...string) error {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	err := errors.New("no error document")
	if code != "" {
		err = &smithy.GenericAPIError{Code: code, Message: message}
	}
	return &smithy.OperationError{ServiceID: "S3", OperationName: "PutObject", Err: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: h}}, Err: err,
	}}
}

func TestClassify(t *testing.T) {
	const (
		transient     = destination.Transient
		throttled     = destination.Throttled
		rejected      = destination.Rejected
		misconfigured = destination.Misconfigured
	)
	s := settings()
	s.SessionToken = secret.New(testToken)
	session, err := Open(s, plainDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	refusal := destination.Misconfigure(errors.New("the guard refuses 10.0.0.1"))
	cases := []struct {
		err   error
		class destination.Class
		wait  time.Duration
		says  string
	}{
		{answered(403, "AccessDenied", "not yours"), misconfigured, 0, "the credentials lack the right): answered 403 AccessDenied: not yours"},
		{answered(400, "AccessDeniedException", ""), misconfigured, 0, "lack the right"},
		{answered(403, "InvalidAccessKeyId", ""), misconfigured, 0, "belong together"},
		{answered(403, "SignatureDoesNotMatch", ""), misconfigured, 0, "belong together"},
		{answered(403, "InvalidClientTokenId", ""), misconfigured, 0, "belong together"},
		{answered(400, "UnrecognizedClientException", ""), misconfigured, 0, "belong together"},
		{answered(400, "ExpiredToken", ""), misconfigured, 0, "have expired"},
		{answered(403, "ExpiredTokenException", ""), misconfigured, 0, "have expired"},
		{answered(403, "RequestTimeTooSkewed", ""), misconfigured, 0, "clock"},
		{answered(404, "NoSuchBucket", ""), misconfigured, 0, "create it"},
		{answered(301, "PermanentRedirect", ""), misconfigured, 0, "region is wrong"},
		{answered(400, "AuthorizationHeaderMalformed", ""), misconfigured, 0, "region is wrong"},
		{answered(400, "KMS.DisabledException", ""), misconfigured, 0, "encryption key"},
		{answered(400, "KMS.SomethingNew", ""), misconfigured, 0, "encryption key"},
		{answered(503, "SlowDown", ""), throttled, 0, "SlowDown"},
		{answered(503, "SlowDown", "", "Retry-After", "5"), throttled, 5 * time.Second, "SlowDown"},
		{answered(400, "ThrottlingException", ""), throttled, 0, "Throttling"},
		{answered(400, "RequestThrottled", ""), throttled, 0, "Throttled"},
		{answered(413, "EntityTooLarge", ""), rejected, 0, "EntityTooLarge"},
		{answered(400, "RequestTimeout", ""), transient, 0, "RequestTimeout"},
		{answered(400, "SomethingNew", ""), transient, 0, "SomethingNew"},
		{answered(500, "InternalError", ""), transient, 0, "500"},
		// Without a code that we know the status decides.
		{answered(301, "", ""), misconfigured, 0, "answered 301 Moved Permanently"},
		{answered(302, "", ""), misconfigured, 0, "captive portal"},
		{answered(303, "", ""), misconfigured, 0, "captive portal"},
		{answered(307, "TemporaryRedirect", ""), transient, 0, "307"},
		{answered(307, "", ""), misconfigured, 0, "captive portal"},
		{answered(308, "", ""), misconfigured, 0, "308"},
		{answered(400, "", ""), transient, 0, "400"},
		{answered(401, "", ""), misconfigured, 0, "401"},
		{answered(403, "Forbidden", ""), misconfigured, 0, "403"},
		{answered(404, "NotFound", ""), transient, 0, "404"},
		{answered(402, "", ""), misconfigured, 0, "402"},
		{answered(405, "", ""), misconfigured, 0, "405"},
		{answered(407, "", ""), misconfigured, 0, "407"},
		{answered(408, "", ""), transient, 0, "408"},
		{answered(409, "", ""), transient, 0, "409"},
		{answered(411, "", ""), misconfigured, 0, "captive portal"},
		{answered(412, "", ""), misconfigured, 0, "captive portal"},
		{answered(414, "", ""), rejected, 0, "414"},
		{answered(431, "", ""), rejected, 0, "431"},
		{answered(451, "", ""), misconfigured, 0, "451"},
		{answered(502, "", ""), transient, 0, "502"},
		{answered(507, "", ""), transient, 0, "507"},
		{answered(511, "", ""), misconfigured, 0, "captive portal"},
		{answered(403, "QuotaExceeded", ""), misconfigured, 0, "quota"},
		{answered(507, "XMinioStorageFull", ""), misconfigured, 0, "quota"},
		{answered(400, "XMinioAdminBucketQuotaExceeded", ""), misconfigured, 0, "quota"},
		{answered(413, "", ""), rejected, 0, "413"},
		{answered(429, "", "", "Retry-After", "soon"), throttled, 0, "429"},
		{answered(500, "", ""), transient, 0, "500"},
		{answered(503, "", ""), transient, 0, "503"},
		{answered(503, "", "", "Retry-After", "7"), throttled, 7 * time.Second, "503"},
		// No answer.
		{fmt.Errorf("x: %w", context.DeadlineExceeded), transient, 0, "no answer in time"},
		{fmt.Errorf("x: %w", context.Canceled), transient, 0, "cancelled"},
		{&smithyhttp.RequestSendError{Err: errors.New("connection refused")}, transient, 0, "put: connection refused"},
		{&credentialsError{"assume the role r", answered(403, "AccessDenied", "")}, misconfigured, 0, "put: assume the role r"},
		{&credentialsError{"assume the role r", answered(503, "ServiceUnavailable", "")}, transient, 0, "assume the role r"},
		{&credentialsError{"assume the role r", answered(400, "Throttling", "")}, transient, 0, "assume the role r"},
		{&credentialsError{"assume the role r", context.DeadlineExceeded}, transient, 0, "no answer in time"},
		{&credentialsError{"use the operator's own credentials", errors.New("none found")}, misconfigured, 0, "none found"},
		{&smithy.OperationError{Err: refusal}, misconfigured, 0, "the guard refuses 10.0.0.1"},
		// Whatever the far side says, it is not us who say it.
		{answered(400, "Not a code\r\n", "hm"), transient, 0, "answered 400"},
		{answered(403, "AccessDenied", "you sent "+testToken+" and "+testSecret+" "+strings.Repeat("x", 5000)), misconfigured, 0, "you sent [redacted] and [redacted] x"},
	}
	for _, c := range cases {
		err := session.Classify("put", c.err)
		class, wait := destination.ClassOf(err)
		if class != c.class || wait != c.wait || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v:\n got %v, %v: %v\nwant %v, %v: %s", c.err, class, wait, err, c.class, c.wait, c.says)
		}
		r := (&Call{}).Receipt(err)
		for _, text := range []string{err.Error(), r.Answer} {
			if strings.Contains(text, testToken) || strings.Contains(text, testSecret) || len(text) > destination.MaxAnswer {
				t.Errorf("%d bytes: %s", len(text), text)
			}
		}
		if r.Code != Status(c.err) && !errors.Is(err, refusal) {
			t.Errorf("%v: the receipt's code is %d", c.err, r.Code)
		}
	}
	if err := session.Classify("put", nil); err != nil {
		t.Errorf("nil is %v", err)
	}
}
