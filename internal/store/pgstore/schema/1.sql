-- Version 1 of the schema. Every object is named in full: nothing sets a search
-- path, which a pooler would give to somebody else.
--
-- Text that comes from outside is bytea: PostgreSQL's text has no zero byte and no
-- broken UTF-8, and compares by a collation. Hashes of 64 bits and ids of 32 bits
-- are stored as signed integers of their size. Times are nanoseconds since 1970,
-- days are days since then. A partition has one day, so the day comes last in its
-- keys. A state is 1 pending, 2 delivered, 3 dead, 4 cancelled.

CREATE SCHEMA IF NOT EXISTS fantail;

CREATE TABLE fantail.schema_version (
	version int NOT NULL,
	applied timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ON fantail.schema_version ((true)); -- one row

-- slot is the fence: who writes for a slot holds its row FOR NO KEY UPDATE until
-- the commit, and names owner and epoch. Its rows change only when a slot changes
-- hands. Every commit reads such a row: with more changes, a snapshot that somebody
-- holds would leave a chain of old versions before it.
CREATE TABLE fantail.slot (
	id      smallint PRIMARY KEY,
	owner   uuid   NOT NULL,
	epoch   bigint NOT NULL,
	unclean int    NOT NULL DEFAULT 0 -- adoptions from an owner that did not leave
);

-- lease is renewed every few seconds, which is too often for the row of the fence.
CREATE TABLE fantail.lease (
	slot     smallint PRIMARY KEY,
	until    timestamptz NOT NULL, -- -infinity: its owner left
	seen     timestamptz NOT NULL,
	head_low bigint NOT NULL DEFAULT 0 -- no pending delivery of the slot is due before
) WITH (fillfactor = 50);

-- event is what is known of an event without its body, which goes earlier. A replay
-- copies both to a later day than that of the id.
CREATE TABLE fantail.event (
	day       int    NOT NULL,
	id        uuid   NOT NULL,
	slot      smallint NOT NULL,
	who       bigint NOT NULL, -- hash of developer and user; 0: no user
	ordering  bigint NOT NULL,
	size      int    NOT NULL,
	versioned boolean NOT NULL,
	erased    boolean NOT NULL DEFAULT false,
	developer bytea  NOT NULL,
	type      bytea  NOT NULL,
	version   bytea  NOT NULL,
	usr       bytea  NOT NULL,
	reference bytea  NOT NULL,
	trace     bytea,           -- JSON
	key       bytea,           -- hash of its idempotency key
	dests     int[]  NOT NULL,
	PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);
CREATE INDEX event_developer ON fantail.event (developer, id);
CREATE INDEX event_who ON fantail.event (who, id) WHERE who <> 0;

CREATE TABLE fantail.body (
	day  int   NOT NULL,
	id   uuid  NOT NULL,
	body bytea NOT NULL, -- packed: package packing
	PRIMARY KEY (id, day)
) PARTITION BY RANGE (day);
ALTER TABLE fantail.body ALTER COLUMN body SET STORAGE EXTERNAL; -- it is compressed

-- pending is the only table whose rows come and go all the time. Its key also makes
-- sure that at most one delivery of an event to a destination is pending.
CREATE TABLE fantail.pending (
	event    uuid   NOT NULL,
	dest     int    NOT NULL,
	slot     smallint NOT NULL,
	replay   bigint NOT NULL,
	settings bigint NOT NULL,
	due      bigint NOT NULL,
	ordering bigint NOT NULL,
	changed  bigint NOT NULL,
	day      int    NOT NULL,
	version  int    NOT NULL,
	round    int    NOT NULL,
	attempts int    NOT NULL,
	size     int    NOT NULL,
	PRIMARY KEY (event, dest)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
	autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000);
CREATE INDEX pending_queue ON fantail.pending (slot, dest, settings, due, event, replay);
CREATE INDEX pending_replay ON fantail.pending (day, event) WHERE replay <> 0;

-- done has the deliveries that ended. Rows are added; only a delivery that a person
-- starts again leaves it.
CREATE TABLE fantail.done (
	day      int    NOT NULL,
	event    uuid   NOT NULL,
	dest     int    NOT NULL,
	replay   bigint NOT NULL,
	slot     smallint NOT NULL,
	state    smallint NOT NULL,
	ordering bigint NOT NULL,
	changed  bigint NOT NULL,
	version  int    NOT NULL,
	round    int    NOT NULL,
	attempts int    NOT NULL,
	size     int    NOT NULL,
	reason   bytea  NOT NULL,
	PRIMARY KEY (event, dest, replay, day)
) PARTITION BY RANGE (day);
CREATE INDEX done_state ON fantail.done (dest, state, event);

CREATE TABLE fantail.attempt (
	day      int    NOT NULL,
	event    uuid   NOT NULL,
	dest     int    NOT NULL,
	replay   bigint NOT NULL,
	at       bigint NOT NULL,
	version  int    NOT NULL, -- of the row that it was made for
	took     bigint NOT NULL,
	code     int    NOT NULL,
	requests smallint NOT NULL,
	counted  boolean NOT NULL,
	class    bytea  NOT NULL,
	answer   bytea  NOT NULL,
	address  bytea  NOT NULL,
	PRIMARY KEY (event, dest, replay, at, version, day)
) PARTITION BY RANGE (day);

-- tally has one row for each commit of a slot: what it did to the counters, and the
-- proof that it was done when its answer was lost. Rows are added, and folded into
-- counter by the minute, so that no row is hot.
CREATE TABLE fantail.tally (
	slot      smallint NOT NULL,
	seq       bigint   NOT NULL,
	day       int[]    NOT NULL,
	dest      int[]    NOT NULL,
	accepted  int[]    NOT NULL,
	delivered int[]    NOT NULL,
	pending   int[]    NOT NULL,
	dead      int[]    NOT NULL,
	cancelled int[]    NOT NULL,
	bytes     bigint[] NOT NULL, -- of bodies that are pending
	attempts  int[]    NOT NULL, -- in the log
	sizes     bigint[] NOT NULL, -- of bodies of all deliveries
	PRIMARY KEY (slot, seq)
);

CREATE TABLE fantail.counter (
	slot      smallint NOT NULL,
	day       int    NOT NULL,
	dest      int    NOT NULL,
	accepted  bigint NOT NULL,
	delivered bigint NOT NULL,
	pending   bigint NOT NULL,
	dead      bigint NOT NULL,
	cancelled bigint NOT NULL,
	bytes     bigint NOT NULL,
	attempts  bigint NOT NULL,
	sizes     bigint NOT NULL,
	PRIMARY KEY (slot, day, dest)
) WITH (fillfactor = 70);

-- idem is partitioned by hash: by day, a key would not be unique across midnight.
CREATE TABLE fantail.idem (
	hash      bytea NOT NULL, -- of developer and key
	body      bytea NOT NULL, -- hash of it
	event     uuid  NOT NULL,
	day       int   NOT NULL,
	fanout    int   NOT NULL,
	reference bytea NOT NULL,
	PRIMARY KEY (hash)
) PARTITION BY HASH (hash);
CREATE TABLE fantail.idem_0 PARTITION OF fantail.idem FOR VALUES WITH (MODULUS 4, REMAINDER 0);
CREATE TABLE fantail.idem_1 PARTITION OF fantail.idem FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE fantail.idem_2 PARTITION OF fantail.idem FOR VALUES WITH (MODULUS 4, REMAINDER 2);
CREATE TABLE fantail.idem_3 PARTITION OF fantail.idem FOR VALUES WITH (MODULUS 4, REMAINDER 3);
CREATE INDEX idem_day ON fantail.idem (day);

CREATE TABLE fantail.destination (
	id        int   PRIMARY KEY,
	hash      bytea NOT NULL UNIQUE, -- of developer, name and kind
	developer bytea NOT NULL,
	name      bytea NOT NULL,
	kind      bytea NOT NULL,
	state     bytea NOT NULL DEFAULT '', -- JSON; '': nothing was decided
	last      bytea NOT NULL DEFAULT '', -- JSON
	version   bigint NOT NULL DEFAULT 1  -- grows with every change
) WITH (fillfactor = 70);

CREATE TABLE fantail.settings (
	hash   bigint PRIMARY KEY,
	sealed bytea  NOT NULL
);

CREATE TABLE fantail.value (
	key     bytea  PRIMARY KEY,
	value   bytea  NOT NULL,
	version bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 70);

CREATE TABLE fantail.erasure (
	at        bigint NOT NULL,
	developer bytea  NOT NULL,
	who       bytea  NOT NULL, -- hash: who knows the name can prove that it was this user
	by        bytea  NOT NULL,
	events    bigint NOT NULL,
	cancelled bigint NOT NULL
);

-- document has the versions of developers' settings.
CREATE TABLE fantail.document (
	developer bytea   NOT NULL,
	version   bigint  NOT NULL,
	at        bigint  NOT NULL,
	by        bytea   NOT NULL,
	deleted   boolean NOT NULL,
	text      bytea   NOT NULL, -- sealed
	PRIMARY KEY (developer, version)
);

-- act is who did what. Its key is the millisecond in all but the last 16 bits, and a
-- number within it.
CREATE TABLE fantail.act (
	at        bigint PRIMARY KEY,
	developer bytea NOT NULL,
	by        bytea NOT NULL,
	via       bytea NOT NULL,
	source    bytea NOT NULL,
	call      bytea NOT NULL,
	object    bytea NOT NULL,
	reason    bytea NOT NULL,
	result    bytea NOT NULL,
	state     bytea NOT NULL,
	count     bigint NOT NULL
);
CREATE INDEX act_developer ON fantail.act (developer, at);

-- kept says what retention has kept, in one row. Who makes a delivery pending again
-- locks it, so that no body is removed meanwhile.
CREATE TABLE fantail.kept (
	bodies int  NOT NULL, -- the first day whose bodies are there
	newest uuid NOT NULL, -- the newest id that was removed
	next_dest int NOT NULL
);
CREATE UNIQUE INDEX ON fantail.kept ((true));
INSERT INTO fantail.kept VALUES (0, '00000000-0000-0000-0000-000000000000', 1);

INSERT INTO fantail.schema_version (version) VALUES (1);
