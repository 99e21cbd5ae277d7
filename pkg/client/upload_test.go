package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A refusal must be heard even though the body is not read: without it a large
// upload breaks off, which looks like a network fault and would be tried again.
func TestARefusalBeforeALargeBodyIsHeard(t *testing.T) {
	read := make(chan int64, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" {
			w.WriteHeader(401)
			_, _ = io.WriteString(w, `{"error":{"code":"unauthorized","message":"a valid bearer token is needed"}}`)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		read <- n
		_, _ = io.WriteString(w, `{"id":"i"}`)
	}))
	defer s.Close()
	body := make([]byte, 16<<20)
	for range 5 {
		c, err := New(s.URL, "wrong", s.Client())
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Send(t.Context(), SendRequest{Developer: "acme", Body: body})
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != 401 {
			t.Fatalf("send: %v", err)
		}
		for _, err := range c.SendBatch(t.Context(), body) {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != 401 {
				t.Fatalf("batch: %v", err)
			}
		}
	}
	c, err := New(s.URL, "right", s.Client())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), SendRequest{Developer: "acme", Body: body}); err != nil || <-read != int64(len(body)) {
		t.Errorf("with the right token: %v", err)
	}
}
