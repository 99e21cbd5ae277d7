package pgstore

// Statements of slots, leases, daemons and duties: small tables, by primary key, some of them
// whole.
//
// What a daemon owns changes under the lock of its row in daemon; then slots are locked in the
// order of their ids, and leases last. A slot without an owner is free. A program that knows
// version 1 of the schema has no row in daemon, leaves its slots by ending their leases, and
// adopts whatever lease has ended: a free slot's has.

// nobody owns a free slot.
const nobody = `00000000-0000-0000-0000-000000000000`

const (
	// sqlJoin makes the row of a daemon that starts. Who joins waits for others who do: two would
	// take the same slots.
	sqlJoin = `
INSERT INTO fantail.daemon (id, started, seen, until) SELECT $1, $2, clock_timestamp(), clock_timestamp() + $3 * interval '1 millisecond'
FROM (SELECT pg_advisory_xact_lock(8245937402372)) AS alone WHERE ` + durable + ` IS NOT NULL`
	// sqlLockJoin keeps others from joining.
	sqlLockJoin = `SELECT pg_advisory_xact_lock(8245937402372)`
	// sqlFreeSlots are some that a daemon may take.
	sqlFreeSlots = `
SELECT id FROM fantail.slot WHERE owner = '` + nobody + `' AND id < 10001 ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`
	sqlMakeSlot = `
WITH made AS (INSERT INTO fantail.slot (id, owner, epoch) SELECT coalesce(max(id), 0) + 1, '` + nobody + `', 0 FROM fantail.slot WHERE id < 10001 RETURNING id)
INSERT INTO fantail.lease (slot, until, seen) SELECT id, '-infinity', now() FROM made RETURNING slot`

	// sqlAdopt makes those of some slots this daemon's that are free, if it is alive itself.
	sqlAdopt = `
WITH me AS (SELECT id FROM fantail.daemon WHERE id = $2 AND ended IS NULL FOR UPDATE), free AS (
	SELECT id FROM fantail.slot WHERE id = ANY($1) AND owner = '` + nobody + `' ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), s AS (
	UPDATE fantail.slot s SET owner = me.id, epoch = s.epoch + 1 FROM me, free WHERE s.id = free.id RETURNING s.id
)
UPDATE fantail.lease l SET until = now() + $3 * interval '1 millisecond', seen = now() FROM s WHERE l.slot = s.id AND ` + durable + ` IS NOT NULL
RETURNING l.slot`

	// sqlLookSlots shows every slot, with what the fence, the lease and the daemon say.
	sqlLookSlots = `
SELECT s.id, s.owner, s.epoch, s.unclean, l.until <= now(), l.until = '-infinity', d.id IS NOT NULL, l.head_low
FROM fantail.slot s JOIN fantail.lease l ON l.slot = s.id LEFT JOIN fantail.daemon d ON d.id = s.owner ORDER BY s.id`

	// sqlIdle tells whether a slot that nobody owns has anything to be adopted for: something pending,
	// or counters that nobody has folded.
	sqlIdle = `
SELECT NOT EXISTS (SELECT FROM fantail.pending WHERE slot = $1 AND ` + fromLow + `) AND NOT EXISTS (SELECT FROM fantail.tally WHERE slot = $1)`

	// sqlGiveBack frees a slot of this daemon in which nothing is pending, and whose tally is folded.
	// Nothing is born into it, since no committer writes for it.
	sqlGiveBack = `
WITH me AS (SELECT id FROM fantail.daemon WHERE id = $2 AND ended IS NULL FOR UPDATE), s AS (
	UPDATE fantail.slot s SET owner = '` + nobody + `', epoch = s.epoch + 1, unclean = 0 FROM me
	WHERE s.id = $1 AND s.owner = me.id AND NOT EXISTS (SELECT FROM fantail.pending WHERE slot = $1 AND ` + fromLow + `)
		AND NOT EXISTS (SELECT FROM fantail.tally WHERE slot = $1) RETURNING s.id
)
UPDATE fantail.lease l SET until = '-infinity' FROM s WHERE l.slot = s.id AND ` + durable + ` IS NOT NULL RETURNING l.slot`

	// These lock what a daemon owns, to set it free. lock_timeout: its last commit may wait for a
	// standby, and holds a fence meanwhile.
	sqlBeginFree = `
SELECT set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '5s', true), ` + durable + ``
	sqlLockDaemon = `SELECT until > clock_timestamp() FROM fantail.daemon WHERE id = $1 FOR UPDATE`
	sqlLockSlots  = `SELECT id FROM fantail.slot WHERE owner = $1 ORDER BY id FOR NO KEY UPDATE`
	sqlLockLeases = `
SELECT l.until > clock_timestamp() FROM fantail.lease l WHERE l.slot = ANY($1) ORDER BY l.slot FOR UPDATE`
	sqlSetFree = `
UPDATE fantail.slot SET owner = '` + nobody + `', epoch = epoch + 1, unclean = CASE WHEN $2 THEN 0 ELSE unclean + 1 END WHERE owner = $1 RETURNING id`
	sqlEndLeases     = `UPDATE fantail.lease SET until = '-infinity', head_low = CASE WHEN $2 THEN 0 ELSE head_low END WHERE slot = ANY($1)`
	sqlDropDuties    = `DELETE FROM fantail.duty WHERE owner = $1`
	sqlEndDaemon     = `UPDATE fantail.daemon SET ended = now() WHERE id = $1 AND ended IS NULL`
	sqlDropDaemon    = `DELETE FROM fantail.daemon WHERE id = $1`
	sqlForgetDaemons = `DELETE FROM fantail.daemon WHERE ended < now() - interval '1 day' AND ` + hasty + ` IS NOT NULL`

	// sqlRenew need not be durable. A crash of the database may bring back an older lease, which
	// only permits an adoption, and the owner renews it before that.
	sqlRenew = `
WITH d AS (
	UPDATE fantail.daemon SET until = clock_timestamp() + $2 * interval '1 millisecond', seen = clock_timestamp(), clock = $3
	WHERE id = $1 AND ended IS NULL AND ` + hasty + ` IS NOT NULL RETURNING id
)
UPDATE fantail.lease l SET until = clock_timestamp() + $2 * interval '1 millisecond', seen = clock_timestamp()
FROM d JOIN fantail.slot s ON s.owner = d.id WHERE l.slot = s.id RETURNING l.slot, clock_timestamp()`
	sqlLastSeq = `SELECT coalesce(max(seq), 0) FROM fantail.tally WHERE slot = $1`

	sqlAnnounce = `UPDATE fantail.daemon SET name = $2, api = $3, version = $4, key = $5, files = $6 WHERE id = $1 AND ` + hasty + ` IS NOT NULL RETURNING id`
	sqlDaemons  = `
SELECT d.id, d.name, d.api, d.version, d.key, d.files, d.started, d.seen, d.clock, d.ended IS NULL AND d.until > now(),
	coalesce((SELECT array_agg(s.id ORDER BY s.id) FROM fantail.slot s WHERE s.owner = d.id), '{}')
FROM fantail.daemon d ORDER BY d.started, d.id`
	sqlAlive = `SELECT id FROM fantail.daemon WHERE ended IS NULL AND until > now() ORDER BY id`

	// sqlTakeDuty takes a duty that nobody has, and returns whose it is.
	sqlTakeDuty = `
WITH me AS (SELECT id FROM fantail.daemon WHERE id = $2 AND ended IS NULL FOR SHARE), t AS (
	INSERT INTO fantail.duty (name, owner) SELECT $1::bytea, id FROM me WHERE ` + hasty + ` IS NOT NULL ON CONFLICT DO NOTHING RETURNING owner
)
SELECT owner FROM t UNION ALL SELECT owner FROM fantail.duty WHERE name = $1`

	sqlDuties = `SELECT name FROM fantail.duty WHERE owner = $1`

	sqlNextNumber = `
INSERT INTO fantail.number AS n (name, last) VALUES ($1, $2::bigint + 1)
ON CONFLICT (name) DO UPDATE SET last = greatest(n.last, $2::bigint) + 1 RETURNING last`
)

// sqlLost returns of some slots ($1) those of which a row of the tally ($2; 0: none was written) is
// missing. By primary key.
const sqlLost = `
SELECT x.slot FROM unnest($1::smallint[], $2::bigint[]) AS x(slot, seq)
WHERE x.seq > 0 AND NOT EXISTS (SELECT FROM fantail.tally t WHERE t.slot = x.slot AND t.seq = x.seq)`

// sqlTail adds up what other slots' commits after the cursors ($1 slots, $2 numbers) did to the
// counters. Numbers of a slot only grow, and commits of a slot come one after the other, so
// that none appears before the cursor later. By primary key.
const sqlTail = `
WITH t AS MATERIALIZED (
	SELECT t.* FROM unnest($1::smallint[], $2::bigint[]) AS x(slot, seq) CROSS JOIN LATERAL (
		SELECT * FROM fantail.tally t WHERE t.slot = x.slot AND t.seq > x.seq ORDER BY t.seq
	) t
)
SELECT 0 AS what, t.slot::int, max(t.seq), 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint FROM t GROUP BY t.slot
UNION ALL
SELECT 1, b.dest, min(t.since), 0, 0, 0, 0, 0, 0, 0, 0 FROM t, unnest(t.born) AS b(dest) GROUP BY b.dest
UNION ALL
SELECT 2, u.dest, 0, sum(u.accepted), sum(u.delivered), sum(u.pending), sum(u.dead), sum(u.cancelled), sum(u.bytes)::bigint, sum(u.attempts), sum(u.sizes)::bigint
FROM t, unnest(t.dest, t.accepted, t.delivered, t.pending, t.dead, t.cancelled, t.bytes, t.attempts, t.sizes)
	AS u(dest, accepted, delivered, pending, dead, cancelled, bytes, attempts, sizes) GROUP BY u.dest`

// sqlMembers are the daemons whose slots nobody has set free; one that knows version 1 has slots alone.
const sqlMembers = `
SELECT id FROM fantail.daemon WHERE ended IS NULL UNION SELECT owner FROM fantail.slot WHERE owner <> '` + nobody + `'`

// sqlFrozen lists the settings that pending deliveries of any slot need: along pending_queue, as
// sqlQueues.
const sqlFrozen = `
WITH RECURSIVE q AS (
	SELECT s.id AS slot, f.* FROM fantail.slot s CROSS JOIN LATERAL (
		SELECT p.dest, p.settings FROM fantail.pending p WHERE p.slot = s.id ORDER BY p.dest, p.settings LIMIT 1
	) f
	UNION ALL
	SELECT q.slot, f.* FROM q CROSS JOIN LATERAL (
		SELECT p.dest, p.settings FROM fantail.pending p
		WHERE p.slot = q.slot AND (p.dest, p.settings) > (q.dest, q.settings) ORDER BY p.dest, p.settings LIMIT 1
	) f
)
SELECT DISTINCT settings FROM q WHERE settings <> 0`

const sqlSeqs = `SELECT slot, max(seq) FROM fantail.tally GROUP BY slot`

// sqlChanged lists destinations that were registered or whose state was changed by transactions
// from $1 on, and the oldest that runs: by destination_stamp.
const (
	sqlChanged = `
SELECT id, developer, name, kind, state, last, version, stamp::text::bigint FROM fantail.destination WHERE stamp >= $1::text::xid8 ORDER BY id`
	sqlOldest = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text`
)

// sqlOwnPending counts what is pending in slots: along pending_queue.
const sqlOwnPending = `
SELECT p.dest, count(*) FROM fantail.lease h JOIN fantail.pending p ON p.slot = h.slot AND p.due >= h.head_low WHERE h.slot = ANY($1) GROUP BY p.dest`

// Statements of head_low: see lows.go. fromLow leaves out what lies before that of the slot $1.
// sqlLower need not wait for the disk: what is lowered for comes later in the log.
// sqlRaise has whoever sets this daemon's slots free wait for it, so that an adopter reads its
// last value. It skips along pending_queue, as sqlQueues does.
const (
	fromLow  = `due >= (SELECT head_low FROM fantail.lease WHERE slot = $1)`
	sqlLows  = `SELECT slot, head_low FROM fantail.lease WHERE slot = ANY($1)`
	sqlLower = `UPDATE fantail.lease SET head_low = least(head_low - 1, $2) WHERE slot = $1 AND ` + hasty + ` IS NOT NULL`
	sqlRaise = `
WITH RECURSIVE q AS (
	(SELECT p.dest, p.settings, p.due FROM fantail.pending p WHERE p.slot = $1 AND p.due >= $3 ORDER BY p.dest, p.settings, p.due, p.event, p.replay LIMIT 1)
	UNION ALL
	SELECT f.* FROM q CROSS JOIN LATERAL (
		SELECT p.dest, p.settings, p.due FROM fantail.pending p
		WHERE p.slot = $1 AND (p.dest, p.settings) > (q.dest, q.settings) AND p.due >= $3 ORDER BY p.dest, p.settings, p.due, p.event, p.replay LIMIT 1
	) f
), me AS MATERIALIZED (
	SELECT d.id FROM fantail.daemon d JOIN fantail.slot s ON s.owner = d.id WHERE d.id = $2 AND s.id = $1 AND d.ended IS NULL FOR KEY SHARE OF d
)
UPDATE fantail.lease l SET head_low = least($4, (SELECT min(due) FROM q)) FROM me
WHERE l.slot = $1 AND l.head_low = $3 AND $3 < least($4, (SELECT min(due) FROM q)) AND ` + hasty + ` IS NOT NULL`
)
