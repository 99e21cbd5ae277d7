package secret

// packing is a way to write bytes in characters of fewer bits.
type packing struct {
	bits   int        // of a character
	phases int        // in how many ways characters and bytes can be out of step
	values [256]uint8 // of characters; none is not one of them
}

const none = 0xff

// packings are base64, of both alphabets at once, and hex.
var packings = [...]*packing{
	packingOf(6, 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "-_", 62),
	packingOf(4, 2, "0123456789abcdef", "ABCDEF", 10),
}

// packingOf has the values of alphabet from 0 on, and those of others from first on.
func packingOf(bits, phases int, alphabet, others string, first uint8) *packing {
	p := &packing{bits: bits, phases: phases}
	for i := range p.values {
		p.values[i] = none
	}
	for i := range len(alphabet) {
		p.values[alphabet[i]] = uint8(i)
	}
	for i := range len(others) {
		p.values[others[i]] = first + uint8(i)
	}
	return p
}

// unpack yields where a secret stands in text that is packed. What stands around
// it in the same run of characters, such as the user in Basic dXNlcjpwYXNz, moves
// it against the characters: the run is unpacked once for each way to do so.
func (s *Scrubber) unpack(text string, p *packing) func(yield func(span) bool) {
	return func(yield func(span) bool) {
		var bytes []byte
		for start := 0; start < len(text); start++ {
			end := start
			for end < len(text) && p.values[text[end]] != none {
				end++
			}
			for from := start; from < start+p.phases && (end-from)*p.bits >= s.shortest*8; from++ {
				bytes = p.decode(bytes[:0], text[from:end])
				for at, n := range s.search(string(bytes)) {
					last := from + ((at+n)*8+p.bits-1)/p.bits
					if !yield(span{from + at*8/p.bits, last}) {
						return
					}
				}
			}
			start = end
		}
	}
}

// decode appends the whole bytes of run, which has none but characters of p.
func (p *packing) decode(out []byte, run string) []byte {
	var have, n uint
	for i := range len(run) {
		have = have<<p.bits | uint(p.values[run[i]])
		if n += uint(p.bits); n >= 8 {
			n -= 8
			out = append(out, byte(have>>n))
		}
	}
	return out
}
