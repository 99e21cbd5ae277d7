package odd_test

import (
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/gcs"
	"github.com/seed-51f8da91/fantail/destinations/s3"
	"github.com/seed-51f8da91/fantail/destinations/sqs"
	"github.com/seed-51f8da91/fantail/destinations/supabase"
	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/internal/netguard"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/odd"
)

// token is the credential of every kind.
const token = "hunter2-hunter2-hunter2"

// kind is a kind of destination that speaks HTTP, and the service that it takes a server for.
type kind struct {
	name     string
	open     func(t testing.TB, url string) destination.Destination
	delivery func(t testing.TB, n, size int) destination.Delivery
	service  odd.Service
	refusal  odd.Refusal
	// class is what an answer means; asked: it says how long to wait. Status 0: there is none.
	class func(status int, asked bool) destination.Class
}

var kinds = []kind{
	{name: "webhook", open: openWebhook, delivery: padded, refusal: odd.Plainly, class: func(_ int, asked bool) destination.Class {
		if asked {
			return destination.Throttled
		}
		return destination.Transient
	}},
	{
		name: "s3", delivery: padded,
		open: func(t testing.TB, url string) destination.Destination {
			return opened(t, s3.Definition(), func(c *s3.Config) {
				c.Bucket, c.Account, c.Keys.Layout = "acme", account(url), "{type}/{id}.json"
			})
		},
		service: odd.Service{Answer: func(*odd.Request) string {
			return odd.Text(200, "ETag: \"5d41402abc4b2a76b9719d911017c592\"\r\n", "")
		}},
		refusal: func(status int, header string) string {
			code := map[int]string{403: "AccessDenied", 413: "EntityTooLarge", 503: "ServiceUnavailable"}[status]
			if code == "" {
				code = "Whatever"
			}
			return odd.Text(status, header+"Content-Type: application/xml\r\n", "<Error><Code>"+code+"</Code><Message>no</Message></Error>")
		},
		class: classes(map[int]destination.Class{413: destination.Rejected}, 301, 302, 303, 307, 308, 401, 403, 404, 410),
	},
	{
		name: "gcs", delivery: padded,
		open: func(t testing.TB, url string) destination.Destination {
			return opened(t, gcs.Definition(), func(c *gcs.Config) {
				c.Bucket, c.Endpoint, c.AllowHTTP, c.Anonymous, c.Layout = "acme", url, true, true, "{type}/{id}.json"
			})
		},
		service: odd.Service{Answer: written},
		refusal: func(status int, header string) string {
			return odd.Text(status, header+"Content-Type: application/json\r\n", `{"error":{"message":"no","errors":[{"reason":"whatever"}]}}`)
		},
		class: classes(map[int]destination.Class{413: destination.Rejected}, 301, 302, 303, 307, 308, 401, 403, 404),
	},
	{
		name: "sqs", delivery: inline,
		open: func(t testing.TB, url string) destination.Destination {
			return opened(t, sqs.Definition(), func(c *sqs.Config) {
				c.Queue, c.Settings = url+"/123456789012/events", account(url)
				c.Payloads.S3 = &aws.BucketSettings{Bucket: "payloads", Settings: account(url)}
			})
		},
		service: odd.Service{Answer: sent},
		refusal: func(status int, header string) string {
			code := map[int]string{403: "AccessDeniedException"}[status]
			if code == "" {
				code = "Whatever"
			}
			return odd.Text(status, header+"Content-Type: application/x-amz-json-1.0\r\n", `{"__type":"`+code+`","message":"no"}`)
		},
		class: classes(map[int]destination.Class{413: destination.Rejected}, 300, 301, 302, 303, 307, 308, 401, 403, 404, 410),
	},
	{
		name: "supabase", delivery: padded,
		open: func(t testing.TB, url string) destination.Destination {
			return opened(t, supabase.Definition(), func(c *supabase.Config) {
				c.URL, c.AllowHTTP, c.ServiceRoleKey = url, true, secret.New(token)
			})
		},
		service: odd.Service{
			Picks: func(r *odd.Request) bool { return strings.HasPrefix(r.Path(), "/storage/") },
			Answer: func(r *odd.Request) string {
				if strings.HasPrefix(r.Path(), "/storage/") {
					return odd.Text(200, "Content-Type: application/json\r\n", `{"Key":"`+strings.TrimPrefix(r.Path(), "/storage/v1/object/")+`","Id":"c"}`)
				}
				if r.Read(1 << 20); !strings.HasPrefix(r.Body(), "[") { // a change of one row
					return odd.Text(200, "Content-Type: application/json\r\n", "["+r.Body()+"]")
				}
				return odd.Text(201, "Content-Type: application/json\r\n", r.Body())
			},
		},
		refusal: func(status int, header string) string {
			return odd.Text(status, header+"Content-Type: application/json\r\n", fmt.Sprintf(`{"statusCode":"%d","error":"no","message":"no"}`, status))
		},
		class: classes(map[int]destination.Class{413: destination.Rejected}, 300, 301, 302, 303, 307, 308, 401, 403, 404),
	},
}

// written is what Cloud Storage answers to an upload, which has the object's description and then its
// bytes.
func written(r *odd.Request) string {
	target, _ := url.Parse(strings.Fields(r.Line)[1])
	boundary, rest, _ := strings.Cut(r.Body(), "\r\n")
	_, rest, _ = strings.Cut(rest, "\r\n\r\n")
	var described struct {
		CRC32C string `json:"crc32c"`
	}
	_ = json.NewDecoder(strings.NewReader(rest)).Decode(&described)
	_, bytes, _ := strings.Cut(rest, "\r\n\r\n")
	around := len(r.Body()) - len(bytes) + len("\r\n"+boundary+"--\r\n")
	said, _ := json.Marshal(map[string]string{"bucket": "acme", "name": target.Query().Get("name"), "generation": "1",
		"size": strconv.Itoa(r.Size() - around), "crc32c": described.CRC32C})
	return odd.Text(200, "Content-Type: application/json\r\n", string(said))
}

// classes are those of a kind whose far side is one service: its refusals say what is wrong.
func classes(of map[int]destination.Class, misconfigured ...int) func(int, bool) destination.Class {
	for _, status := range misconfigured {
		of[status] = destination.Misconfigured
	}
	return func(status int, asked bool) destination.Class {
		if asked || status == 429 {
			return destination.Throttled
		}
		return of[status]
	}
}

func openWebhook(t testing.TB, url string) destination.Destination {
	return webhookAt(t, deps(t), url+"/hook")
}

// webhookAt opens a webhook with a header that makes net/http repeat requests by itself, and with other
// headers in unusual cases.
func webhookAt(t testing.TB, deps destination.Deps, url string) destination.Destination {
	return openedWith(t, webhook.Definition(), deps, func(c *webhook.Config) {
		c.URL, c.AllowHTTP, c.Secret, c.Auth.Bearer = url, true, secret.New("secret-"+token), secret.New(token)
		c.Headers = map[string]secret.Value{"Idempotency-Key": secret.New("one"), "x-api_KEY": secret.New("two"), "X-lower-UPPER": secret.New("three")}
	})
}

func account(url string) aws.Settings {
	return aws.Settings{Region: "eu-west-1", Endpoint: url, AllowHTTP: true, AccessKeyID: secret.New("AKIAIOSFODNN7EXAMPLE"), SecretAccessKey: secret.New(token)}
}

func opened[C any](t testing.TB, d destination.Definition, change func(*C)) destination.Destination {
	t.Helper()
	return openedWith(t, d, deps(t), change)
}

// openedWith opens a destination as the engine does: through the definition.
func openedWith[C any](t testing.TB, d destination.Definition, deps destination.Deps, change func(*C)) destination.Destination {
	t.Helper()
	open, err := d.Bind(func(into any) error {
		change(into.(*C))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	dest, err := open(deps)
	if err != nil {
		t.Fatal(err)
	}
	return dest
}

// engine is what the daemon shares between destinations.
type engine struct {
	guard *netguard.Guard
	pool  *exchange.Pool
}

// newEngine makes an engine whose guard lets loopback through.
func newEngine(t testing.TB) engine {
	t.Helper()
	guard, err := netguard.New(netguard.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	pool := exchange.NewPool(guard.DialContext, exchange.Limits{All: 64, Owner: 64})
	t.Cleanup(pool.Close)
	return engine{guard, pool}
}

// deps are what it lends to one destination.
func (e engine) deps() destination.Deps {
	client := e.pool.Client("acme", nil)
	return destination.Deps{
		Log: slog.New(slog.DiscardHandler), Exchange: client, HTTP: client.HTTP(), Dial: e.guard.DialContext,
		Catalogue: event.DefaultCatalogue(), Brand: "terra", UserAgent: "Fantail/test",
	}
}

// deps are those of a destination alone at its engine.
func deps(t testing.TB) destination.Deps { return newEngine(t).deps() }

// padded is a delivery of about size bytes, no two alike.
func padded(t testing.TB, n, size int) destination.Delivery {
	return destinationtest.Delivery(t, n, fmt.Appendf(nil, `{"type":"auth","n":%d,"pad":"%s"}`, n, pad(size)))
}

// inline is what SQS takes as it is, of at most 900 KiB: its limit is a mebibyte.
func inline(t testing.TB, n, size int) destination.Delivery {
	return destinationtest.Delivery(t, n, fmt.Appendf(nil, `{"type":"healthcheck","n":%d,"pad":"%s"}`, n, pad(min(size, 900<<10))))
}

func pad(size int) string {
	return strings.Repeat("0123456789abcdef", size/16)
}

// sent is the answer of SQS to a batch, or of S3 to a put.
func sent(r *odd.Request) string {
	var batch struct {
		Entries []struct{ Id, MessageBody string }
	}
	json.Unmarshal([]byte(r.Body()), &batch)
	type entry struct{ Id, MessageId, MD5OfMessageBody string }
	var done struct{ Successful, Failed []entry }
	for i, e := range batch.Entries {
		sum := md5.Sum([]byte(e.MessageBody))
		done.Successful = append(done.Successful, entry{e.Id, fmt.Sprint("message-", i), hex.EncodeToString(sum[:])})
	}
	text, _ := json.Marshal(done)
	return odd.Text(200, "Content-Type: application/x-amz-json-1.0\r\n", string(text))
}

// quiet is for servers of net/http: what they print is not about the destinations.
var quiet = log.New(io.Discard, "", 0)

// serverTLS is for servers of net/http, with the identity of all.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	pair, err := tls.X509KeyPair(identity.Cert, identity.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}
