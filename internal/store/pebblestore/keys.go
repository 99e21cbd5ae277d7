package pebblestore

import (
	"encoding/binary"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/keys"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Every key begins with one of these. The day follows wherever data ages, so
// that retention is one range deletion per kind and whole files fall away.
// Numbers are big-endian: bytes sort as numbers do.
const (
	kindAttempt  = 'a' // day event dest replay start version
	kindCounters = 'c' // day dest
	kindDue      = 'd' // dest settings due event replay: what is pending, for Due and Queues alone
	kindEvent    = 'e' // day event: all but the body
	kindFormat   = 'f'
	kindAct      = 'h' // see act.go
	kindOwner    = 'g' // day hash(developer) event
	kindIdem     = 'k' // day hash(developer, idempotency key)
	kindMark     = 'n' // the watermark: see implied.go
	kindDocument = 'o' // see documents.go
	kindBody     = 'p' // day event
	kindRegistry = 'r' // see registry.go
	kindSettings = 's' // hash
	kindUser     = 'u' // day hash(developer, user) event
	kindDelivery = 'v' // day event dest replay
	kindState    = 'x' // day dest state event replay
)

const (
	lenEventKey    = 1 + 2 + 16
	lenDeliveryKey = lenEventKey + 8
	lenCountersKey = 1 + 2 + 4
	lenStateKey    = 1 + 2 + 4 + 1 + 16 + 4
	lenDueKey      = 1 + 4 + 8 + 8 + 16 + 4
	lenQueuePrefix = 1 + 4 + 8
	lenOwnerKey    = 1 + 2 + 8 + 16
	lenUserKey     = 1 + 2 + 16 + 16
)

var be = binary.BigEndian

func dayKey(b []byte, kind byte, day event.Day) []byte {
	return be.AppendUint16(append(b, kind), uint16(day))
}

func eventKey(b []byte, kind byte, day event.Day, id event.ID) []byte {
	return append(dayKey(b, kind, day), id[:]...)
}

func deliveryKey(b []byte, id store.DeliveryID) []byte {
	b = eventKey(b, kindDelivery, id.Day, id.Event)
	return be.AppendUint32(be.AppendUint32(b, id.Dest), id.Replay)
}

// parseDeliveryKey reads deliveryKey, or attemptKey without its end.
func parseDeliveryKey(k []byte) (id store.DeliveryID, ok bool) {
	if len(k) < lenDeliveryKey {
		return id, false
	}
	id.Day = event.Day(be.Uint16(k[1:]))
	copy(id.Event[:], k[3:])
	id.Dest, id.Replay = be.Uint32(k[19:]), be.Uint32(k[23:])
	return id, true
}

// attemptKey names the attempt that began at at for version n of the row, oldest first. The
// same attempt settled twice gets the same key; another attempt gets its own.
func attemptKey(b []byte, id store.DeliveryID, n uint32, at int64) []byte {
	i := len(b)
	b = be.AppendUint32(be.AppendUint64(deliveryKey(b, id), uint64(max(at, 0))), n)
	b[i] = kindAttempt
	return b
}

func countersKey(b []byte, day event.Day, dest uint32) []byte {
	return be.AppendUint32(dayKey(b, kindCounters, day), dest)
}

func statePrefix(b []byte, day event.Day, dest uint32, s store.State) []byte {
	return append(be.AppendUint32(dayKey(b, kindState, day), dest), byte(s))
}

func stateKey(b []byte, id store.DeliveryID, s store.State) []byte {
	b = append(statePrefix(b, id.Day, id.Dest, s), id.Event[:]...)
	return be.AppendUint32(b, id.Replay)
}

func parseStateKey(k []byte) (id store.DeliveryID, s store.State, ok bool) {
	if len(k) != lenStateKey {
		return id, 0, false
	}
	id.Day, id.Dest, s = event.Day(be.Uint16(k[1:])), be.Uint32(k[3:]), store.State(k[7])
	copy(id.Event[:], k[8:])
	id.Replay = be.Uint32(k[24:])
	return id, s, true
}

func queuePrefix(b []byte, q store.QueueID) []byte {
	return be.AppendUint64(be.AppendUint32(append(b, kindDue), q.Dest), q.Settings)
}

// dueKey orders a queue by (Due, event, replay). A Due before 1970 sorts as 0.
func dueKey(b []byte, q store.QueueID, p store.Position) []byte {
	b = be.AppendUint64(queuePrefix(b, q), uint64(max(p.Due, 0)))
	b = append(b, p.Event[:]...)
	return be.AppendUint32(b, p.Replay)
}

func parseDueKey(k []byte) (q store.QueueID, p store.Position, ok bool) {
	if len(k) != lenDueKey {
		return q, p, false
	}
	q = store.QueueID{Dest: be.Uint32(k[1:]), Settings: be.Uint64(k[5:])}
	p.Due = int64(be.Uint64(k[13:]))
	copy(p.Event[:], k[21:])
	p.Replay = be.Uint32(k[37:])
	return q, p, true
}

// ownerKey indexes the events of a developer; the hash only narrows, whoever
// reads compares the developer's name.
func ownerKey(b []byte, day event.Day, developer string, id event.ID) []byte {
	return append(ownerPrefix(b, day, developer), id[:]...)
}

func ownerPrefix(b []byte, day event.Day, developer string) []byte {
	h := keys.Hash(developer)
	return append(dayKey(b, kindOwner, day), h[:8]...)
}

func userKey(b []byte, day event.Day, developer, user string, id event.ID) []byte {
	return append(userPrefix(b, day, developer, user), id[:]...)
}

func userPrefix(b []byte, day event.Day, developer, user string) []byte {
	h := keys.Hash(developer, user)
	return append(dayKey(b, kindUser, day), h[:16]...)
}

type idemHash [16]byte

func idemKey(b []byte, day event.Day, h idemHash) []byte {
	return append(dayKey(b, kindIdem, day), h[:]...)
}

// after returns the smallest key above every key that begins with prefix. It
// overwrites prefix.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		prefix[i]++
		if prefix[i] != 0 {
			return prefix[:i+1]
		}
	}
	return nil
}
