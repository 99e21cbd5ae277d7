package event_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/event/samples"
)

// body builds an event of about size bytes from the items of a sample, as
// compact as most senders write it, or indented.
func body(b *testing.B, size int, indented bool) []byte {
	b.Helper()
	sample, err := samples.Read("activity")
	if err != nil {
		b.Fatal(err)
	}
	var e struct {
		Type    string            `json:"type"`
		Version string            `json:"version"`
		User    json.RawMessage   `json:"user"`
		Data    []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(sample, &e); err != nil {
		b.Fatal(err)
	}
	for item := e.Data[0]; len(e.Data)*len(item) < size; {
		e.Data = append(e.Data, item)
	}
	out, err := json.Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	if indented {
		var wide bytes.Buffer
		if err := json.Indent(&wide, out, "", "  "); err != nil {
			b.Fatal(err)
		}
		return wide.Bytes()
	}
	return out
}

func BenchmarkParse(b *testing.B) {
	for name, body := range map[string][]byte{
		"2KiB":         body(b, 2<<10, false),
		"1MiB":         body(b, 1<<20, false),
		"1MiBIndented": body(b, 1<<20, true),
		"1MiBText":     append(append([]byte(`{"type":"x","a":"`), bytes.Repeat([]byte("x"), 1<<20)...), `"}`...),
		"1MiBUnicode":  append(append([]byte(`{"type":"x","a":"`), bytes.Repeat([]byte("€"), 1<<20/3)...), `"}`...),
		"1MiBNumbers":  append(append([]byte(`{"type":"x","a":[0`), bytes.Repeat([]byte(",61.25"), 1<<20/6)...), `]}`...),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := event.Parse(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
