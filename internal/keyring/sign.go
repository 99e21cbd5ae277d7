package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// Sign returns the signature of message under the first key; label binds it to
// its use and must be given to Verify again.
func (r *Ring) Sign(label string, message []byte) []byte { return r.keys[0].mac(label, message) }

// Verify tells whether signature is what Sign returned for label and message under any of the
// keys. It compares in constant time, so that its duration does not help to guess a signature.
func (r *Ring) Verify(label string, message, signature []byte) bool {
	found := false
	for _, k := range r.keys {
		found = hmac.Equal(k.mac(label, message), signature) || found
	}
	return found
}

// mac puts the length of the label before the label, so that no two pairs of label and message
// give the same bytes.
func (k *key) mac(label string, message []byte) []byte {
	mac := hmac.New(sha256.New, *k.sign)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(label))))
	mac.Write([]byte(label))
	mac.Write(message)
	return mac.Sum(nil)
}
