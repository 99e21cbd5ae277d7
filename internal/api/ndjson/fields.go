package ndjson

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/internal/ingest"
)

// lineBody decodes the event of a line that carries it as base64: bytes that
// span several lines, or have white space around them, can go in a line no
// other way without being changed.
func lineBody(raw []byte) ([]byte, error) {
	bad := ingest.Refuse(400, "invalid_field", "body is not base64 (RFC 4648, with padding) of the event's bytes")
	if raw[0] != '"' {
		return nil, bad
	}
	text, ok := decodeText(raw)
	if !ok {
		return nil, bad
	}
	body, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(body) == 0 {
		return nil, bad
	}
	return body, nil
}

// lineOrdering reads milliseconds since 1970 with up to three decimals: the
// store keeps microseconds, and what was exported must compare as it did before.
func lineOrdering(s string) (time.Time, error) {
	whole, decimals, fraction := strings.Cut(s, ".")
	at, err := ingest.OrderingTime(whole)
	if err != nil || !fraction {
		return at, err
	}
	micros, err := strconv.ParseUint((decimals + "000")[:3], 10, 16)
	if err != nil || len(decimals) == 0 || len(decimals) > 3 {
		return time.Time{}, ingest.Refuse(400, "invalid_ordering_timestamp", "the ordering timestamp must be milliseconds since 1970, with three decimals at most")
	}
	return at.Add(time.Duration(micros) * time.Microsecond), nil
}
