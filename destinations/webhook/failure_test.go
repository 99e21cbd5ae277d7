package webhook

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// listenRaw serves connections with serve, which may speak any nonsense, and
// returns the address.
func listenRaw(tb testing.TB, serve func(in *bufio.Reader, out io.Writer)) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				serve(bufio.NewReader(c), c)
			})
		}
	})
	tb.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// after reads a whole request and then answers with text.
func after(text string) func(*bufio.Reader, io.Writer) {
	return func(in *bufio.Reader, out io.Writer) {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(out, text)
	}
}

func openAt(tb testing.TB, address string) *webhook {
	c := settings()
	c.URL, c.AllowHTTP = "http://"+address+"/hook?token="+testQuery, true
	return openWith(tb, c, plainDeps(tb))
}

// TestEveryStatusHasItsClass is the table of outcomes, whole.
func TestEveryStatusHasItsClass(t *testing.T) {
	for _, hold := range []bool{false, true} {
		for _, retryAfter := range []string{"", "120"} {
			w := &webhook{hold: hold}
			for code := 200; code <= 599; code++ {
				h := http.Header{}
				if retryAfter != "" {
					h.Set("Retry-After", retryAfter)
				}
				err := w.classify(code, func() http.Header { return h }, time.Now())
				if (err == nil) != (code < 300) {
					t.Fatalf("%d: %v", code, err)
				}
				if err == nil {
					continue
				}
				want, wantWait := destination.Transient, time.Duration(0)
				switch {
				case (code == 429 || code == 503) && retryAfter != "":
					want, wantWait = destination.Throttled, 2*time.Minute
				case code == 410 && hold:
					want = destination.Misconfigured
				}
				if class, wait := destination.ClassOf(err); class != want || wait != wantWait {
					t.Errorf("%d, hold_on_410 %v, Retry-After %q: %v, %v; want %v, %v", code, hold, retryAfter, class, wait, want, wantWait)
				}
				if !strings.Contains(err.Error(), fmt.Sprint("answered ", code)) {
					t.Errorf("%d: %q does not say so", code, err)
				}
			}
		}
	}
}

func TestStrangeAnswers(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		want         string // "": delivered
		code         int
	}{
		{"continue, then success", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", 200},
		{"early hints, then success", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", "", 202},
		{"other protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "answered 101", 101},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nbye", "", 200},
		{"a field twice that is there once", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 200},
		{"a line without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n", "", 200},
		{"an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "", 200},
		{"header without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20), "", 200},
		{"header that is cut off", "HTTP/1.1 200 OK\r\nX-Half: x", "", 200},
		{"body shorter than announced", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "", 200},
		{"body broken off", "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "answered 500 Internal Server Error", 500},
		{"redirect without a location", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "redirects are not followed", 302},
		{"redirect to nonsense", "HTTP/1.1 307 Found\r\nLocation: ::::\r\nContent-Length: 0\r\n\r\n", "redirects are not followed", 307},
		{"unknown status", "HTTP/1.1 799 Whatever\r\nContent-Length: 0\r\n\r\n", "answered 799", 799},
		{"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "malformed HTTP", 0},
		{"no HTTP", "hello\r\n\r\n", "malformed HTTP", 0},
		{"nothing", "", "EOF", 0},
		{"endless line", strings.Repeat("x", 1<<20), "", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := openAt(t, listenRaw(t, after(c.answer)))
			r, err := w.Send(t.Context(), delivery(t, 1))
			if c.want == "" && c.code > 0 {
				if err != nil || r.Code != c.code {
					t.Errorf("%+v, %v; want delivered with %d", r, err, c.code)
				}
				return
			}
			wantTransient(t, err, c.want)
			if c.code >= 0 && r.Code != c.code || r.Address == "" {
				t.Errorf("the receipt is %+v, want code %d and the address", r, c.code)
			}
			if len(err.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	var followed bool
	victim := listenRaw(t, func(in *bufio.Reader, out io.Writer) {
		followed = true
	})
	for _, code := range []int{300, 301, 302, 303, 305, 307, 308} {
		w := openAt(t, listenRaw(t, after(fmt.Sprintf("HTTP/1.1 %d R\r\nLocation: http://%s/latest/meta-data/\r\nContent-Length: 0\r\n\r\n", code, victim))))
		r, err := w.Send(t.Context(), delivery(t, 1))
		wantTransient(t, err, "redirects are not followed")
		if r.Code != code {
			t.Errorf("the receipt says %d, want %d", r.Code, code)
		}
	}
	if followed {
		t.Error("a redirect was followed")
	}
}

func TestNothingThereIsTransient(t *testing.T) {
	const nobody = "127.0.0.1:1" // a port that no other program gets by chance
	r, err := openAt(t, nobody).Send(t.Context(), delivery(t, 1))
	wantTransient(t, err, "post to "+nobody, "connection refused")
	if r != (destination.Receipt{}) {
		t.Errorf("the receipt is %+v, want an empty one", r)
	}
}

// TestGuardsRefusalPassesAsItIs: no attempt was made, so the engine holds the destination.
func TestGuardsRefusalPassesAsItIs(t *testing.T) {
	refusal := destination.Misconfigure(errors.New("connections to 10.0.0.1 are refused"))
	engine := fmt.Errorf("no descriptors: %w", destination.ErrEngine)
	for _, want := range []error{refusal, engine} {
		deps := depsOver(t, func(context.Context, string, string) (net.Conn, error) { return nil, want })
		_, err := openWith(t, settings(), deps).Send(t.Context(), delivery(t, 1))
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		class, _ := destination.ClassOf(err)
		if wantClass, _ := destination.ClassOf(want); class != wantClass {
			t.Errorf("%v is %v, want %v", err, class, wantClass)
		}
		if want == engine && !errors.Is(err, destination.ErrEngine) {
			t.Errorf("%v is no fault of the engine's any more", err)
		}
	}
}

// inFakeTime runs a webhook in a bubble, with a far side at the other end of a pipe.
func inFakeTime(t *testing.T, serve func(in *bufio.Reader, out net.Conn), test func(*testing.T, *webhook)) {
	synctest.Test(t, func(t *testing.T) {
		deps := depsOver(t, func(context.Context, string, string) (net.Conn, error) {
			mine, far := net.Pipe()
			go func() {
				defer far.Close()
				serve(bufio.NewReader(far), far)
			}()
			return mine, nil
		})
		c := settings()
		c.URL, c.AllowHTTP = "http://acme.example/hook", true
		c.Auth.Bearer = secret.New(testToken)
		w := openWith(t, c, deps)
		test(t, w)
		w.Close()
		synctest.Wait()
	})
}

// hold reads a request, answers with text, and then holds the line until it is closed.
func hold(text string) func(*bufio.Reader, net.Conn) {
	return func(in *bufio.Reader, out net.Conn) {
		after(text)(in, out)
		io.Copy(io.Discard, in)
	}
}

func TestSilenceEndsWithTheAttemptsTime(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":       "",
		"half a status": "HTTP/1.1 2",
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, hold(answer), func(t *testing.T, w *webhook) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("the attempt's time is up"))
				defer cancel()
				start := time.Now()
				_, err := w.Send(ctx, delivery(t, 1))
				wantTransient(t, err, "post to acme.example: no answer in time")
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v is not the deadline's", err)
				}
				if took := time.Since(start); took != 30*time.Second {
					t.Errorf("it took %v, want 30s", took)
				}
			})
		})
	}
}

func TestCancelledAttemptSaysSo(t *testing.T) {
	inFakeTime(t, hold(""), func(t *testing.T, w *webhook) {
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		_, err := w.Send(ctx, delivery(t, 1))
		wantTransient(t, err, "the attempt was cancelled")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v is not the cancellation's", err)
		}
	})
}

// TestBodyThatHangsDoesNotHoldTheOutcome: the status has decided it.
func TestBodyThatHangsDoesNotHoldTheOutcome(t *testing.T) {
	for _, c := range []struct{ name, answer, excerpt string }{
		{"in the header", "HTTP/1.1 200 OK\r\nContent-Le", ""},
		{"before the first byte", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", ""},
		{"in the middle", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "half"},
		{"in a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half"},
		{"after the excerpt", "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + strings.Repeat("x", 3000), strings.Repeat("x", excerptSize)},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, hold(c.answer), func(t *testing.T, w *webhook) {
				start := time.Now()
				r, err := w.Send(t.Context(), delivery(t, 1))
				if err != nil || r.Code != 200 || r.Answer != c.excerpt {
					t.Errorf("%+v, %v; want delivered", r, err)
				}
				if took := time.Since(start); took != answerWait {
					t.Errorf("it took %v, want %v", took, answerWait)
				}
			})
		})
	}
}

// TestAnswerWithoutEndIsCutOff: what the far side sends beyond is not waited for.
func TestAnswerWithoutEndIsCutOff(t *testing.T) {
	var sent int
	endless := func(in *bufio.Reader, out net.Conn) {
		after("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")(in, out)
		chunk := "1000\r\n" + strings.Repeat("x", 4096) + "\r\n"
		for {
			if _, err := io.WriteString(out, chunk); err != nil {
				return
			}
			sent += 4096
		}
	}
	inFakeTime(t, endless, func(t *testing.T, w *webhook) {
		r, err := w.Send(t.Context(), delivery(t, 1))
		wantTransient(t, err, "answered 500")
		if len(r.Answer) != excerptSize {
			t.Errorf("the excerpt has %d bytes, want %d", len(r.Answer), excerptSize)
		}
		synctest.Wait()
		if sent > drainSize+excerptSize+16<<10 {
			t.Errorf("%d bytes were taken", sent)
		}
	})
}

// TestUpgradeIsNotReadFrom: what follows it is another protocol, without end,
// and no context ends the reading.
func TestUpgradeIsNotReadFrom(t *testing.T) {
	inFakeTime(t, hold("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), func(t *testing.T, w *webhook) {
		start := time.Now()
		_, err := w.Send(t.Context(), delivery(t, 1))
		wantTransient(t, err, "answered 101")
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// deaf is a kept connection that turns out to be closed at the first byte of
// the second request.
type deaf struct {
	net.Conn
	armed *bool
}

func (d deaf) Write(b []byte) (int, error) {
	if *d.armed {
		return 0, errors.New("write: broken pipe")
	}
	return d.Conn.Write(b)
}

// TestStaleConnectionIsReplaced: nothing of the request was written, so that
// it can begin anew with its whole body.
func TestStaleConnectionIsReplaced(t *testing.T) {
	r := newReceiver(t, false)
	var armed bool
	var dialled int
	deps := depsOver(t, func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if dialled++; dialled == 1 {
			return deaf{c, &armed}, err
		}
		return c, err
	})
	w := openWith(t, r.settings(), deps)
	if _, err := w.Send(t.Context(), delivery(t, 1)); err != nil {
		t.Fatal(err)
	}
	armed = true
	if _, err := w.Send(t.Context(), delivery(t, 2)); err != nil {
		t.Fatal(err)
	}
	if _, body := r.last(t); string(body) != string(delivery(t, 2).Event.Body) || r.count(t) != 2 || dialled != 2 {
		t.Errorf("%d requests over %d connections, the last with %q", r.count(t), dialled, body)
	}
}

// TestExcerptNeverEndsInsideASecret: what follows the cut is read, too, to
// recognise a secret that the cut goes through.
func TestExcerptNeverEndsInsideASecret(t *testing.T) {
	r := newReceiver(t, false)
	r.config = func(c *Config) {
		c.Auth.Bearer = secret.New(testToken)
		c.Headers = map[string]secret.Value{"X-Custom": secret.New(testHeader)}
	}
	r.set("500 with an echo at the cut")
	receipt, _ := opened(t, r).Send(t.Context(), delivery(t, 1))
	if want := strings.Repeat("x", excerptSize-5) + "[reda"; receipt.Answer != want {
		t.Errorf("the excerpt ends with %q, want %q", receipt.Answer[excerptSize-20:], want[excerptSize-20:])
	}
}

// TestCredentialsWithoutTheirSchemeAreASecret: receivers name the token that they refuse.
func TestCredentialsWithoutTheirSchemeAreASecret(t *testing.T) {
	c := settings()
	c.Headers = map[string]secret.Value{"authorization": secret.New("Bearer " + testToken)}
	u, err := parseURL(c.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	s := secret.NewScrubber(secretsOf(c, u)...)
	if got := s.Excerpt("no such token: "+testToken, 1000); strings.Contains(got, testToken) {
		t.Errorf("%q shows the token", got)
	}
}

func TestEveryPartOfTheQueryIsASecret(t *testing.T) {
	for _, query := range []string{"hunter2", "a=hunter2", "a=b&c=hunter2", "a=hun%74er2", "hunter2=x"} {
		c := settings()
		c.URL += "?" + query
		u, err := parseURL(c.URL, false)
		if err != nil {
			t.Fatal(err)
		}
		s := secret.NewScrubber(secretsOf(c, u)...)
		if got := s.Excerpt("cannot POST /hook?"+query, 1000); strings.Contains(got, "hun") {
			t.Errorf("%q shows the query", got)
		}
	}
}

// TestLongSegmentsOfThePathAreSecrets: the addresses of many services end with a
// token. Short ones help to understand an answer.
func TestLongSegmentsOfThePathAreSecrets(t *testing.T) {
	r := newReceiver(t, false)
	r.config = func(c *Config) { c.URL = r.URL + "/services/hook/a-long-team-name/T0k3n%2Fof%2Bsev%65nteen?x=y" }
	w := opened(t, r)
	for name, said := range map[string]string{
		"as it was sent": "cannot POST /services/hook/a-long-team-name/T0k3n%2Fof%2Bsev%65nteen",
		"decoded":        `{"path":"/services/hook/a-long-team-name/T0k3n\/of+seventeen"}`,
		"in JSON":        `{"path":"\/services\/hook\/a-long-team-name\/T0k3n%2Fof%2Bseventeen"}`,
	} {
		r.mu.Lock()
		r.repeat = func(...string) string { return said }
		r.mu.Unlock()
		receipt, err := w.Send(t.Context(), delivery(t, 1))
		if err == nil || strings.Contains(receipt.Answer, "T0k3n") || strings.Contains(receipt.Answer, "team") || !strings.Contains(receipt.Answer, "hook") {
			t.Errorf("%s: %q, %v", name, receipt.Answer, err)
		}
	}
	x, err := w.Explain(delivery(t, 1))
	if want := r.URL + "/services/hook/redacted/redacted?redacted"; err != nil || x.Target != want {
		t.Errorf("the target is shown as %s, want %s", x.Target, want)
	}
}
