package objectkey

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxValue is how many bytes of a key one value may take. Ids have 36; what is
// longer would break the limits of keys, and those that file systems behind some
// servers have for one name (255).
const maxValue = 128

const upper = "0123456789ABCDEF"

// safe returns text as it may stand in a key: no value can leave the folder that
// the layout gives it, or make a key that S3 or GCS refuses. Percent-encoded are
// / and \, which are folders to somebody; %, so that different texts stay
// different; dots but those between two other characters, so that nothing is .
// or .. or .well-known; control characters, U+FFFE and U+FFFF, which listings
// in XML cannot carry; and bytes that are not UTF-8. A text too long ends in a ~
// and a hash of all of it.
func safe(text string) string {
	var b strings.Builder
	cut := 0 // where the last character that leaves room for the hash ends
	const room = maxValue - 1 - 32
	for i, r := range text {
		n := utf8.RuneLen(r)
		if r == utf8.RuneError {
			_, n = utf8.DecodeRuneInString(text[i:])
		}
		if escape(text, i, r, n) {
			for _, c := range []byte(text[i : i+n]) {
				b.Write([]byte{'%', upper[c>>4], upper[c&15]})
			}
		} else {
			b.WriteString(text[i : i+n])
		}
		if b.Len() <= room {
			cut = b.Len()
		}
		if b.Len() > maxValue {
			sum := sha256.Sum256([]byte(text))
			return b.String()[:cut] + "~" + hex.EncodeToString(sum[:16])
		}
	}
	return b.String()
}

// escape tells whether the character r of n bytes at i of text is encoded.
func escape(text string, i int, r rune, n int) bool {
	switch r {
	case '/', '\\', '%', 0xFFFE, 0xFFFF:
		return true
	case utf8.RuneError:
		return n == 1
	case '.':
		return i == 0 || i == len(text)-1 || text[i-1] == '.' || text[i+1] == '.'
	}
	return unicode.IsControl(r)
}
