package pgstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The rule of the schema is expand, then contract: a version may add tables,
// columns with a default and indexes, and never takes away or changes what the
// version before it reads or writes. So the previous program runs on the new
// schema, and daemons are replaced one after the other: first migrate, then start
// the new ones. What is not used any more goes one version later.
const (
	schemaVersion = 2
	// oldestSchema and newestSchema are those that this program runs on: its own and
	// the one that follows it.
	oldestSchema = schemaVersion
	newestSchema = schemaVersion + 1
)

// migrateTries is how often Migrate tries again when daemons hold the tables that it changes.
const migrateTries = 30

//go:embed schema/*.sql
var schemas embed.FS

// ErrNoSchema: the database has none.
var ErrNoSchema = errors.New("the database has no schema of Fantail yet: run fantail store migrate")

// sqlSchemaVersion reads one row. It fails with undefinedTable, or schema, where
// there is none.
const sqlSchemaVersion = `SELECT version FROM fantail.schema_version`

// readVersion returns the version of the schema, 0 if there is none.
func readVersion(ctx context.Context, c *pgx.Conn) (version int, err error) {
	err = c.QueryRow(ctx, sqlSchemaVersion).Scan(&version)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == undefinedTable || refused.Code == undefinedSchema) || errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the schema: %w", err)
	}
	return version, nil
}

// checkVersion says what to do when the schema is not one that this program runs on.
func checkVersion(version int) error {
	switch {
	case version == 0:
		return ErrNoSchema
	case version < oldestSchema:
		return fmt.Errorf("the schema of the database is version %d and this program needs %d: run fantail store migrate", version, schemaVersion)
	case version > newestSchema:
		return fmt.Errorf("the schema of the database is version %d, of a newer program, and this one knows %d: start that program", version, schemaVersion)
	}
	return nil
}

// Migrated says what Migrate did.
type Migrated struct{ From, To int }

// Migrate brings the schema of the database to the version of this program, one
// version in one transaction each. Daemons may run meanwhile. It may be repeated, and
// two at a time wait for each other.
func Migrate(ctx context.Context, o Options) (m Migrated, err error) {
	configs, err := parse(o)
	if err != nil {
		return m, err
	}
	c, err := configs.connect(ctx)
	if err != nil {
		return m, fmt.Errorf("migrate: %w", err)
	}
	defer end(c)
	m.From = -1
	for tries := 0; ; {
		version, err := migrateOne(ctx, c)
		if is(err, lockNotAvailable, deadlockDetected) && tries < migrateTries { // daemons are at work
			tries++
			continue
		}
		if err != nil {
			return m, fmt.Errorf("migrate: %w", err)
		}
		if m.From < 0 {
			m.From = version
		}
		if m.To = version; version >= schemaVersion {
			return m, nil
		}
	}
}

// migrateOne applies the next version, if there is one, and returns the one it found.
func migrateOne(ctx context.Context, c *pgx.Conn) (version int, err error) {
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		// Both end with the transaction, so that a pooler does not hand them to others. Whoever comes after
		// a change of a table that waits for its lock waits as long.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(8245937402371), set_config('lock_timeout', '1s', true)`); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass('fantail.schema_version') IS NOT NULL`).Scan(&there); err != nil {
			return err
		}
		if there {
			if err := tx.QueryRow(ctx, sqlSchemaVersion).Scan(&version); err != nil {
				return err
			}
		}
		if version > newestSchema {
			return checkVersion(version)
		}
		if version >= schemaVersion {
			return nil
		}
		text, err := schemas.ReadFile(fmt.Sprintf("schema/%d.sql", version+1))
		if err != nil {
			return err
		}
		_, err = tx.Conn().PgConn().Exec(ctx, strings.TrimSpace(string(text))).ReadAll()
		return err
	})
	return version, err
}
