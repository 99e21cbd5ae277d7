package pgstore

// Statements of a copy. Those that read go through whole tables in the order of their keys.
const (
	sqlCopyKept     = `SELECT bodies, newest, next_dest FROM fantail.kept`
	sqlCopySettings = `SELECT hash, sealed FROM fantail.settings WHERE (hash < 0, hash) >= ($1::bigint < 0, $1::bigint) ORDER BY hash < 0, hash` // hashes have no sign
	sqlCopyValues   = `SELECT key, value FROM fantail.value WHERE key >= $1 AND key <> $2 ORDER BY key`
	sqlCopyDocument = `
SELECT developer, version, at, by, deleted, text, version = max(version) OVER (PARTITION BY developer)
FROM fantail.document WHERE developer >= $1 ORDER BY developer, version`
	sqlCopyActs     = `SELECT at, developer, by, via, source, call, object, reason, result, state, count FROM fantail.act WHERE at > $1 ORDER BY at`
	sqlCopyErasures = `SELECT DISTINCT at, who, developer, by, events, cancelled FROM fantail.erasure ORDER BY at, who`
	sqlCopyKeys     = `SELECT day, hash, body, event, fanout, reference FROM fantail.idem WHERE (day, hash) > ($1, $2) ORDER BY day, hash`
)

// Statements that read one day, from an event on. By primary key and, of what replays have made pending,
// by pending_replay.
const (
	sqlCopyEvents     = `SELECT ` + eventColumns + `, e.key FROM fantail.event e WHERE e.day = $1 AND e.id >= $2 ORDER BY e.id`
	sqlCopyBodies     = `SELECT id, body FROM fantail.body WHERE day = $1 AND id >= $2 ORDER BY id`
	sqlCopyDeliveries = `
SELECT d.day, d.event, d.dest, d.replay, d.slot, d.state, 0::bigint AS settings, 0::bigint AS due, d.ordering, d.changed, d.version, d.round, d.attempts, d.size, d.reason
FROM fantail.done d WHERE d.day = $1 AND d.event >= $2
UNION ALL
SELECT p.day, p.event, p.dest, p.replay, p.slot, 1::smallint, p.settings, p.due, p.ordering, p.changed, p.version, p.round, p.attempts, p.size, ''::bytea
FROM fantail.pending p WHERE p.day = $1 AND p.replay = 0 AND p.event >= greatest($2, $3::uuid) AND p.event <= $4
UNION ALL
SELECT p.day, p.event, p.dest, p.replay, p.slot, 1::smallint, p.settings, p.due, p.ordering, p.changed, p.version, p.round, p.attempts, p.size, ''::bytea
FROM fantail.pending p WHERE p.day = $1 AND p.replay <> 0 AND p.event >= $2
ORDER BY event`
	sqlCopyAttempts = `
SELECT a.event, a.dest, a.replay, a.version, ` + attemptScan + ` FROM fantail.attempt a
WHERE a.day = $1 AND a.event >= $2 ORDER BY a.event, a.dest, a.replay, a.at, a.version`
)

// Statements that write. Rows are new; the transaction holds the fence.
const (
	sqlPasteBegin       = `SELECT id, ` + hasty + ` FROM fantail.slot WHERE id = $1 AND owner = $2 AND epoch = $3 FOR NO KEY UPDATE`
	sqlPasteKept        = `UPDATE fantail.kept SET bodies = $1, newest = $2, next_dest = $3`
	sqlPasteDestination = `INSERT INTO fantail.destination (id, hash, developer, name, kind, state, last) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	sqlPasteEvents      = `
INSERT INTO fantail.event (day, id, slot, who, ordering, size, versioned, erased, developer, type, version, usr, reference, trace, key, dests)
SELECT e.day, e.id, $1, e.who, e.ordering, e.size, e.versioned, e.erased, e.developer, e.type, e.version, e.usr, e.reference, e.trace, e.key,
	($2::int[])[e.first : e.first + e.fanout - 1]
FROM unnest($3::int[], $4::uuid[], $5::bigint[], $6::bigint[], $7::int[], $8::bool[], $9::bool[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[],
	$14::bytea[], $15::bytea[], $16::bytea[], $17::int[], $18::int[])
	AS e(day, id, who, ordering, size, versioned, erased, developer, type, version, usr, reference, trace, key, first, fanout)`
	sqlPasteBodies   = `INSERT INTO fantail.body (day, id, body) SELECT * FROM unnest($1::int[], $2::uuid[], $3::bytea[])`
	sqlPasteCounters = `
INSERT INTO fantail.counter (slot, day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
SELECT $1, * FROM unnest($2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])`
	sqlPasteKeys = `
INSERT INTO fantail.idem (hash, body, event, day, fanout, reference)
SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::uuid[], $4::int[], $5::int[], $6::bytea[])`
)
