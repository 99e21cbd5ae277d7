-- Version 2: several daemons. It only adds; a program that knows version 1 goes on, alone or
-- beside new ones.
--
-- A slot without an owner has the owner 0. Slots from 10001 on are those of serial
-- destinations: the id of a destination names its slot, whoever owns that.

-- daemon is a process that works on the database. Its row is locked by whoever changes what the
-- daemon owns: itself when it adopts, another that sets its slots free.
CREATE TABLE fantail.daemon (
	id      uuid   PRIMARY KEY,
	name    bytea  NOT NULL DEFAULT '',
	api     bytea  NOT NULL DEFAULT '',
	version bytea  NOT NULL DEFAULT '',
	key     bytea  NOT NULL DEFAULT '', -- fingerprint
	files   bytea  NOT NULL DEFAULT '', -- fingerprint
	started bigint NOT NULL,            -- by its own clock
	seen    timestamptz NOT NULL,
	until   timestamptz NOT NULL,       -- the end of its lease
	clock   bigint NOT NULL DEFAULT 0,  -- how far its clock is ahead of the database's, ns
	ended   timestamptz                 -- when another set its slots free
) WITH (fillfactor = 50);

-- duty is what one daemon alone does. Its row goes with the daemon's slots.
CREATE TABLE fantail.duty (
	name  bytea PRIMARY KEY,
	owner uuid  NOT NULL
);

-- number is the last number that was given out of a sequence.
CREATE TABLE fantail.number (
	name bytea  PRIMARY KEY,
	last bigint NOT NULL
);

-- born names the destinations for which the commit made something pending in a slot that may be
-- another's. since is when the first of it is due.
ALTER TABLE fantail.tally ADD COLUMN born int[] NOT NULL DEFAULT '{}', ADD COLUMN since bigint NOT NULL DEFAULT 0;

-- used is when a daemon last had a use for the settings.
ALTER TABLE fantail.settings ADD COLUMN used timestamptz NOT NULL DEFAULT now();

-- stamp is the transaction that registered the destination or changed its state last. A reader
-- who remembers the oldest transaction that ran when it read last misses none. A trigger keeps
-- it, so that the changes of a program that knows version 1 are seen, too.
ALTER TABLE fantail.destination ADD COLUMN stamp xid8 NOT NULL DEFAULT '0';
ALTER TABLE fantail.destination ALTER COLUMN stamp SET DEFAULT pg_current_xact_id();
CREATE INDEX destination_stamp ON fantail.destination (stamp);
CREATE FUNCTION fantail.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.stamp := pg_current_xact_id();
	RETURN NEW;
END $$;
CREATE TRIGGER stamp BEFORE UPDATE OF state ON fantail.destination FOR EACH ROW
	WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION fantail.stamp();

INSERT INTO fantail.slot (id, owner, epoch) SELECT n, '00000000-0000-0000-0000-000000000000', 0 FROM generate_series(10001, 10016) n;
INSERT INTO fantail.lease (slot, until, seen) SELECT n, '-infinity', now() FROM generate_series(10001, 10016) n;

UPDATE fantail.schema_version SET version = 2, applied = now();
