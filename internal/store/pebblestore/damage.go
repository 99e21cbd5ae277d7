package pebblestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

var errDamage = errors.New("a record before the last sync is unreadable")

// The layout of a chunk of Pebble's log that says how far the log was synced
// when it was written: checksum 4, length 2, encoding 1, log number 4, offset 8.
const (
	logBlock        = 32 << 10
	syncChunkHeader = 19
	firstSyncChunk  = 9 // full, first, middle, last
	lastSyncChunk   = 12
)

// syncedBehind tells whether a whole chunk follows the last readable record of l, in the same
// block, and says that more than that record was synced. A whole chunk alone proves nothing:
// the disk may write pages that were not synced in any order.
func (s *Store) syncedBehind(l *logScan) (bool, error) {
	f, err := s.opts.FS.Open(s.opts.FS.PathJoin(s.dir, l.name))
	if err != nil {
		return false, err
	}
	defer f.Close()
	rest := make([]byte, logBlock-l.good%logBlock)
	n, err := f.ReadAt(rest, l.good)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	rest = rest[:n]
	for at := 1; at+syncChunkHeader <= len(rest); at++ {
		c := rest[at:]
		end := syncChunkHeader + int(binary.LittleEndian.Uint16(c[4:]))
		if c[6] < firstSyncChunk || c[6] > lastSyncChunk || end > len(c) ||
			binary.LittleEndian.Uint32(c[7:]) != uint32(l.number) ||
			binary.LittleEndian.Uint64(c[11:]) <= uint64(l.good) {
			continue
		}
		if sum := crc32.Checksum(c[6:end], crc32.MakeTable(crc32.Castagnoli)); (sum>>15|sum<<17)+0xa282ead8 == binary.LittleEndian.Uint32(c) {
			return true, nil
		}
	}
	return false, nil
}
