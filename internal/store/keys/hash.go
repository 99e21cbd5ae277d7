package keys

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
)

// Hash hashes texts together, each with its length, which keeps ("a","bc") apart from ("ab","c").
func Hash(texts ...string) [32]byte {
	b := make([]byte, 0, 128)
	for _, t := range texts {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	return sha256.Sum256(b)
}

// Query tells queries apart, so that a cursor is not used with another one. The times of a
// query are left out: "the last hour" is another hour on every page, and a place in a list
// is right whatever they are.
func Query(parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%#v", parts)
	return h.Sum64()
}
