package keyring

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestVerifyKnowsWhatAnyKeySigned(t *testing.T) {
	before, after, other := ring(t, oldKey), ring(t, newKey, oldKey), ring(t, newKey)
	message := []byte("2026-07-01/acme/x.json")
	old := before.Sign("link", message)
	if len(old) != 32 || !before.Verify("link", message, old) || !after.Verify("link", message, old) {
		t.Error("a signature is not known again, before or after a rotation")
	}
	if other.Verify("link", message, old) {
		t.Error("a key that is not among the keys verifies")
	}
	if fresh := after.Sign("link", message); bytes.Equal(fresh, old) || !other.Verify("link", message, fresh) {
		t.Error("the first key does not sign")
	}
}

func TestVerifyRefusesWhatWasChanged(t *testing.T) {
	r := ring(t, newKey, oldKey)
	message := []byte("message")
	good := r.Sign("link", message)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if r.Verify("link", message, bad) {
			t.Fatalf("byte %d does not count", i)
		}
	}
	for name, c := range map[string]struct {
		label, message string
		signature      []byte
	}{
		"another label":                {"links", "message", good},
		"a byte moved to the label":    {"linkm", "essage", good},
		"another message":              {"link", "massage", good},
		"a signature cut short":        {"link", "message", good[:16]},
		"no signature":                 {"link", "message", nil},
		"a signature with a byte more": {"link", "message", append(bytes.Clone(good), 0)},
		"no label":                     {"", "message", good},
	} {
		if r.Verify(c.label, []byte(c.message), c.signature) {
			t.Errorf("%s verifies", name)
		}
	}
}

// Links outlive the program that made them.
func TestSignaturesAreStable(t *testing.T) {
	const golden = "d5de859e99169778228dc0857e656b878f3eb7d221112c96057c12c95fd5410b"
	if got := hex.EncodeToString(ring(t, oldKey).Sign("link", []byte("message"))); got != golden {
		t.Errorf("signature %s", got)
	}
}
