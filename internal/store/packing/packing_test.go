package packing

import (
	"encoding/binary"
	"errors"
	"testing"
)

// TestUnpack: stores hold these bytes, so that they must stay readable. Bytes that are no
// packed body are an error, before they take the memory that they claim to need.
func TestUnpack(t *testing.T) {
	const packed = "\x02" + "\x18" + "\x0c" + "beat" + "\x4e\x04\x00" // 4 bytes as they are, then 20 from 4 bytes back
	for v, want := range map[string]string{
		"\x01{}":                       "{}",
		packed:                         "beatbeatbeatbeatbeatbeat",
		"":                             "",
		"\x03{}":                       "",
		packed[:len(packed)-1]:         "",
		packed + "\x00":                "",
		"\x02":                         "",
		"\x02\xff\xff\xff\xff\x0f\x00": "",
	} {
		got, err := Unpack([]byte(v))
		if string(got) != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrPacked) {
			t.Errorf("%q: %q, %v", v, got, err)
		}
	}
	huge := binary.AppendUvarint([]byte{Snappy}, 1<<30)
	if n := testing.AllocsPerRun(10, func() { Unpack(huge) }); n != 0 {
		t.Errorf("%v allocations for a length that cannot be", n)
	}
}
