package series

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// version is that of what Save writes. What another version wrote is begun anew: it is
// worth a week at the most.
const version = 1

// saveMost bounds what Save writes: Recorded destinations and kindsMost kinds with the
// largest numbers there are.
const saveMost = 8 << 20

var errDamaged = errors.New("unreadable")

// Save returns what Load takes.
func (s *Series) Save() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := make([]byte, 5, s.saved+s.saved/8+(4<<10))
	b = binary.AppendVarint(binary.AppendVarint(b, s.tick), s.ranked)
	b = binary.AppendUvarint(b, uint64(len(s.kinds)))
	for name, k := range s.kinds {
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		for i := range k.rings {
			b = k.rings[i].save(b)
		}
		for i := range k.open {
			b = k.open[i].sum.save(binary.AppendVarint(b, k.open[i].at))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.own)))
	for _, d := range s.own {
		r := d.own.Load()
		var one sample
		r.now.take(&one)
		r.now.put(&one) // what is counted meanwhile stays
		b = binary.AppendUvarint(b, uint64(d.id))
		b = r.ring.save(binary.AppendVarint(b, r.asked))
		b = one.save(b)
	}
	b[0], s.saved = version, len(b)
	binary.BigEndian.PutUint32(b[1:], crc32.ChecksumIEEE(b[5:]))
	return b
}

func (s *sample) save(b []byte) []byte {
	for _, n := range []uint32{s.accepted, s.delivered, s.failed} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	for i, n := range s.latency {
		if n > 0 {
			b = binary.AppendUvarint(append(b, byte(i+1)), uint64(n))
		}
	}
	return append(b, 0)
}

// save writes a ring from its oldest point on, in turn how many points are absent and
// how many are not, and those.
func (r *ring) save(b []byte) []byte {
	n := int64(len(r.points))
	b = binary.AppendVarint(b, r.last)
	for i := r.last - n + 1; i <= r.last; {
		from := i
		for i <= r.last && r.at(i) == absent {
			i++
		}
		b = binary.AppendUvarint(b, uint64(i-from))
		from = i
		for i <= r.last && r.at(i) != absent {
			i++
		}
		b = binary.AppendUvarint(b, uint64(i-from))
		for ; from < i; from++ {
			p := r.at(from)
			for _, v := range [...]uint16{p.accepted, p.delivered, p.failed, p.pending} {
				b = binary.AppendUvarint(b, uint64(v))
			}
			b = append(b, p.p50, p.p99)
		}
	}
	return b
}

// Load goes on from what Save returned, which must be before the first Dest; after an
// error s is as New made it.
func (s *Series) Load(b []byte) error {
	if len(b) < 5 || len(b) > saveMost || b[0] == version && crc32.ChecksumIEEE(b[5:]) != binary.BigEndian.Uint32(b[1:]) {
		return errDamaged
	}
	if b[0] != version {
		return fmt.Errorf("of version %d, this program reads %d", b[0], version)
	}
	d := decoder{b: b[5:]}
	o := New()
	o.tick, o.ranked = d.int(), d.int()
	for range d.count(kindsMost + 1) {
		name := d.text()
		k := newKind()
		for i := range k.rings {
			d.ring(&k.rings[i])
		}
		for i := range k.open {
			k.open[i].at = d.int()
			d.sample(&k.open[i].sum)
		}
		o.kinds[name] = k
	}
	o.loaded = map[uint32]*recorded{}
	for range d.count(Recorded) {
		id, r := uint32(d.uint(1<<32-1)), newRecorded()
		r.asked = d.int()
		d.ring(&r.ring)
		var one sample
		d.sample(&one)
		r.now.put(&one)
		o.loaded[id] = r
	}
	if d.bad || len(d.b) > 0 {
		return errDamaged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick, s.ranked, s.kinds, s.loaded = o.tick, o.ranked, o.kinds, o.loaded
	return nil
}

// decoder reads what is not trusted; once it is bad it reads zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uint(most uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad = d.bad || n <= 0 || v > most; d.bad {
		d.b = nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) count(most uint64) int { return int(d.uint(most)) }

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if d.bad = d.bad || n <= 0 || v < 0 || v > 1<<40; d.bad {
		d.b = nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if d.bad = d.bad || len(d.b) == 0; d.bad {
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) text() string {
	n := d.count(256)
	if d.bad = d.bad || n > len(d.b); d.bad {
		return ""
	}
	v := string(d.b[:n])
	d.b = d.b[n:]
	return v
}

func (d *decoder) sample(s *sample) {
	for _, n := range []*uint32{&s.accepted, &s.delivered, &s.failed} {
		*n = uint32(d.uint(1<<32 - 1))
	}
	for i := d.byte(); i != 0 && !d.bad; i = d.byte() {
		if i > bins {
			d.bad = true
			return
		}
		s.latency[i-1] = uint32(d.uint(1<<32 - 1))
	}
}

func (d *decoder) ring(r *ring) {
	n := int64(len(r.points))
	r.last = d.int()
	for i := r.last - n + 1; i <= r.last && !d.bad; {
		left := uint64(r.last - i + 1)
		i += int64(d.uint(left))
		present := d.uint(uint64(r.last - i + 1))
		for ; present > 0 && !d.bad; present-- {
			var p bucket
			for _, v := range [...]*uint16{&p.accepted, &p.delivered, &p.failed, &p.pending} {
				*v = uint16(d.uint(1<<16 - 1))
			}
			p.p50, p.p99 = d.byte(), d.byte()
			if i < 0 || p.p50 > bins || p.p99 > bins {
				d.bad = true
				return
			}
			r.points[i%n] = p
			i++
		}
	}
}
