package app

import (
	"errors"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/client"
)

// A session goes on over a restart, and ends with the reload that takes its token away.
func TestSessionsOutliveTheProcessAndNotTheirToken(t *testing.T) {
	const (
		support = "tokens:\n  - { name: support, value: support-support-support, may: [read, link] }\n"
		other   = "  - { name: other, value: other-other-other-other, may: [operate] }\n"
	)
	h := newHome(t)
	h.settings(support + other)
	h.developer("acme", "a", "")
	d := h.start()
	as := func(token string) *client.Client {
		t.Helper()
		c, err := client.New(d.URL(), token, nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	l, err := as("support-support-support").MakePortalLink(t.Context(), client.PortalLinkRequest{Developer: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := as("").BeginSession(t.Context(), l.URL[len(d.URL()+"/console/#link="):])
	if err != nil {
		t.Fatal(err)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	again, err := as(s.Bearer).Session(t.Context())
	if err != nil || again.Via != l.ID || len(again.Developers) != 1 || again.Developers[0] != "acme" {
		t.Fatalf("after a restart: %+v, %v", again, err)
	}
	unauthorized := func(what string) {
		t.Helper()
		_, err := as(s.Bearer).Session(t.Context())
		if refused, ok := errors.AsType[*client.Error](err); !ok || refused.Status != 401 {
			t.Errorf("%s: %v", what, err)
		}
	}
	h.settings("tokens:\n" + other)
	if _, err := as("other-other-other-other").Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	unauthorized("without its token")
	h.settings(support + other)
	if _, err := as("other-other-other-other").Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	unauthorized("with the token back")
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	d = h.start()
	unauthorized("with the token back, and a restart")
}
