package pgstore

// Statements that write. Each says which plan it is meant to have; plans_test.go
// holds the hot ones to it.
//
// A commit takes the fence first (guard). The fence is the row of its slot, and guard returns
// it only while owner and epoch are as the committer knows them. Everything else that a
// statement does depends on that row, so that with a stale owner it does nothing. The lock is
// FOR NO KEY UPDATE, because each slot has one committer: FOR SHARE would make a multixact for
// every commit.
//
// A setting that one transaction alone may have is set by set_config(..., true) within the
// statement: SET would stay in a session that a pooler hands to somebody else.

// durable keeps synchronous_commit as the server, the database or the role have it, unless it
// is off: an accepted event must not be lost.
const durable = `set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`

// hasty does not wait for the disk: a commit that a crash loses is made again.
const hasty = `set_config('synchronous_commit', 'off', true)`

// sqlFence takes a new epoch, durably: after it no commit of the old one can come. By primary
// key.
const sqlFence = `
UPDATE fantail.slot SET epoch = epoch + 1 WHERE id = $1 AND owner = $2
RETURNING epoch, ` + durable

// sqlBegin takes the fence for a transaction, whose commit does not wait for the disk. A daemon
// that is gone in the middle of it would hold the fence for as long as the server believes in
// the connection, and nobody could adopt its work. By primary key.
const sqlBegin = `
SELECT id, ` + hasty + `, set_config('idle_in_transaction_session_timeout', '5s', true) FROM fantail.slot WHERE id = $1 AND owner = $2 AND epoch = $3 FOR NO KEY UPDATE`

// sqlTallyOf is what a commit did to the counters. No row means that it was not done; a commit
// that changed no counter has one row of zeros. By primary key.
const sqlTallyOf = `
SELECT coalesce(u.day, 0), coalesce(u.dest, 0), coalesce(u.accepted, 0), coalesce(u.delivered, 0), coalesce(u.pending, 0), coalesce(u.dead, 0), coalesce(u.cancelled, 0), coalesce(u.bytes, 0), coalesce(u.attempts, 0), coalesce(u.sizes, 0)
FROM fantail.tally t
LEFT JOIN LATERAL unnest(t.day, t.dest, t.accepted, t.delivered, t.pending, t.dead, t.cancelled, t.bytes, t.attempts, t.sizes)
	AS u(day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes) ON true
WHERE t.slot = $1 AND t.seq = $2`

// sqlAppend stores a group of events with their deliveries, synchronously. It inserts rows and
// reads none. A delivery lies in the slot of the commit, or in that of its serial destination
// ($30). $4 is how long it waits for a lock, "0" for ever: a key that another daemon has
// in flight would keep the whole group waiting. Keys come sorted by hash, so that two daemons
// with the same keys wait for each other in one direction.
const sqlAppend = `
WITH guard AS MATERIALIZED (
	SELECT ` + durable + `, set_config('lock_timeout', $4, true)
	FROM fantail.slot WHERE id = $1 AND owner = $2 AND epoch = $3 FOR NO KEY UPDATE
), keys AS (
	INSERT INTO fantail.idem (hash, body, event, day, fanout, reference)
	SELECT k.* FROM guard, unnest($5::bytea[], $6::bytea[], $7::uuid[], $8::int[], $9::int[], $10::bytea[]) AS k
), events AS (
	INSERT INTO fantail.event (day, id, who, ordering, size, versioned, developer, type, version, usr, reference, trace, key, slot, dests)
	SELECT e.day, e.id, e.who, e.ordering, e.size, e.versioned, e.developer, e.type, e.version, e.usr, e.reference, e.trace, e.key, $1,
		($12::int[])[e.first : e.first + e.fanout - 1]
	FROM guard, unnest($13::int[], $11::uuid[], $14::bigint[], $15::bigint[], $16::int[], $17::bool[], $18::bytea[], $19::bytea[], $20::bytea[], $21::bytea[],
		$22::bytea[], $23::bytea[], $24::bytea[], $25::int[], $26::int[])
		AS e(day, id, who, ordering, size, versioned, developer, type, version, usr, reference, trace, key, first, fanout)
), bodies AS (
	INSERT INTO fantail.body (day, id, body)
	SELECT b.* FROM guard, unnest($13::int[], $11::uuid[], $27::bytea[]) AS b
), deliveries AS (
	INSERT INTO fantail.pending (event, dest, day, ordering, size, slot, replay, settings, due, changed, version, round, attempts)
	SELECT ($11::uuid[])[d.n], d.dest, ($13::int[])[d.n], ($15::bigint[])[d.n], ($16::int[])[d.n], coalesce(d.slot, $1), 0, 0, greatest(d.now, 0), d.now, 1, 0, 0
	FROM guard, unnest($28::int[], $12::int[], $29::bigint[], $30::smallint[]) AS d(n, dest, now, slot)
), counted AS (
	INSERT INTO fantail.tally (slot, seq, born, since, day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
	SELECT $1, $31, $32::int[], $33, $34::int[], $35::int[], $36::int[], $37::int[], $38::int[], $39::int[], $40::int[], $41::bigint[], $42::int[], $43::bigint[] FROM guard
)
SELECT count(*) FROM guard`

// sqlSettle records outcomes of rows that nobody has changed meanwhile, asynchronously. It
// names each delivery once. It finds rows of pending by primary key, in a nested loop, and
// reads nothing else. It returns which outcomes it recorded; the others alone are handled row
// by row.
const sqlSettle = `
WITH guard AS MATERIALIZED (
	SELECT ` + hasty + ` FROM fantail.slot WHERE id = $1 AND owner = $2 AND epoch = $3 FOR NO KEY UPDATE
), x AS MATERIALIZED (
	SELECT u.* FROM guard, unnest($5::int[], $6::uuid[], $7::int[], $8::bigint[], $9::int[], $10::int[], $11::int[], $12::bigint[], $13::bigint[], $14::int[], $15::bytea[])
		AS u(n, event, dest, replay, day, version, state, due, settings, attempts, reason)
), ended AS (
	DELETE FROM fantail.pending p USING x
	WHERE x.state <> 1 AND p.event = x.event AND p.dest = x.dest AND p.replay = x.replay AND p.day = x.day AND p.version = x.version
	RETURNING x.n, x.state, x.attempts AS counted, x.reason, p.*
), again AS (
	UPDATE fantail.pending p SET due = x.due, settings = x.settings, attempts = x.attempts, version = p.version + 1,
		changed = CASE WHEN p.due = x.due AND p.settings = x.settings THEN p.changed ELSE $4 END
	FROM x
	WHERE x.state = 1 AND p.event = x.event AND p.dest = x.dest AND p.replay = x.replay AND p.day = x.day AND p.version = x.version
	RETURNING x.n, p.event, p.dest, p.day, p.replay, x.version
), filed AS (
	INSERT INTO fantail.done (day, event, dest, replay, slot, state, ordering, changed, version, round, attempts, size, reason)
	SELECT day, event, dest, replay, slot, state, ordering, $4, version + 1, round, counted, size, reason FROM ended
), hit AS MATERIALIZED (
	SELECT n, event, dest, day, replay, version FROM ended UNION ALL SELECT n, event, dest, day, replay, version FROM again
), logged AS (
	INSERT INTO fantail.attempt (day, event, dest, replay, at, version, took, code, requests, counted, class, answer, address)
	SELECT hit.day, hit.event, hit.dest, hit.replay, a.at, hit.version, a.took, a.code, a.requests, a.counted, a.class, a.answer, a.address
	FROM unnest($16::int[], $17::bigint[], $18::bigint[], $19::int[], $20::smallint[], $21::bool[], $22::bytea[], $23::bytea[], $24::bytea[])
		AS a(n, at, took, code, requests, counted, class, answer, address) JOIN hit USING (n)
	ON CONFLICT DO NOTHING RETURNING day, dest, class
), sums AS (
	SELECT day, dest, count(*) FILTER (WHERE state = 2) AS delivered, count(*) FILTER (WHERE state > 0) AS gone, count(*) FILTER (WHERE state = 3) AS dead,
		count(*) FILTER (WHERE state = 4) AS cancelled, coalesce(sum(size::bigint), 0) AS bytes, count(*) FILTER (WHERE state = 0) AS attempts
	FROM (SELECT day, dest, state, size FROM ended UNION ALL SELECT day, dest, 0, 0 FROM logged WHERE class <> 'expired') u GROUP BY day, dest
), counted AS (
	INSERT INTO fantail.tally (slot, seq, day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
	SELECT $1, $25, coalesce(array_agg(day), '{}'), coalesce(array_agg(dest), '{}'), coalesce(array_agg(0), '{}'), coalesce(array_agg(delivered), '{}'), coalesce(array_agg(-gone), '{}'),
		coalesce(array_agg(dead), '{}'), coalesce(array_agg(cancelled), '{}'), coalesce(array_agg(-bytes), '{}'), coalesce(array_agg(attempts), '{}'), coalesce(array_agg(0), '{}')
	FROM sums HAVING (SELECT count(*) FROM guard) > 0
)
SELECT (SELECT count(*) FROM guard), coalesce((SELECT array_agg(n) FROM hit), '{}')`

// Statements of a transaction that changes rows one by one. Rows are locked in the order of
// their keys, in both tables: two transactions that change the same rows wait for each other in
// one direction. By primary key, in nested loops; a partition of done for each day.
const sqlLockPending = `
SELECT p.day, p.event, p.dest, p.replay, p.slot, 1 AS state, p.settings, p.due, p.ordering, p.changed, p.version, p.round, p.attempts, p.size, ''::bytea
FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[]) AS x(day, event, dest, replay)
JOIN fantail.pending p ON p.event = x.event AND p.dest = x.dest AND p.replay = x.replay AND p.day = x.day
ORDER BY p.event, p.dest FOR UPDATE OF p`

const sqlLockDone = `
SELECT d.day, d.event, d.dest, d.replay, d.slot, d.state, 0, 0, d.ordering, d.changed, d.version, d.round, d.attempts, d.size, d.reason
FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[]) AS x(day, event, dest, replay)
JOIN fantail.done d ON d.day = x.day AND d.event = x.event AND d.dest = x.dest AND d.replay = x.replay
ORDER BY d.day, d.event, d.dest, d.replay FOR UPDATE OF d`

// sqlErased tells which of some events are erased, and has an erasure wait for the commit. By
// primary key.
const sqlErased = `
SELECT e.id FROM unnest($1::int[], $2::uuid[]) AS x(day, id) JOIN fantail.event e ON e.day = x.day AND e.id = x.id
WHERE e.erased FOR SHARE OF e`

// sqlDropPending and sqlDropDone delete rows that are inserted again as they are now.
const sqlDropPending = `
DELETE FROM fantail.pending p USING unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[]) AS x(day, event, dest, replay)
WHERE p.event = x.event AND p.dest = x.dest AND p.replay = x.replay AND p.day = x.day`

const sqlDropDone = `
DELETE FROM fantail.done d USING unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[]) AS x(day, event, dest, replay)
WHERE d.day = x.day AND d.event = x.event AND d.dest = x.dest AND d.replay = x.replay`

const sqlPutPending = `
INSERT INTO fantail.pending (day, event, dest, replay, slot, settings, due, ordering, changed, version, round, attempts, size)
SELECT * FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[], $5::smallint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::int[], $11::int[], $12::int[], $13::int[])`

const sqlPutDone = `
INSERT INTO fantail.done (day, event, dest, replay, slot, state, ordering, changed, version, round, attempts, size, reason)
SELECT * FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[], $5::smallint[], $6::smallint[], $7::bigint[], $8::bigint[], $9::int[], $10::int[], $11::int[], $12::int[], $13::bytea[])`

// sqlLogged tells which of some attempts the log has. By primary key.
const sqlLogged = `
SELECT a.day, a.event, a.dest, a.replay, a.at, a.version
FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::int[]) AS x(day, event, dest, replay, at, version)
JOIN fantail.attempt a ON a.day = x.day AND a.event = x.event AND a.dest = x.dest AND a.replay = x.replay AND a.at = x.at AND a.version = x.version`

// sqlLog adds attempts. A repeated call logs the same attempts, and adds none.
const sqlLog = `
INSERT INTO fantail.attempt (day, event, dest, replay, at, version, took, code, requests, counted, class, answer, address)
SELECT * FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::int[], $9::smallint[], $10::bool[], $11::bytea[], $12::bytea[], $13::bytea[])
ON CONFLICT (event, dest, replay, at, version, day) DO UPDATE SET
	took = excluded.took, code = excluded.code, requests = excluded.requests, counted = excluded.counted, class = excluded.class, answer = excluded.answer, address = excluded.address`

const sqlTally = `
INSERT INTO fantail.tally (slot, seq, born, since, day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`

// sqlFold adds up the tally of a slot, up to the last commit that is known to have ended. It
// begins at the cursor, so that dead rows that are not vacuumed yet cost nothing.
const sqlFold = `
WITH gone AS (
	DELETE FROM fantail.tally WHERE slot = $1 AND seq > $2 AND seq <= $3 RETURNING *
), sums AS (
	SELECT u.day, u.dest, sum(u.accepted) AS accepted, sum(u.delivered) AS delivered, sum(u.pending) AS pending, sum(u.dead) AS dead, sum(u.cancelled) AS cancelled, sum(u.bytes) AS bytes, sum(u.attempts) AS attempts, sum(u.sizes) AS sizes
	FROM gone, unnest(gone.day, gone.dest, gone.accepted, gone.delivered, gone.pending, gone.dead, gone.cancelled, gone.bytes, gone.attempts, gone.sizes)
		AS u(day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
	GROUP BY u.day, u.dest
)
INSERT INTO fantail.counter AS c (slot, day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
SELECT $1, s.day, s.dest, s.accepted, s.delivered, s.pending, s.dead, s.cancelled, s.bytes, s.attempts, s.sizes
FROM sums s WHERE ` + hasty + ` IS NOT NULL ORDER BY s.day, s.dest
ON CONFLICT (slot, day, dest) DO UPDATE SET accepted = c.accepted + excluded.accepted, delivered = c.delivered + excluded.delivered,
	pending = c.pending + excluded.pending, dead = c.dead + excluded.dead, cancelled = c.cancelled + excluded.cancelled, bytes = c.bytes + excluded.bytes,
	attempts = c.attempts + excluded.attempts, sizes = c.sizes + excluded.sizes`

// tallied is every counter of a day, folded or not; it is a subquery.
const tallied = `(
	SELECT day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes FROM fantail.counter
	UNION ALL
	SELECT u.* FROM fantail.tally t, unnest(t.day, t.dest, t.accepted, t.delivered, t.pending, t.dead, t.cancelled, t.bytes, t.attempts, t.sizes)
		AS u(day, dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes)
)`

// sqlSums adds up the counters of the days before $1. It reads the whole of both tables,
// at the start and when retention takes rows.
const sqlSums = `
SELECT t.day, t.dest, sum(t.accepted)::bigint, sum(t.delivered)::bigint, sum(t.pending)::bigint, sum(t.dead)::bigint, sum(t.cancelled)::bigint, sum(t.bytes)::bigint, sum(t.attempts)::bigint, sum(t.sizes)::bigint
FROM ` + tallied + ` t WHERE t.day < $1 GROUP BY t.day, t.dest`

// sqlLockKept returns the first day whose bodies are there, and keeps retention from moving
// it. FOR SHARE is fine here: few transactions take it at a time.
const sqlLockKept = `
SELECT bodies FROM fantail.kept FOR SHARE`

// sqlLockBodies returns which of some places have a body. It locks those bodies: an erasure
// waits for the commit. By primary key, in the partition of the day.
const sqlLockBodies = `
SELECT b.day, b.id FROM unnest($1::int[], $2::uuid[]) AS x(day, id) JOIN fantail.body b ON b.day = x.day AND b.id = x.id
WHERE b.day >= $3 FOR KEY SHARE OF b`

// sqlFamilies lists all deliveries of some events: those on the day of the event, and those on
// later days to which replays carry it. By primary key in every partition from $2 on.
const sqlFamilies = `
SELECT day, event, dest, replay FROM fantail.pending WHERE event = ANY($1)
UNION ALL
SELECT day, event, dest, replay FROM fantail.done WHERE event = ANY($1) AND day >= $2`

const sqlEventFacts = `
SELECT e.day, e.id, e.ordering, e.size, e.erased FROM unnest($1::int[], $2::uuid[]) AS x(day, id) JOIN fantail.event e ON e.day = x.day AND e.id = x.id`

// sqlCarryEvent and sqlCarryBody copy an event from the day $1 to the day $3.
const sqlCarryEvent = `
INSERT INTO fantail.event (day, id, slot, who, ordering, size, versioned, erased, developer, type, version, usr, reference, trace, key, dests)
SELECT $3, id, slot, who, ordering, size, versioned, erased, developer, type, version, usr, reference, trace, key, dests
FROM fantail.event WHERE day = $1 AND id = $2 ON CONFLICT DO NOTHING`

const sqlCarryBody = `
INSERT INTO fantail.body (day, id, body) SELECT $3, id, body FROM fantail.body WHERE day = $1 AND id = $2 ON CONFLICT DO NOTHING`

// Statements of the registry. Ids are given out in sequence under the lock of the row of kept,
// and never twice.
const (
	sqlKnownDestinations = `SELECT id, hash FROM fantail.destination WHERE hash = ANY($1)`
	sqlNextDestinations  = `UPDATE fantail.kept SET next_dest = next_dest + $1 RETURNING next_dest - $1`
	sqlLockDestinations  = `SELECT next_dest FROM fantail.kept FOR UPDATE`
	sqlPutDestination    = `INSERT INTO fantail.destination (id, hash, developer, name, kind) VALUES ($1, $2, $3, $4, $5) RETURNING stamp::text::bigint`
	// These put what a failover has lost.
	sqlRaiseDestinations   = `UPDATE fantail.kept SET next_dest = greatest(next_dest, $1)`
	sqlPutDestinationAgain = `INSERT INTO fantail.destination (id, hash, developer, name, kind) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`
	sqlLockState           = `SELECT state FROM fantail.destination WHERE id = $1 FOR UPDATE`
	sqlPutState            = `UPDATE fantail.destination SET state = $2, version = version + 1 WHERE id = $1 RETURNING version, stamp::text::bigint`
	sqlPutLast             = `UPDATE fantail.destination SET last = $2, version = version + 1 WHERE id = $1`
	sqlLastsOf             = `SELECT id, last FROM fantail.destination WHERE developer = $1 AND last <> '' FOR UPDATE`
	sqlPutSettings         = `INSERT INTO fantail.settings (hash, sealed) SELECT * FROM unnest($1::bigint[], $2::bytea[]) ON CONFLICT (hash) DO UPDATE SET used = now()`
	sqlPutValues           = `INSERT INTO fantail.value (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = fantail.value.version + 1`
	sqlFirstValue          = `INSERT INTO fantail.value (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`
	sqlSwapValue           = `UPDATE fantail.value SET value = $2, version = version + 1 WHERE key = $1 AND value = $3`
	sqlDropValue           = `DELETE FROM fantail.value WHERE key = $1`
)

// sqlCollect removes settings that no pending delivery of any slot needs and $1 does not name.
// Beside other daemons it spares what any had a use for lately: what they keep is not known
// here. It looks for each of the few settings along pending_queue.
const sqlCollect = `
DELETE FROM fantail.settings s WHERE NOT s.hash = ANY($1) AND NOT EXISTS (SELECT FROM fantail.pending p WHERE p.settings = s.hash)
	AND (s.used < now() - interval '2 hours' OR NOT EXISTS (
		SELECT FROM fantail.slot o JOIN fantail.lease l ON l.slot = o.id WHERE o.owner <> $2 AND o.owner <> '` + nobody + `' AND l.until > now()))`

// sqlUseSettings tells which settings are stored, and notes that somebody has a use for them.
// It waits for a removal that is under way.
const sqlUseSettings = `
UPDATE fantail.settings SET used = now() WHERE hash = ANY($1) AND ` + hasty + ` IS NOT NULL RETURNING hash`

// sqlKeepBodies and sqlKeepNewest move the bounds in kept forward. They wait for transactions
// that make something pending again.
const (
	sqlKeepBodies = `UPDATE fantail.kept SET bodies = greatest(bodies, $1)`
	sqlKeepNewest = `UPDATE fantail.kept SET newest = greatest(newest, $1)`
)

// sqlPendingOf lists the pending deliveries of a day that come after an event: by primary key,
// and by pending_replay.
const sqlPendingOf = `
(SELECT day, event, dest, replay FROM fantail.pending WHERE day = $1 AND replay = 0 AND (event, dest) > ($2, $3) AND event >= $4 AND event < $5 ORDER BY event, dest LIMIT $6)
UNION ALL
(SELECT day, event, dest, replay FROM fantail.pending WHERE day = $1 AND replay <> 0 ORDER BY event, dest LIMIT $6)`

// sqlDropCounters removes counters that retention has subtracted: the rows of all slots for a
// day add up to zero, and the tally holds none of them any more.
const sqlDropCounters = `
WITH nothing AS (
	SELECT day, dest FROM fantail.counter
	WHERE NOT EXISTS (SELECT FROM fantail.tally t WHERE counter.day = ANY(t.day))
	GROUP BY day, dest HAVING sum(accepted) = 0 AND sum(delivered) = 0 AND sum(pending) = 0 AND sum(dead) = 0 AND sum(cancelled) = 0 AND sum(bytes) = 0 AND sum(attempts) = 0 AND sum(sizes) = 0
)
DELETE FROM fantail.counter c USING nothing n WHERE c.day = n.day AND c.dest = n.dest AND ` + hasty + ` IS NOT NULL`

// sqlDropKeys removes some keys that have aged out: by idem_day.
const sqlDropKeys = `
DELETE FROM fantail.idem WHERE hash IN (SELECT hash FROM fantail.idem WHERE day < $1 LIMIT 5000) AND ` + hasty + ` IS NOT NULL`

// Statements of an erasure. Its events are found by event_who, or by event_developer for a
// whole developer, in every partition.
const (
	sqlErasable = `
SELECT id FROM fantail.event WHERE who = $1 AND developer = $2 AND usr = $3 AND id <= $4 GROUP BY id ORDER BY id LIMIT $5`
	sqlErasableWhole = `
SELECT id FROM fantail.event WHERE developer = $1 AND NOT erased AND id <= $2 GROUP BY id ORDER BY id LIMIT $3`
	sqlEraseKeys = `
UPDATE fantail.idem SET reference = '' WHERE hash IN (SELECT key FROM fantail.event WHERE id = ANY($1) AND key IS NOT NULL)`
	sqlEraseBodies  = `DELETE FROM fantail.body WHERE id = ANY($1)`
	sqlEraseEvents  = `UPDATE fantail.event SET who = 0, usr = '', reference = '', trace = NULL, erased = true WHERE id = ANY($1)`
	sqlEraseAnswers = `UPDATE fantail.attempt SET answer = '' WHERE event = ANY($1) AND answer <> ''`
	sqlPutErasure   = `INSERT INTO fantail.erasure (at, developer, who, by, events, cancelled) VALUES ($1, $2, $3, $4, $5, $6)`
)

// Statements of documents and of the trail: small tables, by primary key or act_developer.
const (
	sqlNewestDocument = `SELECT version FROM fantail.document WHERE developer = $1 ORDER BY version DESC LIMIT 1`
	sqlPutDocument    = `INSERT INTO fantail.document (developer, version, at, by, deleted, text) VALUES ($1, $2, $3, $4, $5, $6)`
	sqlAgeDocument    = `DELETE FROM fantail.document WHERE developer = $1 AND version <= $2`
	sqlReseal         = `UPDATE fantail.document SET text = $3 WHERE developer = $1 AND version = $2`
	sqlForgetVersions = `DELETE FROM fantail.document d WHERE d.developer = $1 AND d.version < (SELECT max(version) FROM fantail.document WHERE developer = $1)`
	sqlLockActs       = `SELECT pg_advisory_xact_lock(8245937402373)`
	sqlNewestAct      = `SELECT coalesce((SELECT at FROM fantail.act ORDER BY at DESC LIMIT 1), 0)`
	sqlPutActs        = `
INSERT INTO fantail.act (at, developer, by, via, source, call, object, reason, result, state, count)
SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[], $11::bigint[])`
	sqlForgetAct = `UPDATE fantail.act SET object = $2, reason = $3 WHERE at = $1`
	sqlDropActs  = `DELETE FROM fantail.act WHERE at IN (SELECT at FROM fantail.act WHERE at < $1 LIMIT 5000)`
)
