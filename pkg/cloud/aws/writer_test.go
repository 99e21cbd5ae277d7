package aws

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// reply is what a far side answers.
func reply(status int, body string, header ...string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func refusal(status int, code, message string) *http.Response {
	return reply(status, "<Error><Code>"+code+"</Code><Message>"+message+"</Message></Error>", "Content-Type", "application/xml")
}

// facing returns a bucket whose every request far answers.
func facing(t *testing.T, far func(*http.Request) *http.Response) *Bucket {
	deps := destination.Deps{UserAgent: "Fantail/test", HTTP: &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		return far(req), nil
	})}}
	s := settings()
	s.Endpoint = "https://objects.example"
	return bucketOf(t, s, deps)
}

func putPayload(ctx context.Context, b *Bucket) error {
	return b.Put(ctx, "acme", event.Payload{ID: testEvent, Body: []byte("{}")})
}

// TestOnlyWhatS3SaysIsStored: a 200 of anybody else is none.
func TestOnlyWhatS3SaysIsStored(t *testing.T) {
	const other = "so nothing counts as stored"
	etag := `"99914b932bd37a50b983c5e7c90ae93b"`
	for _, c := range []struct {
		name   string
		answer *http.Response
		class  destination.Class
		says   string // "": stored
	}{
		{"S3", reply(200, "", "ETag", etag), 0, ""},
		{"a weak tag", reply(200, "", "ETag", "W/"+etag), 0, ""},
		{"the type of nothing", reply(200, "", "ETag", etag, "Content-Type", "text/html; charset=utf-8"), 0, ""},
		{"the checksum echoed", reply(200, "", "ETag", etag, "x-amz-checksum-sha256", "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="), 0, ""},
		{"another checksum", reply(200, "", "ETag", etag, "x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="), destination.Transient, "stored other bytes than were sent"},
		{"a captive portal", reply(200, "<html>Welcome", "Content-Type", "text/html"), destination.Misconfigured, other},
		{"a website", reply(200, "<html>Welcome", "Content-Type", "text/html", "ETag", etag), destination.Misconfigured, other},
		{"nothing at all", reply(200, ""), destination.Misconfigured, other},
		{"a tag without quotes", reply(200, "", "ETag", "99914b932bd37a50b983c5e7c90ae93b"), 0, ""},
		{"an echo with a tag", reply(200, "{}", "Content-Type", "application/json", "ETag", etag), destination.Misconfigured, other},
		{"an empty tag", reply(200, "", "ETag", `""`), destination.Misconfigured, other},
		{"accepted for later", reply(202, "", "ETag", etag), destination.Misconfigured, other},
		{"made", reply(201, "", "ETag", etag), 0, ""},
		{"no content", reply(204, "", "ETag", etag), 0, ""},
		{"no content and no tag", reply(204, ""), destination.Misconfigured, other},
		{"the way to a portal", reply(302, "", "Location", "http://192.0.2.1/login"), destination.Misconfigured, "captive portal"},
		{"a network that wants a login", reply(511, "<html>"), destination.Misconfigured, "captive portal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			requests := 0
			err := putPayload(t.Context(), facing(t, func(*http.Request) *http.Response { requests++; return c.answer }))
			if class, _ := destination.ClassOf(err); (err == nil) != (c.says == "") || class != c.class || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v", class, err)
			}
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
		})
	}
}

// TestAServiceThatRefusesChecksums gets none, for an hour.
func TestAServiceThatRefusesChecksums(t *testing.T) {
	for _, refused := range []*http.Response{
		refusal(400, "InvalidArgument", "Unsupported header 'x-amz-checksum-sha256' received for this API call."),
		refusal(400, "InvalidRequest", "no"),
		refusal(400, "SomethingOfTheirs", "unknown checksum header"),
		refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented: x-amz-checksum-sha256"),
		reply(400, ""),
	} {
		body, _ := io.ReadAll(refused.Body)
		synctest.Test(t, func(t *testing.T) {
			var seen []string
			b := facing(t, func(req *http.Request) *http.Response {
				if sum := req.Header.Get("X-Amz-Checksum-Sha256"); sum != "" {
					seen = append(seen, "with")
					return reply(refused.StatusCode, string(body))
				}
				if req.Header.Get("X-Amz-Content-Sha256") == "" || req.Header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" {
					t.Errorf("without a checksum it has %v", req.Header)
				}
				seen = append(seen, "without")
				return reply(200, "", "ETag", `"1"`)
			})
			for range 3 {
				if err := putPayload(t.Context(), b); err != nil {
					t.Errorf("%s: %v", body, err)
				}
				if !b.writer.NoChecksums() {
					t.Error("nobody says so")
				}
			}
			time.Sleep(time.Hour)
			if err := putPayload(t.Context(), b); err != nil {
				t.Error(err)
			}
			if got := fmt.Sprint(seen); got != "[with without without without with without]" {
				t.Errorf("%s: %s", body, got)
			}
		})
	}
}

// TestARefusalOfSomethingElseIsNotOfChecksums: what fails without one, too, fails
// as it did, and nothing is remembered.
func TestARefusalOfSomethingElseIsNotOfChecksums(t *testing.T) {
	for _, c := range []struct {
		status   int
		code     string
		requests int
	}{
		{400, "InvalidArgument", 2}, {400, "EntityTooLarge", 1}, {400, "BadDigest", 1}, {403, "AccessDenied", 1}, {500, "InternalError", 1},
	} {
		requests := 0
		b := facing(t, func(*http.Request) *http.Response {
			requests++
			return refusal(c.status, c.code, "a checksum, perhaps")
		})
		err := putPayload(t.Context(), b)
		if requests != c.requests || b.writer.NoChecksums() || err == nil || !strings.Contains(err.Error(), c.code) {
			t.Errorf("%s: %d requests, %v", c.code, requests, err)
		}
	}
}

// TestAServiceWithoutConditions is not asked for them again before an hour.
func TestAServiceWithoutConditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		learnt := false
		var seen []string
		b := facing(t, func(req *http.Request) *http.Response {
			seen = append(seen, "if "+req.Header.Get("If-None-Match"))
			if req.Header.Get("If-None-Match") != "" && !learnt {
				return refusal(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
			}
			return reply(200, "", "ETag", `"1"`)
		})
		put := func(want string) {
			t.Helper()
			seen = nil
			if err := putPayload(t.Context(), b); err != nil || fmt.Sprint(seen) != want {
				t.Errorf("%v: %q, want %s", err, seen, want)
			}
		}
		put("[if * if ]")
		put("[if ]")
		time.Sleep(59 * time.Minute)
		put("[if ]")
		time.Sleep(time.Minute)
		put("[if * if ]")
		learnt = true
		put("[if ]")
		time.Sleep(time.Hour)
		put("[if *]")
		put("[if *]")
	})
}

// TestABucketOfPayloadsChecksItself over a link, and leaves nothing where it may
// remove it.
func TestABucketOfPayloadsChecksItself(t *testing.T) {
	for _, c := range []struct {
		name  string
		cause func(*strictaws.Server)
		says  string // "": sound
		left  int
	}{
		{"all rights", func(*strictaws.Server) {}, "", 0},
		{"may not remove", func(s *strictaws.Server) { s.Deny("s3:DeleteObject") }, "", 1},
		{"may not read", func(s *strictaws.Server) { s.Deny("s3:GetObject") }, "grant s3:GetObject on arn:aws:s3:::payloads/fantail/p/*: links need it", 0},
		{"may not decrypt", func(s *strictaws.Server) {
			s.Fail("GetObject", strictaws.Fault{Status: 403, Code: "AccessDenied", Message: "User: x is not authorized to perform: kms:Decrypt on the resource"})
		}, "grant kms:Decrypt on the encryption key: links need it", 0},
		{"may not store", func(s *strictaws.Server) { s.Deny("s3:PutObject") }, "store fantail/p/fantail-check.json in bucket payloads", 0},
		{"no bucket", func(s *strictaws.Server) { s.RemoveBucket("payloads") }, "the bucket does not exist", 0},
		{"links lead to a page", func(s *strictaws.Server) { s.Fail("GetObject", strictaws.Fault{Status: 200, Raw: "<html>Welcome"}) }, "comes back as something else", 1},
		{"links lead nowhere", func(s *strictaws.Server) { s.Fail("GetObject", strictaws.Fault{Status: 404, Code: "NoSuchKey"}) }, "is not there when it is read", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := strictaws.New(t)
			s.AddBucket(strictaws.Bucket{Name: "payloads"})
			b := bucketOf(t, strictSettings(s), plainDeps(t))
			c.cause(s)
			for range 2 { // what one leaves is no obstacle to the next
				err := b.Check(t.Context())
				if class, _ := destination.ClassOf(err); (err == nil) != (c.says == "") || err != nil && (class != destination.Misconfigured || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("%v: %v", class, err)
				}
				if err != nil && strings.Contains(err.Error(), "X-Amz-Signature") {
					t.Errorf("it shows a link: %v", err)
				}
			}
			if n := len(s.Objects("payloads")); n != c.left {
				t.Errorf("it left %d objects", n)
			}
		})
	}
}

// TestAPayloadThatIsSaidToBeThere is looked at: a proxy that refuses every
// condition has stored nothing, and links would lead nowhere.
func TestAPayloadThatIsSaidToBeThere(t *testing.T) {
	etag := `"99914b932bd37a50b983c5e7c90ae93b"`
	for _, c := range []struct {
		name  string
		put   func() *http.Response
		head  *http.Response
		class destination.Class
		says  string // "": stored
	}{
		{"and is", func() *http.Response { return refusal(412, "PreconditionFailed", "no") }, reply(200, "", "ETag", etag), 0, ""},
		{"with 409", func() *http.Response { return refusal(409, "ObjectAlreadyExists", "no") }, reply(200, "", "ETag", etag), 0, ""},
		{"and is not", func() *http.Response { return refusal(412, "PreconditionFailed", "no") }, reply(404, ""), destination.Transient, "said to be there already"},
		{"by something that is no S3", func() *http.Response { return reply(412, "<html>", "Content-Type", "text/html") }, reply(412, ""), destination.Misconfigured, "captive portal"},
		{"and may not be read", func() *http.Response { return refusal(412, "PreconditionFailed", "no") }, reply(403, ""), destination.Misconfigured, "links need s3:GetObject"},
	} {
		err := putPayload(t.Context(), facing(t, func(req *http.Request) *http.Response {
			if req.Method == http.MethodPut {
				return c.put()
			}
			return c.head
		}))
		if class, _ := destination.ClassOf(err); (err == nil) != (c.says == "") || class != c.class || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v: %v", c.name, class, err)
		}
	}
}
