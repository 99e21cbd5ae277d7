package pgstore

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// who names a user of a developer in an index; 0 is nobody.
func who(developer, user string) int64 {
	if user == "" {
		return 0
	}
	h := keys.Hash(developer, user)
	return int64(binary.BigEndian.Uint64(h[:]) | 1)
}

// unsigned scans an integer of 32 bits that stands for one without a sign.
type unsigned struct{ to *uint32 }

// ScanInt64 implements pgtype.Int64Scanner.
func (u unsigned) ScanInt64(n pgtype.Int8) error {
	*u.to = uint32(n.Int64)
	return nil
}

// hash scans a bigint that stands for a hash of 64 bits.
type hash struct{ to *uint64 }

// ScanInt64 implements pgtype.Int64Scanner.
func (h hash) ScanInt64(n pgtype.Int8) error {
	*h.to = uint64(n.Int64)
	return nil
}

// dayOf scans a day.
type dayOf struct{ to *event.Day }

// ScanInt64 implements pgtype.Int64Scanner.
func (d dayOf) ScanInt64(n pgtype.Int8) error {
	*d.to = event.Day(n.Int64)
	return nil
}

// text scans bytea into a string.
type text struct{ to *string }

// ScanBytes implements pgtype.BytesScanner.
func (t text) ScanBytes(b []byte) error {
	*t.to = string(b)
	return nil
}
