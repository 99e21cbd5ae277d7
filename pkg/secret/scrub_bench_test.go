package secret_test

import (
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// texts are those of a webhook that logs in.
func texts() []string {
	token := "ya29.a0AfH6SMB/x-_" + strings.Repeat("k", 40)
	return []string{
		"66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36", "Bearer " + token, token,
		"token=0123456789abcdef", "0123456789abcdef",
	}
}

// BenchmarkNewScrubber is what each destination costs when it is opened.
func BenchmarkNewScrubber(b *testing.B) {
	all := texts()
	b.ReportAllocs()
	for b.Loop() {
		secret.NewScrubber(all...)
	}
}

// BenchmarkExcerpt cleans answers that hold nothing, as nearly all do, and some that do.
func BenchmarkExcerpt(b *testing.B) {
	s := secret.NewScrubber(texts()...)
	for _, c := range []struct{ name, read string }{
		{"short", "ok"},
		{"a sentence", `{"status":"error","message":"the field user_id of this event is not known here"}`},
		{"1 KiB of JSON", strings.Repeat(`{"status":"error","message":"not \"known\" here"},`, 21)},
		{"1 KiB of HTML", strings.Repeat(`<p class="x">Not&nbsp;found: <a href="/a%20b">back</a></p>`, 18)},
		{"1 KiB of base64", strings.Repeat("QWxsIGlzIHdlbGwgaGVyZSwgYW5kIG5vdGhpbmcgaXMgd3Jvbmcu", 20)},
		{"1 KiB of nested escapes", strings.Repeat(`\\u002561&amp;lt;%25%26lt;+`, 38)},
		{"with a secret", `{"error":"no such token: ` + texts()[2] + `"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Excerpt(c.read, 1<<10)
			}
		})
	}
}
