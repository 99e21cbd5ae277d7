package keyring

// SignAll returns the signatures of message under every key, for a verifier that may hold some
// of them alone: while keys are replaced on one daemon after the other, that is so.
func (r *Ring) SignAll(label string, message []byte) [][]byte {
	all := make([][]byte, len(r.keys))
	for i, k := range r.keys {
		all[i] = k.mac(label, message)
	}
	return all
}
