package gcp

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

func TestPutReplacesOnlyTheGenerationItIsToldTo(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	write := func(body string, generation int64) error {
		_, err := c.Put(t.Context(), Object{Bucket: "acme", Name: "x", Body: []byte(body), Metadata: map[string]string{"b": body}}, generation)
		return err
	}
	if err := write("1", Absent); err != nil {
		t.Fatal(err)
	}
	if err := write("2", Absent); !Occupied(err) || StatusOf(err) != http.StatusPreconditionFailed {
		t.Errorf("over an object: %v", err)
	}
	first, meta, err := c.Stat(t.Context(), "acme", "x")
	if err != nil || !maps.Equal(meta, map[string]string{"b": "1"}) {
		t.Fatalf("%v, %v", meta, err)
	}
	if err := write("3", first); err != nil {
		t.Errorf("over the right generation: %v", err)
	}
	if err := write("4", first); !Occupied(err) {
		t.Errorf("over a generation that is gone: %v", err)
	}
	if o := g.Object("acme", "x"); string(o.Content) != "3" {
		t.Errorf("it is %s", o.Content)
	}
	if err := write("5", Always); err != nil {
		t.Errorf("over whatever is there: %v", err)
	}
	if _, _, err := c.Stat(t.Context(), "acme", "y"); StatusOf(err) != http.StatusNotFound {
		t.Errorf("of no object: %v", err)
	}
}

// TestOccupiedIsToldFromForbidden: Cloud Storage may put it either way to those
// who can only create.
func TestOccupiedIsToldFromForbidden(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	g.Break(refuse(403, "forbidden", "x does not have storage.objects.delete access to the Google Cloud Storage object."))
	for generation, want := range map[int64]bool{Absent: true, 7: false, Always: false} {
		_, err := c.Put(t.Context(), Object{Bucket: "acme", Name: "x"}, generation)
		if Occupied(err) != want {
			t.Errorf("generation %d: occupied is %v of %v", generation, !want, err)
		}
	}
}

func TestBytesArriveAsTheyAre(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	for i, body := range [][]byte{
		{}, []byte("{}"), []byte("--boundary\r\n\r\n--\r\n"), {0, 255, 13, 10}, bytes.Repeat([]byte("0123456789abcdef"), 1<<18),
	} {
		for _, name := range []string{"a", "a b/ü+%&?#.json", strings.Repeat("n", 1000), ".", "a//b"} {
			name = fmt.Sprintf("%d/%s", i, name)
			if _, err := c.Put(t.Context(), Object{Bucket: "acme", Name: name, Body: body}, Absent); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			o := g.Object("acme", name)
			if o == nil || sha256.Sum256(o.Content) != sha256.Sum256(body) || o.ContentType != "application/json" {
				t.Errorf("%.50s: lacks, or holds something else", name)
			}
			if _, _, err := c.Stat(t.Context(), "acme", name); err != nil {
				t.Errorf("stat %.50s: %v", name, err)
			}
		}
	}
}

func TestSettingsOfObjectsAreSent(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	var query, body string
	g.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			return false
		}
		var b bytes.Buffer
		b.ReadFrom(r.Body)
		query, body = r.URL.RawQuery, b.String()
		fmt.Fprint(w, `{"bucket":"acme","name":"x","generation":"1","size":"2","crc32c":"KXvQqg=="}`)
		if r.UserAgent() != "Fantail/test" || r.ContentLength < 100 {
			t.Errorf("user agent %q, length %d", r.UserAgent(), r.ContentLength)
		}
		return true
	})
	_, err := c.Put(t.Context(), Object{
		Bucket: "acme", Name: "x", Body: []byte("{}"), Encoding: "gzip", Metadata: map[string]string{"k": "v"},
		StorageClass: "NEARLINE", KMSKey: "projects/p/locations/l/keyRings/r/cryptoKeys/k", ACL: "projectPrivate",
	}, Absent)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"uploadType=multipart", "ifGenerationMatch=0", "kmsKeyName=projects%2Fp%2F", "predefinedAcl=projectPrivate"} {
		if !strings.Contains(query, want) {
			t.Errorf("%s lacks %s", query, want)
		}
	}
	for _, want := range []string{`"contentEncoding":"gzip"`, `"metadata":{"k":"v"}`, `"storageClass":"NEARLINE"`, `"crc32c":"`, `"contentType":"application/json"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
}

// TestADamagedBodyIsRefused: the server compares the checksum that goes along.
func TestADamagedBodyIsRefused(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	g.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/upload") {
			var b bytes.Buffer
			b.ReadFrom(r.Body)
			r.Body = http.NoBody
			r.Body = readCloser{strings.NewReader(strings.Replace(b.String(), `{"whole":1}`, `{"whole":2}`, 1))}
		}
		return false
	})
	_, err := c.Put(t.Context(), Object{Bucket: "acme", Name: "x", Body: []byte(`{"whole":1}`)}, Absent)
	wantClass(t, err, destination.Transient)
	if g.Object("acme", "x") != nil {
		t.Error("it was stored")
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// TestAnswersOfSomethingElse are no success, and no panic, of any call.
func TestAnswersOfSomethingElse(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	var answer string
	g.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			return false
		}
		fmt.Fprint(w, answer)
		return true
	})
	for _, answer = range []string{
		"", "null", "[]", "{}", "0", `"x"`, "<html>", `{"acl":[null]}`, `{"generation":null}`, `{"generation":"0"}`, `{"generation":"-1"}`, `{"generation":1}`,
		`{"bucket":"acme","name":"x","generation":"1","size":"2","crc32c":"KXvQqg=="`, `{"bucket":"acme","name":"y","generation":"1","size":"2","crc32c":"KXvQqg=="}`,
	} {
		if _, err := c.Put(t.Context(), Object{Bucket: "acme", Name: "x", Body: []byte("{}")}, Absent); err == nil {
			t.Errorf("%s: counts as stored", answer)
		} else {
			wantClass(t, err, destination.Misconfigured)
		}
		if generation, _, err := c.Stat(t.Context(), "acme", "x"); err == nil && (generation != 1 || !strings.Contains(answer, `"y"`)) {
			t.Errorf("%s: generation %d", answer, generation)
		}
		if err := c.Require(t.Context(), "acme", gcptest.Create); err == nil {
			t.Errorf("%s: has every right", answer)
		} else {
			wantClass(t, err, destination.Misconfigured)
		}
	}
}
