package signature_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/event/samples"
	"github.com/seed-51f8da91/fantail/pkg/signature"
)

var now = time.Date(2026, 7, 1, 9, 12, 33, 999_999_999, time.UTC)

// The vectors come from the test suites of receivers' SDKs.
func TestSignReproducesTheVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Source, Secret, Header, Body string
		BodyFile                     string `json:"body_file"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) != 3 {
		t.Fatal(len(vectors), err)
	}
	for _, v := range vectors {
		body := []byte(v.Body)
		if v.BodyFile != "" {
			sample, err := samples.Read(strings.TrimSuffix(v.BodyFile, ".json"))
			if err != nil || !bytes.Equal(sample, body) {
				t.Errorf("%s: %s is not the body: %v", v.Source, v.BodyFile, err)
			}
		}
		unix, _, _ := strings.Cut(strings.TrimPrefix(v.Header, "t="), ",")
		sec, err := strconv.ParseInt(unix, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Unix(sec, 0)
		if got := signature.Sign(v.Secret, at, body); got != v.Header {
			t.Errorf("%s: %s, want %s", v.Source, got, v.Header)
		}
		if err := signature.Verify(v.Secret, v.Header, body, at, 0); err != nil {
			t.Errorf("%s: %v", v.Source, err)
		}
	}
}

func TestVerifyAcceptsEveryBodyAsSigned(t *testing.T) {
	bodies := [][]byte{{}, {0}, []byte("\n"), bytes.Repeat([]byte("x"), 1<<20)}
	for _, name := range samples.Names() {
		body, err := samples.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body, append(body, '\n'))
	}
	for _, body := range bodies {
		header := signature.Sign("s3cret", now, body)
		if err := signature.Verify("s3cret", header, body, now, time.Second); err != nil {
			t.Errorf("%.40q: %v", body, err)
		}
		changed := append(bytes.Clone(body), ' ')
		if err := signature.Verify("s3cret", header, changed, now, time.Second); !errors.Is(err, signature.ErrMismatch) {
			t.Errorf("%.40q with a space more: %v", body, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	body := []byte(`{"type":"x"}`)
	good := signature.Sign("s3cret", now, body)
	stamp, sum, _ := strings.Cut(good, ",v1=")
	unix := strings.TrimPrefix(stamp, "t=")
	tests := []struct {
		name, secret, header, body string
		want                       error
	}{
		{"nothing wrong", "s3cret", good, string(body), nil},
		{"another secret", "s3cret2", good, string(body), signature.ErrMismatch},
		{"another body", "s3cret", good, `{"type":"y"}`, signature.ErrMismatch},
		{"no body", "s3cret", good, ``, signature.ErrMismatch},
		{"another time", "s3cret", "t=1" + unix + ",v1=" + sum, string(body), signature.ErrMismatch},
		{"the stop moved", "s3cret", "t=" + unix + ",v1=" + sum, "." + string(body), signature.ErrMismatch},
		{"empty", "s3cret", "", string(body), signature.ErrMalformed},
		{"no t", "s3cret", "v1=" + sum, string(body), signature.ErrMalformed},
		{"no v1", "s3cret", stamp, string(body), signature.ErrMalformed},
		{"empty t", "s3cret", "t=,v1=" + sum, string(body), signature.ErrMalformed},
		{"empty v1", "s3cret", stamp + ",v1=", string(body), signature.ErrMalformed},
		{"the other order", "s3cret", "v1=" + sum + "," + stamp, string(body), signature.ErrMalformed},
		{"two t", "s3cret", "t=1," + good, string(body), signature.ErrMalformed},
		{"two v1", "s3cret", good + ",v1=" + sum, string(body), signature.ErrMalformed},
		{"v0 too", "s3cret", good + ",v0=" + sum, string(body), signature.ErrMalformed},
		{"v0 instead", "s3cret", stamp + ",v0=" + sum, string(body), signature.ErrMalformed},
		{"space behind the comma", "s3cret", stamp + ", v1=" + sum, string(body), signature.ErrMalformed},
		{"space before", "s3cret", " " + good, string(body), signature.ErrMalformed},
		{"space behind", "s3cret", good + " ", string(body), signature.ErrMalformed},
		{"line break behind", "s3cret", good + "\n", string(body), signature.ErrMalformed},
		{"upper case", "s3cret", stamp + ",v1=" + strings.ToUpper(sum), string(body), signature.ErrMalformed},
		{"cut", "s3cret", good[:len(good)-1], string(body), signature.ErrMalformed},
		{"a digit more", "s3cret", good + "0", string(body), signature.ErrMalformed},
		{"not hexadecimal", "s3cret", good[:len(good)-1] + "g", string(body), signature.ErrMalformed},
		{"plus", "s3cret", "t=+" + unix + ",v1=" + sum, string(body), signature.ErrMalformed},
		{"minus", "s3cret", "t=-" + unix + ",v1=" + sum, string(body), signature.ErrMalformed},
		{"leading zero", "s3cret", "t=0" + unix + ",v1=" + sum, string(body), signature.ErrMalformed},
		{"fraction", "s3cret", "t=" + unix + ".0,v1=" + sum, string(body), signature.ErrMalformed},
		{"endless t", "s3cret", "t=" + strings.Repeat("9", 40) + ",v1=" + sum, string(body), signature.ErrMalformed},
		{"t in other digits", "s3cret", "t=١٢٣,v1=" + sum, string(body), signature.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := signature.Verify(tt.secret, tt.header, []byte(tt.body), now, time.Second)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the secret shows: %v", err)
			}
		})
	}
	if err := signature.Verify("", signature.Sign("", now, body), body, now, time.Hour); err == nil {
		t.Error("an empty secret is accepted")
	}
}

func TestVerifyKeepsTheTolerance(t *testing.T) {
	body := []byte(`{"type":"x"}`)
	at := now.Truncate(time.Second)
	header := signature.Sign("s3cret", at, body)
	for _, tt := range []struct {
		now       time.Time
		tolerance time.Duration
		want      error
	}{
		{at, 0, nil},
		{at.Add(1), 0, signature.ErrTime},
		{at.Add(signature.Tolerance), signature.Tolerance, nil},
		{at.Add(signature.Tolerance + 1), signature.Tolerance, signature.ErrTime},
		{at.Add(-signature.Tolerance), signature.Tolerance, nil},
		{at.Add(-signature.Tolerance - 1), signature.Tolerance, signature.ErrTime},
		{at, -1, signature.ErrTime},
		{at.AddDate(2000, 0, 0), signature.Tolerance, signature.ErrTime},
		{time.Time{}, signature.Tolerance, signature.ErrTime},
	} {
		err := signature.Verify("s3cret", header, body, tt.now, tt.tolerance)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s off, tolerance %s: %v", tt.now.Sub(at), tt.tolerance, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	body := []byte(`{"type":"x"}`)
	f.Add("s3cret", signature.Sign("s3cret", now, body), body)
	f.Add("s3cret", "t=1,v1="+strings.Repeat("0", 64), []byte{})
	f.Add("", "t=,v1=", []byte{})
	f.Fuzz(func(t *testing.T, secret, header string, body []byte) {
		err := signature.Verify(secret, header, body, now, 1<<62)
		if err == nil {
			// What is accepted is what Sign makes, to the byte.
			unix, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
			sec, err := strconv.ParseInt(unix, 10, 64)
			if err != nil || signature.Sign(secret, time.Unix(sec, 0), body) != header {
				t.Fatalf("accepted %q", header)
			}
		}
		if own := signature.Sign(secret, now, body); secret != "" && signature.Verify(secret, own, body, now, time.Second) != nil {
			t.Fatalf("refused our own %q", own)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for name, size := range map[string]int{"2KiB": 2 << 10, "1MiB": 1 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				signature.Sign("66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36", now, body)
			}
		})
	}
}
