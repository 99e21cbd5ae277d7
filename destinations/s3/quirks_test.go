package s3

import (
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// quirk is what a service that speaks like S3 does otherwise. Its zero value does
// all as S3 does.
type quirk struct {
	etag    string                                        // %s: the tag without quotes
	strong  bool                                          // weak tags match nothing
	meta    func(name, value string) (string, string)     // "": lost
	ignores map[string]bool                               // conditions
	refuses func(*http.Request) (int, string, string)     // 0: not
	taken   func() (status int, code string)              // nil: 412
	answers func(http.ResponseWriter, *http.Request) bool // whatever is asked
	stored  int                                           // the status of a put; 0: 200
	proven  bool                                          // the destination has seen it before
}

type quirky struct {
	quirk
	mu      sync.Mutex
	objects map[string]map[string]string // "body", "etag" and metadata by key
}

func (q *quirky) refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>", code)
	_ = xml.EscapeText(w, []byte(message))
	fmt.Fprint(w, "</Message></Error>")
}

func (q *quirky) matches(tag, theirs string) bool {
	if q.strong && strings.HasPrefix(tag, "W/") {
		return false
	}
	bare := func(t string) string { return strings.Trim(strings.TrimPrefix(t, "W/"), `"`) }
	return bare(tag) == bare(theirs)
}

func (q *quirky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.answers != nil && q.answers(w, r) {
		return
	}
	if q.refuses != nil {
		if status, code, message := q.refuses(r); status != 0 {
			q.refuse(w, status, code, message)
			return
		}
	}
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	there := q.objects[key]
	switch r.Method {
	case http.MethodPut:
		none, match := r.Header.Get("If-None-Match") == "*" && !q.ignores["none"], r.Header.Get("If-Match")
		if none && there != nil || match != "" && !q.ignores["match"] && (there == nil || !q.matches(match, there["etag"])) {
			status, code := http.StatusPreconditionFailed, "PreconditionFailed"
			if q.taken != nil {
				status, code = q.taken()
			}
			q.refuse(w, status, code, "no")
			return
		}
		o := map[string]string{"body": string(body), "etag": fmt.Sprintf(q.etag, fmt.Sprintf("%x", md5.Sum(body)))}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				value := values[0]
				if q.meta != nil {
					name, value = q.meta(name, value)
				}
				o[name] = value
			}
		}
		delete(o, "")
		q.objects[key] = o
		w.Header().Set("ETag", o["etag"])
		if q.stored != 0 {
			w.WriteHeader(q.stored)
		}
	case http.MethodDelete:
		delete(q.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		if there == nil {
			q.refuse(w, http.StatusNotFound, "NoSuchKey", "no")
			return
		}
		for name, value := range there {
			if name != "body" {
				w.Header().Set(name, value)
			}
		}
		fmt.Fprint(w, there["body"])
	}
}

// startQuirky returns a destination over such a service.
func startQuirky(tb testing.TB, q quirk, change ...func(*Config)) (*bucket, *quirky) {
	tb.Helper()
	if q.etag == "" {
		q.etag = `"%s"`
	}
	far := &quirky{quirk: q, objects: map[string]map[string]string{}}
	s := httptest.NewServer(far)
	tb.Cleanup(s.Close)
	c := defaults()
	c.Bucket = "acme-retention"
	c.Account = aws.Settings{Endpoint: s.URL, AllowHTTP: true, AccessKeyID: secret.New("key"), SecretAccessKey: secret.New("hidden")}
	for _, f := range change {
		f(&c)
	}
	return openWith(tb, c, plainDeps(tb)), far
}

// TestQuirks of services that speak like S3: whatever they do, an item of another
// identity is kept, the newer version wins where that can be known, and the check
// says what cannot.
func TestQuirks(t *testing.T) {
	const plain, leg, parent = "@", "@-leg", "@-parent"
	ordered := map[string]string{plain: "3", leg: "2"}
	apart := map[string]string{plain: "1", leg: "2", parent: "3"}
	cases := []struct {
		name  string
		quirk quirk
		holds map[string]string
		check string // "": all is well
	}{
		{"none", quirk{}, ordered, ""},
		{"an ETag without quotes", quirk{etag: "%s"}, ordered, ""},
		{"a weak ETag", quirk{etag: `W/"%s"`, strong: true}, ordered, ""},
		{"metadata is lost", quirk{meta: func(string, string) (string, string) { return "", "" }}, apart, "loses or alters the metadata"},
		{"metadata is decoded", quirk{meta: func(name, value string) (string, string) {
			value, _ = url.PathUnescape(value)
			return name, url.QueryEscape(value)
		}}, apart, "loses or alters the metadata"},
		{"If-None-Match is ignored", quirk{ignores: map[string]bool{"none": true}}, ordered, "or ignores them"},
		{"If-Match is ignored", quirk{ignores: map[string]bool{"match": true}}, ordered, "or ignores them"},
		{"both are ignored", quirk{ignores: map[string]bool{"none": true, "match": true}}, ordered, "or ignores them"},
		{"conditions are refused by their names", quirk{refuses: func(r *http.Request) (int, string, string) {
			if conditional(r) {
				return 400, "InvalidArgument", "Unsupported header 'if-none-match' received for this API call."
			}
			return 0, "", ""
		}}, ordered, "knows no conditional writes"},
		{"201 to a put", quirk{stored: 201}, ordered, ""},
		{"204 to a put", quirk{stored: 204}, ordered, ""},
		{"405 to HEAD", quirk{refuses: headless(405)}, ordered, ""},
		{"501 to HEAD", quirk{refuses: headless(501)}, ordered, ""},
		{"304 where the key is taken", quirk{taken: func() (int, string) { return 304, "" }, proven: true}, ordered, ""},
		{"409 where the key is taken", quirk{taken: func() (int, string) { return 409, "ObjectAlreadyExists" }, proven: true}, ordered, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, far := startQuirky(t, c.quirk)
			err := b.Check(t.Context())
			if said := fmt.Sprint(err); (err == nil) != (c.check == "") || !strings.Contains(said, c.check) && c.check != "" {
				t.Errorf("check: %v", err)
			}
			if _, failed := err.(destination.Remark); err != nil && !failed {
				t.Errorf("check: %v", err)
			}
			b, far2 := startQuirky(t, c.quirk) // that knows nothing of the check
			b.proven.Store(c.quirk.proven)
			for i, id := range []string{"a parent", "a leg", "a parent"} {
				body := fmt.Sprintf(`{"type":"activity","version":"2022-03-16","user":{"user_id":"u"},"data":[{"metadata":{"summary_id":%q,"start_time":"2026-03-12T06:00:00Z"},"n":%d}]}`, id, i+1)
				if _, err := b.Send(t.Context(), destinationtest.Delivery(t, i+1, []byte(body))); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]string{}
			for key, o := range far2.objects {
				key = strings.TrimSuffix(strings.TrimPrefix(key, "2022-03-16/activity/u-2026-03-12T06:00:00Z"), ".json")
				if key != "" {
					key = map[bool]string{true: "-leg", false: "-parent"}[strings.Contains(o["body"], "leg")]
				}
				_, n, _ := strings.Cut(o["body"], `"n":`)
				got["@"+key] = n[:1]
			}
			if !maps.Equal(got, c.holds) {
				t.Errorf("it holds %v, want %v", got, c.holds)
			}
			if len(far.objects) > 0 {
				t.Errorf("the check left %d objects", len(far.objects))
			}
		})
	}
}

// headless is a service that knows no HEAD.
func headless(status int) func(*http.Request) (int, string, string) {
	return func(r *http.Request) (int, string, string) {
		if r.Method == http.MethodHead {
			return status, "", ""
		}
		return 0, "", ""
	}
}

// Of a 202 nobody knows whether the object is there already.
func TestAPutThatIsOnlyTakenOnIsNotStored(t *testing.T) {
	b, _ := startQuirky(t, quirk{stored: 202})
	_, err := b.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"u"}}`)))
	if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "nothing counts as stored") {
		t.Errorf("%v", err)
	}
}

// TestAnythingThatAnswersWithAnETag is no S3: frameworks give one to all they say.
func TestAnythingThatAnswersWithAnETag(t *testing.T) {
	for kind, chunks := range map[string]bool{"application/json; charset=utf-8": false, "text/plain": true, "text/html": true} {
		b, _ := startQuirky(t, quirk{answers: func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("ETag", `W/"2-vyGp6PvFo4RvsFtPoIWeCReyIC8"`)
			w.Header().Set("Content-Type", kind)
			fmt.Fprint(w, "{}")
			if chunks {
				w.(http.Flusher).Flush()
			}
			return true
		}})
		b.proven.Store(true) // no look before
		_, err := b.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"u"}}`)))
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "nothing counts as stored") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestWordsOfOurOwnInARefusal: what the service repeats of key and bucket says
// nothing about Object Lock or KMS. A part of the key comes from the event.
func TestWordsOfOurOwnInARefusal(t *testing.T) {
	for _, format := range []string{
		`User: arn:aws:iam::1:user/x is not authorized to perform: s3:%s on resource: "arn:aws:s3:::acme-retention/%s" because no identity-based policy allows the action`,
		`s3:%s is denied on acme-retention, for %s`,
	} {
		b, _ := startQuirky(t, quirk{refuses: func(r *http.Request) (int, string, string) {
			_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			what := map[string]string{http.MethodPut: "PutObject"}[r.Method]
			return 403, "AccessDenied", fmt.Sprintf(format, what, key)
		}})
		_, err := b.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"bookworm kms:Decrypt legal hold"}}`)))
		if class, _ := destination.ClassOf(err); err == nil || class != destination.Misconfigured || !strings.Contains(err.Error(), "grant s3:PutObject on arn:aws:s3:::acme-retention/*") {
			t.Errorf("%v: %v", class, err)
		}
	}
}

// TestServicesThatKeepFiles have no object below another: what lies there is left
// alone, and where every key would lie below it the destination is held.
func TestServicesThatKeepFiles(t *testing.T) {
	const key = "auth/u-2026-07-01T09:12:34Z.json"
	deliver := func(f *far) (string, error) {
		r, err := openWith(t, f.config, plainDeps(t)).Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth","user":{"user_id":"u"}}`)))
		return r.Answer, err
	}
	f := startGateway(t).bucket(t)
	f.put(t, "auth", "somebody's")
	_, err := deliver(f)
	if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "remove it, or have keys begin elsewhere") {
		t.Errorf("an object where the key has a folder: %v: %v", class, err)
	}
	f = startGateway(t).bucket(t)
	f.put(t, key+"/below", "somebody's")
	if answer, err := deliver(f); err != nil || answer != "1 stored" {
		t.Errorf("objects below the key: %s, %v", answer, err)
	}
	if n := len(f.all(t)); n != 2 {
		t.Errorf("%d objects, want 2", n)
	}
}
