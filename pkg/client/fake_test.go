package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// script answers requests one after the other and keeps what was asked.
type script struct {
	t       *testing.T
	answers []answer
	asked   []asked
}

type answer struct {
	status     int
	body       string
	retryAfter string
	err        error     // instead of an answer
	stream     io.Reader // instead of body
}

type asked struct {
	method, url, body string
	header            http.Header
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("read the request: %v", err)
	}
	s.asked = append(s.asked, asked{r.Method, r.URL.String(), string(body), r.Header})
	if len(s.answers) == 0 {
		s.t.Errorf("request %d was not expected: %s %s", len(s.asked), r.Method, r.URL)
		return nil, context.Canceled
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if a.err != nil {
		return nil, a.err
	}
	if a.stream == nil {
		a.stream = strings.NewReader(a.body)
	}
	res := &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(a.stream), Request: r}
	if a.retryAfter != "" {
		res.Header.Set("Retry-After", a.retryAfter)
	}
	return res, nil
}

// scripted returns a client whose daemon gives these answers.
func scripted(t *testing.T, answers ...answer) (*Client, *script) {
	t.Helper()
	s := &script{t: t, answers: answers}
	c, err := New("http://daemon.example:8080/", "token", &http.Client{Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func ok(body string) answer { return answer{status: 200, body: body} }

func refused(status int, code string) answer {
	return answer{status: status, body: `{"error":{"code":"` + code + `","message":"because"}}`}
}

// broken is a stream that fails after its text.
type broken struct {
	text *bytes.Reader
	err  error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}
