package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/test/servers"
)

const plain = `
listen: 127.0.0.1:0
store: { pebble: { dir: store } }
egress: { allow: [127.0.0.1/32], deny: [127.0.0.2/32] }
limits: { per_developer: { shortest_wait: 1ms } }
shutdown_grace: 2s
`

// fetch gets what is at url, as a consumer would.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// newS3 makes a bucket on versitygw and returns its settings.
func newS3(t *testing.T) (settings, bucket string, admin *s3.Client) {
	t.Helper()
	s := servers.StartS3(t)
	admin = s3.New(s3.Options{Region: s.Region, BaseEndpoint: &s.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, "")})
	bucket = servers.Name()
	if _, err := admin.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("payloads: { s3: { bucket: %s, prefix: fantail, endpoint: %q, allow_http: true, access_key_id: %s, secret_access_key: %q } }\n",
		bucket, s.Endpoint, s.AccessKey, s.SecretKey), bucket, admin
}

// serviceAccount makes the JSON key of an account that nobody knows.
func serviceAccount(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "fantail@test.iam.gserviceaccount.com", "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const two = `{"type":"sleep","user":{"user_id":"u1"},"data":[{"n":1.50},{"n":2e3}]}`

// Every store of payloads keeps what the contract says and links to it.
func TestPayloadsAreKeptAndLinkedTo(t *testing.T) {
	inS3, bucket, admin := newS3(t)
	gcs := servers.StartGCS(t)
	for name, c := range map[string]struct {
		settings string
		signed   bool // the store checks signatures
	}{
		"dir": {"payloads: { dir: { path: payloads, public_url: 'http://events.example' } }\n", true},
		"s3":  {inS3, true},
		"gcs": {fmt.Sprintf("payloads: { gcs: { bucket: %s, endpoint: %q, allow_http: true, anonymous: true, credentials: '${file:gcs.json}' } }\n", gcs.Bucket(t), gcs.Endpoint), false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.write("gcs.json", serviceAccount(t))
			h.write("fantail.yaml", plain+c.settings)
			h.write("developers/acme.yaml", "developer: acme\n")
			d := h.start()
			link := func(r client.LinkRequest) client.Link {
				t.Helper()
				l, err := d.Link(t.Context(), r)
				if err != nil {
					t.Fatalf("%+v: %v", r, err)
				}
				l.URL = strings.Replace(l.URL, "http://events.example", d.app.URL(), 1)
				return l
			}
			id := d.send(t, "acme", []byte(two)).ID
			for payload, want := range map[string]string{id: two, id + "-1": strings.Replace(two, `{"n":1.50},`, "", 1)} {
				for range 2 { // the second time it is there already
					l := link(client.LinkRequest{Payload: payload})
					if status, body := fetch(t, l.URL); status != 200 || body != want {
						t.Errorf("%s: %d %s", payload, status, body)
					}
					if left := time.Until(l.Expires); left > time.Hour || left < 59*time.Minute {
						t.Errorf("%s lives for %v", l.URL, left)
					}
				}
			}
			l := link(client.LinkRequest{Payload: id, TTL: time.Second})
			if c.signed {
				if status, _ := fetch(t, strings.Replace(l.URL, id, id+"-1", 1)); status != 403 {
					t.Errorf("a link to another payload answers %d", status)
				}
				until(t, "the link expires", func() bool { status, _ := fetch(t, l.URL); return status == 403 })
			}

			// Nothing else knows of this payload any more.
			old := event.NewID(time.Now().AddDate(0, -3, 0), 0, 1).String()
			var refused *client.Error
			if _, err := d.Link(t.Context(), client.LinkRequest{Payload: old, Developer: "acme"}); !errors.As(err, &refused) || refused.Status != 404 {
				t.Errorf("a payload that never was: %v", err)
			}
			if name == "s3" {
				key := "fantail/" + time.Now().AddDate(0, -3, 0).UTC().Format(time.DateOnly) + "/acme/" + old + ".json"
				if _, err := admin.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("{}")}); err != nil {
					t.Fatal(err)
				}
				if status, body := fetch(t, link(client.LinkRequest{Payload: old, Developer: "acme"}).URL); status != 200 || body != "{}" {
					t.Errorf("a payload that outlived its event: %d %s", status, body)
				}
			}
			if problems, warnings := d.app.Health(); len(problems)+len(warnings) > 0 {
				t.Errorf("problems %v, warnings %v", problems, warnings)
			}
			d.wantMetric(t, "fantail_payload_store_up 1")
		})
	}
}

func (d *daemon) metrics(t *testing.T) string {
	t.Helper()
	_, text := fetch(t, d.app.URL()+"/metrics")
	return text
}

func (d *daemon) wantMetric(t *testing.T, line string) {
	t.Helper()
	if !strings.Contains(d.metrics(t), "\n"+line+"\n") {
		t.Errorf("/metrics lacks %q", line)
	}
}

// A bucket that cannot be used is noticed at the start, without any event.
func TestPayloadStoreThatCannotBeUsedShowsAtOnce(t *testing.T) {
	settings, bucket, admin := newS3(t)
	for name, c := range map[string]struct{ settings, want string }{
		"wrong secret": {strings.Replace(settings, "secret-of-admin", "secret-of-nobody", 1), "SignatureDoesNotMatch"},
		"no bucket":    {strings.Replace(settings, bucket, bucket+"-x", 1), "NoSuchBucket"},
		"nobody there": {"payloads: { s3: { bucket: b-u-c-k-e-t, endpoint: 'http://127.0.0.1:9', allow_http: true, access_key_id: a, secret_access_key: b } }\n", "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			h.write("fantail.yaml", plain+c.settings)
			h.write("developers/acme.yaml", "developer: acme\n")
			d := h.start()
			until(t, "it shows", func() bool { return strings.Contains(d.metrics(t), "\nfantail_payload_store_up 0\n") })
			problems, warnings := d.app.Health()
			if len(problems) > 0 || len(warnings) != 1 || !strings.Contains(warnings[0], c.want) {
				t.Errorf("problems %v, warnings %v; want %s", problems, warnings, c.want)
			}
			d.Patience = 0
			var refused *client.Error
			_, err := d.Link(t.Context(), client.LinkRequest{Payload: d.send(t, "acme", []byte(two)).ID})
			if !errors.As(err, &refused) || refused.Status != 503 || refused.RetryAfter == 0 || strings.Contains(err.Error(), c.want) {
				t.Errorf("a link: %v", err)
			}
			if err := d.stop(); err != nil {
				t.Fatal(err)
			}
			if log := h.log.String(); strings.Contains(log, "secret-of-") || strings.Contains(log, "X-Amz-Signature") {
				t.Error("the log shows a secret")
			}
		})
	}
	_, err := admin.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("x")})
	if err == nil {
		t.Error("an object that nobody put")
	}
}
