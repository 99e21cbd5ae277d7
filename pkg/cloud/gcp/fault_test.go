package gcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
)

func refuse(code int, reason, message string, header ...string) gcptest.Interceptor {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			return false
		}
		io.Copy(io.Discard, r.Body)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		gcptest.Refuse(w, code, reason, message)
		return true
	}
}

func plain(code int, body string, header ...string) gcptest.Interceptor {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			return false
		}
		io.Copy(io.Discard, r.Body)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
		return true
	}
}

// TestRefusals is the table of what Cloud Storage's answers mean. Messages are
// Google's own.
func TestRefusals(t *testing.T) {
	g := gcptest.Start(t)
	const create = all + " does not have storage.objects.create access to the Google Cloud Storage object. Permission 'storage.objects.create' denied on resource (or it may not exist)."
	for _, c := range []struct {
		name   string
		fail   gcptest.Interceptor
		class  destination.Class
		wait   time.Duration
		denied bool
		text   string
	}{
		{"token refused", refuse(401, "authError", "Invalid Credentials"), destination.Misconfigured, 0, false, "does not take the token of " + all},
		{"may not create", refuse(403, "forbidden", create), destination.Misconfigured, 0, true, "Grant roles/storage.objectCreator on gs://acme to " + all},
		{"may not replace", refuse(403, "forbidden", all+" does not have storage.objects.delete access to the Google Cloud Storage object."), destination.Transient, 0, true, "Grant roles/storage.objectUser on gs://acme to " + all},
		{"retained", refuse(403, "retentionPolicyNotMet", "Object 'acme/x' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until 2027-01-01"), destination.Rejected, 0, false, "retention policy"},
		{"held", refuse(403, "forbidden", "Object 'acme/x' is under active Temporary hold and cannot be deleted, overwritten or archived until hold is removed."), destination.Rejected, 0, false, "Temporary hold"},
		{"billing disabled", refuse(403, "accountDisabled", "The billing account for the owning project is disabled in state closed"), destination.Misconfigured, 0, false, "Enable billing"},
		{"billing absent", refuse(403, "forbidden", "The project to be billed is associated with an absent billing account."), destination.Misconfigured, 0, false, "Enable billing"},
		{"behind a perimeter", refuse(403, "vpcServiceControls", "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x"), destination.Misconfigured, 0, false, "Have the perimeter of VPC Service Controls"},
		{"key denied", refuse(403, "forbidden", "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been authorized to use this key."), destination.Misconfigured, 0, false, "Grant roles/cloudkms.cryptoKeyEncrypterDecrypter"},
		{"key elsewhere", refuse(400, "invalid", "Cloud KMS key name is not in the bucket's location."), destination.Misconfigured, 0, false, "in the bucket's location"},
		{"no bucket", refuse(404, "notFound", "The specified bucket does not exist."), destination.Misconfigured, 0, false, "Create the bucket acme"},
		{"no object ACLs", refuse(400, "invalid", "Cannot insert legacy ACL for an object when uniform bucket-level access is enabled."), destination.Misconfigured, 0, false, "Remove the setting predefined_acl"},
		{"requester pays", refuse(400, "required", "Bucket is a requester pays bucket but no user project provided."), destination.Misconfigured, 0, false, "Turn that off"},
		{"another generation", refuse(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."), destination.Transient, 0, false, "answered 412"},
		{"too large", plain(413, "", "Connection", "close"), destination.Rejected, 0, false, "answered 413"},
		{"throttled", refuse(429, "rateLimitExceeded", "The object exceeded the rate limit", "Retry-After", "7"), destination.Throttled, 7 * time.Second, false, "answered 429"},
		{"throttled without a wait", refuse(429, "rateLimitExceeded", "The object exceeded the rate limit"), destination.Throttled, 0, false, "answered 429"},
		{"throttled, the old way", refuse(403, "userRateLimitExceeded", "User Rate Limit Exceeded"), destination.Throttled, 0, false, "Rate Limit"},
		{"throttled until", plain(429, "", "Retry-After", "Fri, 01 Jan 2016 00:00:00 GMT"), destination.Throttled, 0, false, "answered 429"},
		{"throttled by nonsense", plain(429, "", "Retry-After", "soon"), destination.Throttled, 0, false, "answered 429"},
		{"unavailable with a wait", refuse(503, "backendError", "Backend Error", "Retry-After", "7"), destination.Throttled, 7 * time.Second, false, "answered 503"},
		{"unavailable", refuse(503, "backendError", "Backend Error"), destination.Transient, 0, false, "answered 503 Service Unavailable: Backend Error"},
		{"internal", refuse(500, "internalError", "Internal Error"), destination.Transient, 0, false, "answered 500"},
		{"a gateway", plain(502, "<html><h1>Bad Gateway</h1>"), destination.Transient, 0, false, "answered 502 Bad Gateway"},
		{"timeout", plain(408, ""), destination.Transient, 0, false, "answered 408"},
		{"conflict", refuse(409, "conflict", "Conflict"), destination.Transient, 0, false, "answered 409"},
		{"bad request", refuse(400, "invalid", "Bad Request"), destination.Transient, 0, false, "answered 400"},
		{"redirect", plain(307, "", "Location", "http://169.254.169.254/"), destination.Misconfigured, 0, false, "captive portal: mend endpoint"},
		{"a website that wants https", plain(301, "", "Location", "https://192.0.2.1/"), destination.Misconfigured, 0, false, "captive portal: mend endpoint"},
		{"a port that wants https", plain(400, "Client sent an HTTP request to an HTTPS server.\n", "Content-Type", "text/plain"), destination.Misconfigured, 0, false, "mend endpoint"},
		{"not modified", plain(304, ""), destination.Transient, 0, false, "answered 304"},
		// What the body claims does not count against the status.
		{"a body that lies", plain(503, `{"error":{"code":401,"message":"x","errors":[{"reason":"forbidden"}]}}`), destination.Transient, 0, false, "answered 503"},
		{"a success that is none", plain(200, "<html>welcome to the hotel"), destination.Misconfigured, 0, false, "something that Cloud Storage does not say"},
		{"a success of something else", plain(200, `{"bucket":"acme","name":"other","generation":"1","size":"2","crc32c":"KXvQqg=="}`), destination.Misconfigured, 0, false, "something that Cloud Storage does not say"},
		{"a success in another bucket", plain(200, `{"bucket":"other","name":"x","generation":"1","size":"2","crc32c":"KXvQqg=="}`), destination.Misconfigured, 0, false, "something that Cloud Storage does not say"},
		{"a success without a generation", plain(200, `{"bucket":"acme","name":"x","size":"2","crc32c":"KXvQqg=="}`), destination.Misconfigured, 0, false, "something that Cloud Storage does not say"},
		{"a success of fewer bytes", plain(200, `{"bucket":"acme","name":"x","generation":"1","size":"1","crc32c":"KXvQqg=="}`), destination.Misconfigured, 0, false, "something that Cloud Storage does not say"},
		{"a success of other bytes", plain(200, `{"bucket":"acme","name":"x","generation":"1","size":"2","crc32c":"AAAAAA=="}`), destination.Misconfigured, 0, false, "something that Cloud Storage does not say"},
		{"the page of a portal", plain(302, "", "Location", "http://192.0.2.1/login"), destination.Misconfigured, 0, false, "captive portal: mend endpoint"},
		{"a website", plain(405, "<html>"), destination.Misconfigured, 0, false, "captive portal: mend endpoint"},
		{"a website that is old", plain(501, "<html>"), destination.Misconfigured, 0, false, "mend endpoint"},
		{"a proxy that wants a login", plain(407, "<html>"), destination.Misconfigured, 0, false, "mend endpoint"},
		{"a filter", plain(451, "<html>"), destination.Misconfigured, 0, false, "mend endpoint"},
		{"a name too long", plain(414, ""), destination.Rejected, 0, false, "answered 414"},
		{"metadata too long", plain(431, ""), destination.Rejected, 0, false, "answered 431"},
		{"a network that wants a login", plain(511, "<html>login"), destination.Misconfigured, 0, false, "captive portal: mend endpoint"},
		{"an endless explanation", refuse(500, "x", strings.Repeat("x\n", 200<<10)), destination.Transient, 0, false, "answered 500"},
		{"a strange reason", refuse(500, "<b>\x00", "line\r\n\x1b[31mbreak"), destination.Transient, 0, false, "line   [31mbreak"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := client(t, access(t, g), g.Deps(t))
			g.Break(c.fail)
			defer g.Break(nil)
			r, err := client.Put(t.Context(), Object{Bucket: "acme", Name: "x", Body: []byte("{}")}, 1)
			wantClass(t, err, c.class)
			if err == nil {
				return
			}
			if _, wait := destination.ClassOf(err); wait != c.wait {
				t.Errorf("waits %v, want %v", wait, c.wait)
			}
			if Denied(err) != c.denied {
				t.Errorf("%v is denied: %v", err, !c.denied)
			}
			if !strings.Contains(err.Error(), c.text) || len(err.Error()) > 800 || strings.ContainsAny(err.Error(), "\r\n\x1b\x00") {
				t.Errorf("%q, want %q", err, c.text)
			}
			if r.Code == 0 || r.Code != StatusOf(err) || len(r.Answer) > 1024 || r.Address == "" {
				t.Errorf("the receipt is %+v", r)
			}
		})
	}
}

func TestAnswersThatEchoTheTokenAreCleaned(t *testing.T) {
	g := gcptest.Start(t)
	g.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			return false
		}
		gcptest.Refuse(w, 500, "x", strings.Repeat("y", 280)+r.Header.Get("Authorization")) // the cut goes through it
		return true
	})
	r, err := client(t, access(t, g), g.Deps(t)).Put(t.Context(), Object{Bucket: "acme", Name: "x"}, Absent)
	if text := fmt.Sprintf("%v %+v %#v %+v", err, err, err, r); strings.Contains(text, "ya29") {
		t.Errorf("the token shows: %s", text)
	}
	if !strings.Contains(r.Answer, "yyyBearer [redacted]") {
		t.Errorf("the answer is %q", r.Answer)
	}
}

func TestWithoutAnAnswerItIsTransient(t *testing.T) {
	g := gcptest.Start(t)
	for _, c := range []struct {
		name  string
		dial  error
		class destination.Class
		text  string
	}{
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, destination.Transient, "dial: connection refused"},
		{"unknown name", &net.DNSError{Err: "no such host", Name: "x"}, destination.Transient, "no such host"},
		{"by the guard", destination.Misconfigure(errors.New("connections to x are refused")), destination.Misconfigured, "connections to x are refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			deps := g.Deps(t)
			deps.HTTP = exchangetest.Client(t, func(context.Context, string, string) (net.Conn, error) { return nil, c.dial }, nil).HTTP()
			err := put(t, client(t, access(t, g), deps), "secret-user")
			wantClass(t, err, c.class)
			if err != nil && (!strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "secret-user")) {
				t.Errorf("%q, want %q", err, c.text)
			}
		})
	}
	t.Run("hung up", func(t *testing.T) {
		g.Break(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" {
				panic(http.ErrAbortHandler)
			}
			return false
		})
		defer g.Break(nil)
		wantClass(t, put(t, client(t, access(t, g), g.Deps(t)), "x"), destination.Transient)
		if n := g.Requests("POST /upload"); n != 2 {
			t.Errorf("%d requests for one call, want one over the token's connection and one over a fresh one", n)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := client(t, access(t, g), g.Deps(t)).Put(ctx, Object{Bucket: "acme", Name: "x"}, Absent)
		wantClass(t, err, destination.Transient)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v does not say that it was cancelled", err)
		}
	})
}

// TestNamesInARefusal: what Google repeats of an object's name, a part of which
// comes from the event, says nothing about keys, billing or policies.
func TestNamesInARefusal(t *testing.T) {
	g := gcptest.Start(t)
	const name = "2022-03-16/activity/KMS billing account organization's policy storage.objects.delete-2026-03-12T06:00:00Z.json"
	long := strings.Repeat("x", 400) + name
	for _, c := range []struct {
		name, text string
		class      destination.Class
	}{
		{name, "Object 'acme/" + name + "' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until 2027-01-01", destination.Rejected},
		{long, "Object 'acme/" + long + "' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until 2027-01-01", destination.Rejected},
		{name, all + " does not have storage.objects.delete access to acme/" + name + ".", destination.Transient},
		{name, all + " does not have storage.objects.create access to acme/" + name + ".", destination.Misconfigured},
	} {
		client := client(t, access(t, g), g.Deps(t))
		g.Break(refuse(403, "forbidden", c.text))
		_, err := client.Put(t.Context(), Object{Bucket: "acme", Name: c.name, Body: []byte("{}")}, 1)
		wantClass(t, err, c.class)
		g.Break(nil)
	}
}
