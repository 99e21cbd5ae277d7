package strictaws

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func TestCredentialsAreVerified(t *testing.T) {
	s := New(t)
	s.AddBucket(Bucket{Name: "bucket"})
	s.AddQueue(Queue{Name: "queue"})
	for _, tt := range []struct {
		name           string
		c              client
		s3, sqs, stsIs string
	}{
		{"good", newClient(t, s), "", "", ""},
		{"unknown key", newClient(t, s).as("AKIANOBODY", SecretKey, ""), "403 InvalidAccessKeyId", "403 InvalidClientTokenId", "403 InvalidClientTokenId"},
		{"wrong secret", newClient(t, s).as(AccessKey, SecretKey+"x", ""), "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch"},
		{"a token that belongs to no session", newClient(t, s).as(AccessKey, SecretKey, "token"), "400 InvalidToken", "403 InvalidClientTokenId", "403 InvalidClientTokenId"},
		{"wrong region", newClient(t, s).in("us-east-1"), "400 AuthorizationHeaderMalformed", "403 SignatureDoesNotMatch", "403 SignatureDoesNotMatch"},
	} {
		want(t, tt.name+", S3", tt.c.put("k/é ü+%&=~.json", "{}"), tt.s3)
		_, err := tt.c.sqs().GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: aws.String("queue")})
		want(t, tt.name+", SQS", err, tt.sqs)
		_, err = tt.c.sts().GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
		want(t, tt.name+", STS", err, tt.stsIs)
	}
	if o, ok := s.Object("bucket", "k/é ü+%&=~.json"); !ok || string(o.Body) != "{}" {
		t.Errorf("the object is not there under its key: %+v", s.Objects("bucket"))
	}
	s.RemoveUser(AccessKey)
	want(t, "a removed user", newClient(t, s).put("x", "{}"), "403 InvalidAccessKeyId")
}

func TestClockSkewIsRefused(t *testing.T) {
	for skew, answers := range map[time.Duration][2]string{
		4 * time.Minute: {"", ""}, 6 * time.Minute: {"", "403 SignatureDoesNotMatch"}, 16 * time.Minute: {"403 RequestTimeTooSkewed", "403 SignatureDoesNotMatch"},
		-16 * time.Minute: {"403 RequestTimeTooSkewed", "403 SignatureDoesNotMatch"},
	} {
		s := New(t)
		s.AddBucket(Bucket{Name: "bucket"})
		s.AddQueue(Queue{Name: "queue"})
		s.Advance(skew)
		want(t, skew.String()+", S3", newClient(t, s).put("x", "{}"), answers[0])
		_, err := newClient(t, s).sqs().GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: aws.String("queue")})
		want(t, skew.String()+", SQS", err, answers[1])
	}
}

// TestWhatIsSignedCannotBeChanged signs a request and changes it on its way.
func TestWhatIsSignedCannotBeChanged(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*http.Request)
		status int
		says   string
	}{
		"nothing":             {func(*http.Request) {}, 200, ""},
		"the body":            {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"a":2}`)) }, 400, "XAmzContentSHA256Mismatch"},
		"the path":            {func(r *http.Request) { r.URL.Path += "x" }, 403, "SignatureDoesNotMatch"},
		"the query":           {func(r *http.Request) { r.URL.RawQuery = "x-id=PutObject" }, 403, "SignatureDoesNotMatch"},
		"a signed header":     {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 403, "SignatureDoesNotMatch"},
		"an unsigned header":  {func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "b") }, 403, "not signed"},
		"the signature":       {func(r *http.Request) { edit(r, "Signature=", "Signature=0") }, 403, "SignatureDoesNotMatch"},
		"no signature":        {func(r *http.Request) { r.Header.Del("Authorization") }, 403, "AccessDenied"},
		"another algorithm":   {func(r *http.Request) { edit(r, algorithm, "AWS4-HMAC-SHA1") }, 400, "AuthorizationHeaderMalformed"},
		"a scope of nothing":  {func(r *http.Request) { edit(r, "/aws4_request", "/aws5_request") }, 400, "AuthorizationHeaderMalformed"},
		"another date":        {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") }, 400, "AuthorizationHeaderMalformed"},
		"another date's time": {func(r *http.Request) { r.Header.Set("X-Amz-Date", time.Now().UTC().Format("20060102")+"T000000Z") }, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t)
			s.AddBucket(Bucket{Name: "bucket"})
			body := `{"a":1}`
			r, err := http.NewRequest(http.MethodPut, s.URL+"/bucket/key", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			sum := hexSum([]byte(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Amz-Content-Sha256", sum)
			if err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: AccessKey, SecretAccessKey: SecretKey}, r, sum, "s3", s.Region, time.Now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }); err != nil {
				t.Fatal(err)
			}
			tt.change(r)
			status, answer := do(t, r)
			if status != tt.status || !strings.Contains(answer, tt.says) {
				t.Errorf("%d %s, want %d %s", status, answer, tt.status, tt.says)
			}
			if _, there := s.Object("bucket", "key"); there != (status == 200) {
				t.Errorf("the object is there: %v", there)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	s := New(t)
	s.AddBucket(Bucket{Name: "bucket"})
	s.PutObject("bucket", Object{Key: "a/b c.json", Body: []byte("{}"), ContentType: "application/json"})
	s.AddRole(Role{ARN: "arn:aws:iam::" + Account + ":role/r", Life: 5 * time.Minute})
	link := func(c client, life time.Duration) string {
		r, err := s3.NewPresignClient(c.s3()).PresignGetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b c.json")}, s3.WithPresignExpires(life))
		if err != nil {
			t.Fatal(err)
		}
		return r.URL
	}
	user := newClient(t, s)
	session := user.session("arn:aws:iam::" + Account + ":role/r")
	good, long, ofSession := link(user, 10*time.Minute), link(user, 7*24*time.Hour+time.Second), link(session, time.Hour)
	for _, tt := range []struct {
		name, url string
		status    int
		says      string
	}{
		{"good", good, 200, "{}"},
		{"of a session", ofSession, 200, "{}"},
		{"another key", strings.Replace(good, "/a/", "/b/", 1), 403, "SignatureDoesNotMatch"},
		{"a longer life", strings.Replace(good, "X-Amz-Expires=600", "X-Amz-Expires=6000", 1), 403, "SignatureDoesNotMatch"},
		{"another signature", strings.Replace(good, "X-Amz-Signature=", "X-Amz-Signature=0", 1), 403, "SignatureDoesNotMatch"},
		{"nothing signed", strings.SplitAfter(good, "?")[0], 403, "AccessDenied"},
		{"more than a week", long, 400, "AuthorizationQueryParametersError"},
		{"of another user", link(user.as("AKIANOBODY", "x", ""), time.Minute), 403, "InvalidAccessKeyId"},
		{"in another region", link(user.in("us-east-1"), time.Minute), 400, "AuthorizationHeaderMalformed"},
	} {
		if status, body := get(t, tt.url); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, body, tt.status, tt.says)
		}
	}
	s.Advance(6 * time.Minute)
	if status, body := get(t, good); status != 200 {
		t.Errorf("before its end: %d %s", status, body)
	}
	if status, body := get(t, ofSession); status != 400 || !strings.Contains(body, "ExpiredToken") {
		t.Errorf("after the end of its session: %d %s", status, body)
	}
	s.Advance(5 * time.Minute)
	if status, body := get(t, good); status != 403 || !strings.Contains(body, "Request has expired") {
		t.Errorf("after its end: %d %s", status, body)
	}
	s.Advance(-11 * time.Minute)
	s.Deny("s3:GetObject")
	if status, body := get(t, good); status != 403 || !strings.Contains(body, "s3:GetObject") {
		t.Errorf("of a user who may not read: %d %s", status, body)
	}
}

func edit(r *http.Request, old, to string) {
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, to, 1))
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
