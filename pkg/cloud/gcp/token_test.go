package gcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

func put(t testing.TB, c *Client, name string) error {
	t.Helper()
	_, err := c.Put(t.Context(), Object{Bucket: "acme", Name: name, Body: []byte("{}")}, Absent)
	return err
}

func TestATokenIsFetchedOnceAndAgainWhenRefused(t *testing.T) {
	g := gcptest.Start(t)
	c := client(t, access(t, g), g.Deps(t))
	for n := range 5 {
		if err := put(t, c, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.Requests("POST /token"); n != 1 {
		t.Errorf("%d tokens for 5 calls", n)
	}
	g.Forget(time.Hour)
	wantClass(t, put(t, c, "5"), destination.Misconfigured)
	if err := put(t, c, "5"); err != nil {
		t.Errorf("a refused token is used again: %v", err)
	}
	if n := g.Requests("POST /token"); n != 2 {
		t.Errorf("%d tokens, want 2", n)
	}
}

func TestTokensAreReplacedBeforeTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		k := newTokens(func(context.Context) (grant, error) {
			fetched++
			g, ok := parseGrant(fmt.Appendf(nil, `{"access_token":"t%d","expires_in":3600}`, fetched), time.Now())
			if !ok {
				return g, errors.New("no grant")
			}
			return g, nil
		})
		for _, s := range []struct {
			after time.Duration
			want  string
		}{{0, "t1"}, {54*time.Minute + 59*time.Second, "t1"}, {time.Second, "t2"}, {54 * time.Minute, "t2"}, {time.Hour, "t3"}} {
			time.Sleep(s.after)
			if got, err := k.get(t.Context()); err != nil || got != s.want {
				t.Errorf("%v later: %q, %v; want %q", s.after, got, err, s.want)
			}
		}
		k.drop(t.Context(), "t2")
		if got, _ := k.get(t.Context()); got != "t3" {
			t.Errorf("%q: an old token's refusal drops the new one", got)
		}
	})
}

// A fetch that hangs costs everybody their own time and no more, and who comes
// after it fetches for themselves.
func TestAHangingFetchHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := true
		k := newTokens(func(ctx context.Context) (grant, error) {
			if hang {
				<-ctx.Done()
				return grant{}, ctx.Err()
			}
			return grant{"t", time.Now().Add(time.Hour)}, nil
		})
		get := func(patience time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := k.get(ctx)
			return err
		}
		first := make(chan error)
		go func() { first <- get(time.Minute) }()
		synctest.Wait()
		began := time.Now()
		if err := get(time.Second); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("%v after %v, want the end of its own second", err, time.Since(began))
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if k.drop(impatient, "t"); time.Since(began) != 2*time.Second {
			t.Errorf("forgetting a token took %v", time.Since(began)-time.Second)
		}
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want its deadline", err)
		}
		hang = false
		if err := get(time.Second); err != nil {
			t.Errorf("it stays broken: %v", err)
		}
	})
}

func TestGrants(t *testing.T) {
	now := time.Now()
	for body, life := range map[string]time.Duration{
		`{"access_token":"t","expires_in":3600}`:   55 * time.Minute,
		`{"access_token":"t","expires_in":3599.5}`: 3599*time.Second - 5*time.Minute,
		`{"access_token":"t","expires_in":60}`:     30 * time.Second,
		`{"access_token":"t","expires_in":1e300}`:  55 * time.Minute,
		`{"access_token":"t","expires_in":-5}`:     0,
		`{"access_token":"t"}`:                     0,
		`{"access_token":"","expires_in":60}`:      -1,
		`{"access_token":"a\r\nb: c"}`:             -1,
		`{"error":"x"}`:                            -1,
		`<html>`:                                   -1,
	} {
		g, ok := parseGrant([]byte(body), now)
		if ok != (life >= 0) || ok && g.until.Sub(now) != life {
			t.Errorf("%s: %v, %v; want %v", body, g.until.Sub(now), ok, life)
		}
	}
}

func TestWhatTheTokenEndpointRefuses(t *testing.T) {
	g := gcptest.Start(t)
	answer := func(code int, body string, header ...string) gcptest.Interceptor {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/token" {
				return false
			}
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			fmt.Fprint(w, body)
			return true
		}
	}
	for _, c := range []struct {
		name  string
		fail  gcptest.Interceptor
		class destination.Class
		wait  time.Duration
		text  string
	}{
		{"invalid_grant", answer(400, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`), destination.Misconfigured, 0, "invalid_grant: Invalid JWT Signature.. The key or its service account was deleted"},
		{"unauthorized_client", answer(401, `{"error":"unauthorized_client"}`), destination.Misconfigured, 0, "unauthorized_client"},
		{"not found", answer(404, "nginx"), destination.Misconfigured, 0, "answered 404"},
		{"too many", answer(429, "", "Retry-After", "7"), destination.Throttled, 7 * time.Second, "answered 429"},
		{"overloaded", answer(503, "", "Retry-After", "7"), destination.Throttled, 7 * time.Second, "answered 503"},
		{"down", answer(503, ""), destination.Transient, 0, "answered 503"},
		{"broken", answer(500, "{}"), destination.Transient, 0, "answered 500"},
		{"redirect", answer(302, "", "Location", "http://169.254.169.254/"), destination.Misconfigured, 0, "answered 302"},
		{"no token", answer(200, "<html>"), destination.Misconfigured, 0, "the answer holds no token"},
		{"an unknown account", func(http.ResponseWriter, *http.Request) bool { return false }, destination.Misconfigured, 0, "account not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := access(t, g)
			if c.name == "an unknown account" {
				a.Credentials = secret.New(strings.ReplaceAll(a.Credentials.Reveal(), all, "gone@test.iam.gserviceaccount.com"))
			}
			g.Break(c.fail)
			defer g.Break(nil)
			err := put(t, client(t, a, g.Deps(t)), "x")
			wantClass(t, err, c.class)
			if _, wait := destination.ClassOf(err); wait != c.wait {
				t.Errorf("waits %v, want %v", wait, c.wait)
			}
			if err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%q does not say %q", err, c.text)
			}
		})
	}
}

// The assertion, as all that is sent, must not come back in texts.
func TestAnEchoOfTheAssertionIsNotShown(t *testing.T) {
	g := gcptest.Start(t)
	var assertion string
	g.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/token" {
			return false
		}
		assertion = r.PostFormValue("assertion")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"%s"}`, assertion)
		return true
	})
	err := put(t, client(t, access(t, g), g.Deps(t)), "x")
	wantClass(t, err, destination.Misconfigured)
	if assertion == "" || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), assertion[:40]) {
		t.Errorf("%#v shows the assertion", err)
	}
}
