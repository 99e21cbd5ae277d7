package pebblestore

import (
	"bytes"
	"strings"
	"testing"
)

// TestDamageInTheLastBlock: Pebble looks for proof of damage in later blocks
// only; a log is mostly shorter than that when the daemon was just started.
func TestDamageInTheLastBlock(t *testing.T) {
	disk, name, out := crashed(t, 6)
	b := readAll(t, disk, name)
	if held := len(bytes.TrimRight(b, "\x00")); held > logBlock {
		t.Fatalf("the log holds %d bytes, which is more than a block", held)
	}
	at := bytes.Index(b, []byte("xxxx"+"2")) // in the third event
	if at < 0 {
		t.Fatal("the log does not hold the third event")
	}
	b[at] ^= 0x55
	writeAll(t, disk, name, b)
	if _, err := Open("db", Options{FS: disk, Log: quiet()}); err == nil || !strings.Contains(err.Error(), "`fantail serve --accept-loss`") {
		t.Fatalf("open a store damaged in its last block: %v", err)
	}
	s := mustOpen(t, "db", Options{FS: disk, Log: quiet(), AcceptLoss: true})
	for i, a := range out {
		if _, err := s.Event(ctx, a.ID.Day(), a.ID); (err == nil) != (i < 2) {
			t.Errorf("event %d before and behind damage in event 2: %v", i, err)
		}
	}
	mustBalance(t, s)
}
