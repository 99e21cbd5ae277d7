package pgstore

// Statements that read, with the plan that each is meant to have. A day is a partition:
// with day = $n only that one is looked at.

// sqlDue reads a queue from a position on, or from head_low: for each slot a range of
// pending_queue. Dead rows before that are not vacuumed yet cost nothing. A daemon that was
// replaced and does not know it yet finds nothing.
const sqlDue = `
SELECT d.* FROM unnest($1::smallint[]) AS s(slot) JOIN fantail.slot o ON o.id = s.slot AND o.owner = $8 JOIN fantail.lease h ON h.slot = s.slot CROSS JOIN LATERAL (
	SELECT day, event, replay, due, ordering, version, round, attempts, size
	FROM fantail.pending p
	WHERE p.slot = s.slot AND p.dest = $2 AND p.settings = $3 AND (p.due, p.event, p.replay) >=
		(greatest($4, h.head_low), CASE WHEN $4 >= h.head_low THEN $5 ELSE '` + nobody + `'::uuid END, CASE WHEN $4 >= h.head_low THEN $6 ELSE 0::bigint END)
	ORDER BY p.due, p.event, p.replay LIMIT $7
) d ORDER BY d.due, d.event, d.replay LIMIT $7`

// sqlQueues skips from queue to queue along pending_queue: one descent of the index for each,
// however many deliveries the queue has. Of dead rows before head_low it sees the entries of the
// index alone.
const sqlQueues = `
WITH RECURSIVE q AS (
	SELECT s.slot, h.head_low, f.* FROM unnest($1::smallint[]) AS s(slot) JOIN fantail.slot o ON o.id = s.slot AND o.owner = $2 JOIN fantail.lease h ON h.slot = s.slot CROSS JOIN LATERAL (
		SELECT p.dest, p.settings, p.due, p.event, p.replay FROM fantail.pending p
		WHERE p.slot = s.slot AND p.due >= h.head_low ORDER BY p.dest, p.settings, p.due, p.event, p.replay LIMIT 1
	) f
	UNION ALL
	SELECT q.slot, q.head_low, f.* FROM q CROSS JOIN LATERAL (
		SELECT p.dest, p.settings, p.due, p.event, p.replay FROM fantail.pending p
		WHERE p.slot = q.slot AND (p.dest, p.settings) > (q.dest, q.settings) AND p.due >= q.head_low ORDER BY p.dest, p.settings, p.due, p.event, p.replay LIMIT 1
	) f
)
SELECT slot, dest, settings, due, event, replay FROM q ORDER BY due, event, replay`

// sqlKeys finds idempotency keys by primary key, in the partition of each.
const sqlKeys = `
SELECT hash, body, event, fanout, reference FROM fantail.idem WHERE hash = ANY($1)`

const eventColumns = `e.id, e.ordering, e.size, e.versioned, e.erased, e.developer, e.type, e.version, e.usr, e.reference, e.trace, e.dests`

// sqlEvent reads the body and the envelope that lie under a day: those of the event's own day,
// or those that a replay carried. By primary key.
const sqlEvent = `
SELECT ` + eventColumns + `, b.body FROM fantail.body b JOIN fantail.event e ON e.id = b.id AND e.day = b.day
WHERE b.day = $1 AND b.id = $2 AND NOT e.erased`

// sqlEventRecord: by primary key.
const sqlEventRecord = `
SELECT ` + eventColumns + ` FROM fantail.event e WHERE e.day = $1 AND e.id = $2`

const attemptScan = `a.at, a.took, a.code, a.requests, a.counted, a.class, a.answer, a.address`

// sqlDelivery finds a delivery in one of two tables, with its attempts, on one snapshot: with
// two reads, an outcome recorded in between would be seen in part. By primary keys.
const sqlDelivery = `
SELECT d.*, ` + attemptScan + ` FROM (
	SELECT p.day, p.event, p.dest, p.replay, p.slot, 1::smallint AS state, p.settings, p.due, p.ordering, p.changed, p.version, p.round, p.attempts, p.size, ''::bytea AS reason
	FROM fantail.pending p WHERE p.event = $2 AND p.dest = $3 AND p.replay = $4 AND p.day = $1
	UNION ALL
	SELECT d.day, d.event, d.dest, d.replay, d.slot, d.state, 0, 0, d.ordering, d.changed, d.version, d.round, d.attempts, d.size, d.reason
	FROM fantail.done d WHERE d.day = $1 AND d.event = $2 AND d.dest = $3 AND d.replay = $4
) d LEFT JOIN fantail.attempt a ON a.day = $1 AND a.event = $2 AND a.dest = $3 AND a.replay = $4
ORDER BY a.at, a.version`

// sqlEvents scans a piece of a day, newest first, and returns what of it is wanted and,
// as the last row, where the piece ended and how many rows it had: $5 rows at the most are looked at, so that
// one page of a list has a bound whatever it asks for. By primary key, event_developer
// or event_who, backwards from $2 to $3.
const sqlEvents = `
WITH piece AS MATERIALIZED (
	SELECT ` + eventColumns + `, e.who FROM fantail.event e
	WHERE e.day = $1 AND e.id < $2 AND e.id >= $3
		AND ($4::bytea[] IS NULL OR e.developer = ANY($4)) AND ($6::bigint[] IS NULL OR e.who = ANY($6))
	ORDER BY e.id DESC LIMIT $5
)
(SELECT ` + eventColumns + `, 0::bigint FROM piece e
WHERE ($7::bytea[] IS NULL OR e.type = ANY($7)) AND ($8::bytea IS NULL OR e.usr = $8) AND (NOT $9 OR e.dests = '{}')
ORDER BY e.id DESC LIMIT $10)
UNION ALL
(SELECT ` + eventColumns + `, (SELECT count(*) FROM piece) FROM piece e ORDER BY e.id LIMIT 1)`

// deliveryPiece is a piece of the deliveries of a day, newest first: those before the place
// ($2, $3, $4), of events from $5 on. It takes at most $6 rows from each of three sources: done
// of the day by primary key or done_state, pending of events of the day by primary key, and
// what replays put on the day by pending_replay.
const deliveryPiece = `
	(SELECT d.day, d.event, d.dest, d.replay, d.slot, d.state, 0::bigint AS settings, 0::bigint AS due, d.ordering, d.changed, d.version, d.round, d.attempts, d.size, d.reason
	FROM fantail.done d
	WHERE d.day = $1 AND (d.event, d.dest, d.replay) < ($2, $3, $4) AND d.event >= $5
		AND ($7::int[] IS NULL OR d.dest = ANY($7)) AND ($8::int[] IS NULL OR d.state = ANY($8)) AND ($10::uuid IS NULL OR d.event = $10)
	ORDER BY d.event DESC, d.dest DESC, d.replay DESC LIMIT $6)
	UNION ALL
	(SELECT p.day, p.event, p.dest, p.replay, p.slot, 1::smallint, p.settings, p.due, p.ordering, p.changed, p.version, p.round, p.attempts, p.size, ''::bytea
	FROM fantail.pending p
	WHERE p.day = $1 AND p.replay = 0 AND (p.event, p.dest) <= ($2, $3) AND (p.event, p.dest, p.replay) < ($2, $3, $4) AND p.event >= greatest($5, $9)
		AND ($7::int[] IS NULL OR p.dest = ANY($7)) AND ($8::int[] IS NULL OR 1 = ANY($8)) AND ($10::uuid IS NULL OR p.event = $10)
	ORDER BY p.event DESC, p.dest DESC LIMIT $6)
	UNION ALL
	(SELECT p.day, p.event, p.dest, p.replay, p.slot, 1::smallint, p.settings, p.due, p.ordering, p.changed, p.version, p.round, p.attempts, p.size, ''::bytea
	FROM fantail.pending p
	WHERE p.day = $1 AND p.replay <> 0 AND (p.event, p.dest, p.replay) < ($2, $3, $4) AND p.event >= $5
		AND ($7::int[] IS NULL OR p.dest = ANY($7)) AND ($8::int[] IS NULL OR 1 = ANY($8)) AND ($10::uuid IS NULL OR p.event = $10)
	ORDER BY p.event DESC, p.dest DESC, p.replay DESC LIMIT $6)`

// sqlDeliveries lists a piece.
const sqlDeliveries = `
SELECT * FROM (` + deliveryPiece + `) d ORDER BY d.event DESC, d.dest DESC, d.replay DESC LIMIT $6`

// sqlUserEvents finds the events of users on a day, newest first, from $3 back to $4, by event_who. Hashes only
// narrow: names are compared.
const sqlUserEvents = `
SELECT e.id FROM fantail.event e
WHERE e.day = $1 AND e.who = ANY($2) AND e.who <> 0 AND e.id <= $3 AND e.id >= $4 AND ($5::uuid IS NULL OR e.id = $5)
	AND e.usr = $6 AND e.developer = ANY($7)
ORDER BY e.id DESC LIMIT $8`

// sqlUserDeliveries lists the deliveries of some events on a day, newest first: those before the place ($2, $3, $4).
// By primary keys.
const sqlUserDeliveries = `
SELECT * FROM (
	SELECT d.day, d.event, d.dest, d.replay, d.slot, d.state, 0::bigint AS settings, 0::bigint AS due, d.ordering, d.changed, d.version, d.round, d.attempts, d.size, d.reason
	FROM fantail.done d
	WHERE d.day = $1 AND d.event = ANY($8) AND (d.event, d.dest, d.replay) < ($2, $3, $4)
		AND ($6::int[] IS NULL OR d.dest = ANY($6)) AND ($7::int[] IS NULL OR d.state = ANY($7))
	UNION ALL
	SELECT p.day, p.event, p.dest, p.replay, p.slot, 1::smallint, p.settings, p.due, p.ordering, p.changed, p.version, p.round, p.attempts, p.size, ''::bytea
	FROM fantail.pending p
	WHERE p.day = $1 AND p.event = ANY($8) AND (p.event, p.dest, p.replay) < ($2, $3, $4)
		AND ($6::int[] IS NULL OR p.dest = ANY($6)) AND ($7::int[] IS NULL OR 1 = ANY($7))
) d ORDER BY d.event DESC, d.dest DESC, d.replay DESC LIMIT $5`

// sqlDetails adds to some deliveries the type and user of the event, and the last
// attempt. By primary keys, in nested loops.
const sqlDetails = `
SELECT x.n, coalesce(e.type, o.type, ''), coalesce(e.usr, o.usr, ''), l.*
FROM unnest($1::int[], $2::uuid[], $3::int[], $4::bigint[], $5::int[], $6::int[]) AS x(day, event, dest, replay, own, n)
LEFT JOIN fantail.event e ON e.day = x.day AND e.id = x.event
LEFT JOIN fantail.event o ON o.day = x.own AND o.id = x.event
LEFT JOIN LATERAL (
	SELECT ` + attemptScan + ` FROM fantail.attempt a
	WHERE a.day = x.day AND a.event = x.event AND a.dest = x.dest AND a.replay = x.replay ORDER BY a.at DESC, a.version DESC LIMIT 1
) l ON true`

// sqlNewest finds the newest event of its own day, by primary key, backwards.
const sqlNewest = `
SELECT id FROM fantail.event WHERE day = $1 AND id >= $2 ORDER BY id DESC LIMIT 1`

// sqlRecount counts a day anew beside its counters, on one snapshot. It reads a whole partition
// of done, and the rows of pending of that day. Deep audits go by day, so that no snapshot is
// held for longer.
const sqlRecount = `
WITH counted AS (
	SELECT t.dest, sum(t.accepted) AS accepted, sum(t.delivered) AS delivered, sum(t.pending) AS pending, sum(t.dead) AS dead, sum(t.cancelled) AS cancelled, sum(t.bytes) AS bytes
	FROM ` + tallied + ` t WHERE t.day = $1 GROUP BY t.dest
), found AS (
	SELECT d.dest, count(*) AS accepted, count(*) FILTER (WHERE d.state = 2) AS delivered, count(*) FILTER (WHERE d.state = 1) AS pending,
		count(*) FILTER (WHERE d.state = 3) AS dead, count(*) FILTER (WHERE d.state = 4) AS cancelled, coalesce(sum(d.size::bigint) FILTER (WHERE d.state = 1), 0) AS bytes
	FROM (
		SELECT dest, state, size FROM fantail.done WHERE day = $1
		UNION ALL SELECT dest, 1, size FROM fantail.pending WHERE day = $1 AND replay = 0 AND event >= $2 AND event < $3
		UNION ALL SELECT dest, 1, size FROM fantail.pending WHERE day = $1 AND replay <> 0
	) d GROUP BY d.dest
)
SELECT dest, coalesce(c.accepted, 0)::bigint, coalesce(c.delivered, 0)::bigint, coalesce(c.pending, 0)::bigint, coalesce(c.dead, 0)::bigint, coalesce(c.cancelled, 0)::bigint, coalesce(c.bytes, 0)::bigint,
	coalesce(f.accepted, 0), coalesce(f.delivered, 0), coalesce(f.pending, 0), coalesce(f.dead, 0), coalesce(f.cancelled, 0), coalesce(f.bytes, 0)::bigint
FROM counted c FULL JOIN found f USING (dest)`

// sqlServer asks what durability the server gives.
const sqlServer = `
SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_standby_names')`

// sqlSize is the size of the database, and the oldest snapshot that is held: rows that died after
// it cannot be vacuumed. Sessions of others show their age and their name to everybody; sessions in
// other databases hold nothing up here.
const sqlSize = `
WITH held AS (
	SELECT age(a.backend_xmin) AS age, CASE WHEN r.pid IS NULL THEN 'session' ELSE 'replica' END AS kind, a.pid, a.application_name::text AS name
	FROM pg_stat_activity a LEFT JOIN pg_stat_replication r ON r.pid = a.pid
	WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid() AND (a.datname IS NULL OR a.datname = current_database())
	UNION ALL
	SELECT age(xmin), 'slot', 0, slot_name::text FROM pg_replication_slots WHERE xmin IS NOT NULL
	UNION ALL
	SELECT age(transaction), 'prepared', 0, gid FROM pg_prepared_xacts WHERE database = current_database()
)
SELECT pg_database_size(current_database()), coalesce(h.age, 0)::bigint, coalesce(h.kind, ''), coalesce(h.pid, 0), coalesce(h.name, '')
FROM (SELECT) AS one LEFT JOIN LATERAL (SELECT * FROM held ORDER BY age DESC LIMIT 1) AS h ON true`

// sqlPartitions lists the partitions of a table. sqlTables lists every table with such a name,
// and so finds partitions that were detached but not dropped.
const sqlPartitions = `
SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = ('fantail.' || $1::text)::regclass AND NOT i.inhdetachpending`

const sqlTables = `
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'fantail' AND c.relkind = 'r' AND c.relname ~ ('^' || $1::text || '_[0-9]{8}$')`

// Statements of the registry: small tables, by primary key.
const (
	sqlKept         = `SELECT bodies, newest FROM fantail.kept`
	sqlDestinations = `SELECT id, developer, name, kind, state, last, version FROM fantail.destination ORDER BY id`
	sqlSettings     = `SELECT sealed FROM fantail.settings WHERE hash = $1`
	sqlValue        = `SELECT value FROM fantail.value WHERE key = $1`
)

// sqlUsage reads counters by day and destination, folded or not, on one snapshot.
const sqlUsage = `
SELECT t.day, t.dest, sum(t.accepted)::bigint, sum(t.delivered)::bigint, sum(t.pending)::bigint, sum(t.dead)::bigint, sum(t.cancelled)::bigint, sum(t.bytes)::bigint, sum(t.attempts)::bigint, sum(t.sizes)::bigint
FROM ` + tallied + ` t WHERE t.day >= $1 AND t.day < $2 AND ($3::int[] IS NULL OR t.dest = ANY($3))
GROUP BY t.day, t.dest HAVING sum(t.accepted) > 0 ORDER BY t.day, t.dest`

// sqlKnownEvents finds events whose ids are used as keys. By primary key.
const sqlKnownEvents = `
SELECT e.day, e.id, e.developer, e.reference, cardinality(e.dests), e.erased, b.body
FROM unnest($1::int[], $2::uuid[]) AS x(day, id) JOIN fantail.event e ON e.day = x.day AND e.id = x.id
LEFT JOIN fantail.body b ON b.day = e.day AND b.id = e.id`

const documentColumns = `developer, version, at, by, deleted`

const (
	sqlDocument         = `SELECT ` + documentColumns + `, text FROM fantail.document WHERE developer = $1 AND ($2 = 0 OR version = $2) ORDER BY version DESC LIMIT 1`
	sqlDocumentVersions = `SELECT ` + documentColumns + `, ''::bytea FROM fantail.document WHERE developer = $1 ORDER BY version DESC`
	sqlNewestDocuments  = `SELECT DISTINCT ON (developer) ` + documentColumns + `, text FROM fantail.document ORDER BY developer, version DESC`
	sqlEveryDocument    = `SELECT ` + documentColumns + `, text FROM fantail.document ORDER BY developer, version`
)

const actColumns = `at, developer, by, via, source, call, object, reason, result, state, count`

// sqlActs lists acts before $1, newest first: by primary key or act_developer, backwards.
const sqlActs = `
SELECT ` + actColumns + ` FROM fantail.act
WHERE at < $1 AND at >= $2 AND ($3::bytea[] IS NULL OR developer = ANY($3)) AND ($4::bytea = '' OR by = $4) AND ($5::bytea = '' OR call = $5)
	AND ($6::bytea = '' OR object = $6) AND (NOT $7 OR state <> '')
ORDER BY at DESC LIMIT $8`
