package gcp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/storage"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

var accepted = time.Date(2026, 7, 1, 23, 59, 59, 999e6, time.UTC)

func bucket(t testing.TB, g *gcptest.Google, s BucketSettings) *Bucket {
	t.Helper()
	if s.Access == (Access{}) {
		s.Access = access(t, g)
	}
	s.Bucket = "acme"
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	b, err := OpenBucket(s, g.Deps(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fetch(t testing.TB, url string) (code int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestPayloadsAreKeptForEverAndLinked(t *testing.T) {
	g := gcptest.Start(t)
	id := event.NewID(accepted, 1, 2).String()
	for prefix, want := range map[string]string{"": "2026-07-01/acme/", "a=b/c": "a=b/c/2026-07-01/acme/"} {
		b := bucket(t, g, BucketSettings{Prefix: prefix})
		for _, p := range []event.Payload{{ID: id, Body: []byte(`{"n": 1}`)}, {ID: id + "-12", Body: []byte(`{"n": 12}`)},
			{ID: id + event.ItemSuffix, Body: []byte(`{"item":1}`)}, {ID: id + "-12" + event.ItemSuffix, Body: []byte(`{"item":12}`)}} {
			for _, body := range []string{string(p.Body), "another"} { // keys are immutable: what is there counts
				if err := b.Put(t.Context(), "acme", event.Payload{ID: p.ID, Body: []byte(body)}); err != nil {
					t.Fatal(err)
				}
			}
			if o := g.Object("acme", want+p.ID+".json"); o == nil || string(o.Content) != string(p.Body) || o.ContentType != "application/json" {
				t.Errorf("%s%s.json is %+v", want, p.ID, o)
			}
			began := time.Now()
			l, err := b.Link(t.Context(), "acme", p.ID, 10*time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if code, body := fetch(t, l.URL); code != http.StatusOK || body != string(p.Body) {
				t.Errorf("%s: %d %s", l.URL, code, body)
			}
			if d := l.Expires.Sub(began); d > 10*time.Minute || d < 10*time.Minute-2*time.Second {
				t.Errorf("it says it expires in %v", d)
			}
			for _, tampered := range []string{
				strings.Replace(l.URL, "X-Goog-Expires=600", "X-Goog-Expires=604800", 1),
				strings.Replace(l.URL, p.ID, id+"-13", 1),
				l.URL[:len(l.URL)-1] + string("0123456789abcdef0"[strings.IndexByte("0123456789abcdef", l.URL[len(l.URL)-1])+1]),
				strings.Replace(l.URL, "all%40test", "other%40test", 1),
			} {
				if code, body := fetch(t, tampered); tampered == l.URL || code != http.StatusForbidden {
					t.Errorf("tampered %s: %d %s", tampered, code, body)
				}
			}
		}
	}
}

func TestLinksTellWhenTheyExpire(t *testing.T) {
	g := gcptest.Start(t)
	b := bucket(t, g, BucketSettings{})
	id := event.NewID(accepted, 1, 2).String()
	for ttl, want := range map[time.Duration]time.Duration{
		time.Second: time.Second, 1500 * time.Millisecond: time.Second, MaxLink: MaxLink, 30 * 24 * time.Hour: MaxLink,
	} {
		before := time.Now().Truncate(time.Second)
		l, err := b.Link(t.Context(), "acme", id, ttl)
		if err != nil {
			t.Fatal(err)
		}
		if late := l.Expires.Sub(before) - want; late < 0 || late > 2*time.Second || !strings.Contains(l.URL, fmt.Sprintf("X-Goog-Expires=%d&", int(want.Seconds()))) {
			t.Errorf("%v: %s says it expires %v after %v", ttl, l.URL, l.Expires, before)
		}
	}
	for _, ttl := range []time.Duration{0, -time.Hour, 999 * time.Millisecond} {
		if _, err := b.Link(t.Context(), "acme", id, ttl); err == nil {
			t.Errorf("a link for %v", ttl)
		}
	}
}

// TestLinksAreGooglesOwn compares with Google's client, byte for byte, in a time
// that stands still, and lets links expire.
func TestLinksAreGooglesOwn(t *testing.T) {
	g := gcptest.Start(t)
	a := access(t, g)
	a.Endpoint, a.AllowHTTP = "", true
	c := client(t, a, g.Deps(t))
	pem := g.PrivateKey(t)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(1234567 * time.Second) // whole ones: Google's client counts from the fraction
		for _, name := range []string{"x.json", "2026-07-01/acme/x-1.json", "a b+c/ü€😀~!*'();:@&=$,?#[]%41.json", "a//b", `\`} {
			for _, ttl := range []time.Duration{time.Second, time.Hour, MaxLink} {
				ours, err := c.Link(t.Context(), "acme", name, ttl)
				if err != nil {
					t.Fatal(err)
				}
				theirs, err := storage.SignedURL("acme", name, &storage.SignedURLOptions{
					Scheme: storage.SigningSchemeV4, Method: "GET", GoogleAccessID: all, PrivateKey: []byte(pem),
					Expires: time.Now().Truncate(time.Second).Add(ttl), Hostname: "storage.googleapis.com",
				})
				if err != nil {
					t.Fatal(err)
				}
				// X-Goog-Signature stands among the others in theirs; the order is not signed.
				if !sameLink(ours.URL, theirs) {
					t.Errorf("%s\n%s", ours.URL, theirs)
				}
			}
		}
	})
}

func sameLink(a, b string) bool {
	cut := func(s string) (rest, signature string) {
		before, after, _ := strings.Cut(s, "&X-Goog-Signature=")
		signature, more, _ := strings.Cut(after, "&")
		return strings.TrimSuffix(before+"&"+more, "&"), signature
	}
	restA, signatureA := cut(a)
	restB, signatureB := cut(b)
	return restA == restB && signatureA == signatureB && len(signatureA) == 512
}

func TestLinksExpire(t *testing.T) {
	g := gcptest.Start(t)
	b := bucket(t, g, BucketSettings{})
	id := event.NewID(accepted, 1, 2).String()
	if err := b.Put(t.Context(), "acme", event.Payload{ID: id}); err != nil {
		t.Fatal(err)
	}
	l, err := b.Link(t.Context(), "acme", id, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodGet, l.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Time]bool{time.Now(): true, l.Expires: true, l.Expires.Add(time.Second): false} {
		if err := g.Verify(req, at); (err == nil) != want {
			t.Errorf("%v before its end: %v", l.Expires.Sub(at), err)
		}
	}
}

func TestAPayloadsNameStaysInItsFolder(t *testing.T) {
	g := gcptest.Start(t)
	b := bucket(t, g, BucketSettings{})
	id := event.NewID(accepted, 1, 2).String()
	for _, c := range [][2]string{
		{"acme", ""}, {"acme", id + "/../x"}, {"acme", id + "-"}, {"acme", id + "-x"}, {"acme", id + "-item-item"}, {"acme", id + "-item-1"}, {"acme", strings.ToUpper(id)}, {"acme", id + "-4294967296"},
		{"", id}, {"..", id}, {"a/b", id}, {"a\n", id}, {".", id}, {strings.Repeat("a", 65), id},
	} {
		if err := b.Put(t.Context(), c[0], event.Payload{ID: c[1]}); err == nil {
			t.Errorf("%q was stored", c)
		}
		if _, err := b.Link(t.Context(), c[0], c[1], time.Hour); err == nil {
			t.Errorf("%q was linked", c)
		}
	}
	if all := g.Objects(t, "acme"); len(all) > 0 {
		t.Errorf("stored: %v", all)
	}
}

func TestWhoseBucketItIsIsNotForTheBucketToSay(t *testing.T) {
	g := gcptest.Start(t)
	b := bucket(t, g, BucketSettings{})
	g.Grant(all)
	err := b.Put(t.Context(), "acme", event.Payload{ID: event.NewID(accepted, 1, 2).String()})
	wantClass(t, err, destination.Misconfigured)
	if errors.Is(err, destination.ErrEngine) {
		t.Errorf("%v", err)
	}
}

func TestBucketSettings(t *testing.T) {
	for want, s := range map[string]BucketSettings{
		"bucket: is required":          {},
		"endpoint: must not have the":  {Bucket: "acme", Access: Access{Endpoint: "https://acme.storage.googleapis.com"}},
		"prefix: must be folder":       {Bucket: "acme", Prefix: "a/../b"},
		"prefix: must be":              {Bucket: "acme", Prefix: "/a"},
		"kms_key: must be projects/":   {Bucket: "acme", KMSKey: "k"},
		"credentials: are required":    {Bucket: "acme", Access: Access{Anonymous: true, Endpoint: "https://a.example"}},
		"credentials: is not the JSON": {Bucket: "acme", Access: Access{Credentials: secret.New("x")}},
	} {
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestAPayloadThatIsSaidToBeThere is looked at: what refuses every condition has
// stored nothing, and links would lead nowhere.
func TestAPayloadThatIsSaidToBeThere(t *testing.T) {
	g := gcptest.Start(t)
	b := bucket(t, g, BucketSettings{})
	g.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/upload/") {
			gcptest.Refuse(w, http.StatusPreconditionFailed, "conditionNotMet", "no")
			return true
		}
		return false
	})
	if err := b.Put(t.Context(), "acme", event.Payload{ID: event.NewID(accepted, 1, 2).String(), Body: []byte("{}")}); StatusOf(err) != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
}
