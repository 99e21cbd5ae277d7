// Package pgstore is the store on PostgreSQL: for those who run PostgreSQL already, and for
// several daemons on one database. The folder schema says what lies where; sql.go, sqllog.go
// and sqlslots.go hold every statement, with the plan that it is meant to have.
//
// What is pending lies in slots, and a daemon goes on with that in its own (slots.go). It keeps
// them by a lease (lease.go), and looks around for those of others that ended (lookout.go).
//
// Every write to deliveries goes through a committer (committer.go), one for each of this
// daemon's slots. It takes the fence of the slot, makes one commit, and when the answer is lost
// finds out what became of it. Append gathers callers into groups that several committers store
// (group.go). Every change of a delivery goes through one more committer: Settle uses one
// statement for all outcomes whose rows nobody has touched (settle.go), the rest goes row by
// row in a transaction (change.go).
//
// A store may lie in several databases, each of which is a Store: see Primaries.
//
// Reads go through a pool, with a deadline. A commit has none: see committer.go.
package pgstore

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/packing"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const (
	// appenders is how many groups of events are stored at a time: while one waits for
	// the disk of the database, another is on its way.
	appenders = 2
	// Connections that are not of the pool: the committers, that of the lease, and that of the
	// lookout.
	ownConnections = appenders + 3
	// DefaultConnections is how many a daemon has at most, MinConnections how many it needs at
	// least.
	DefaultConnections = 12
	MinConnections     = ownConnections + 1
)

// Options of a store.
type Options struct {
	URLs        []secret.Value // of one database, to be tried in turn: see package pgurl
	Connections int            // at most; 0: DefaultConnections
	Log         *slog.Logger   // nil: slog.Default
	OnCommit    func(time.Duration)
	Fatal       func(error)         // called once when another daemon has taken over: stop and exit non-zero
	Adopted     func([]store.Moved) // deliveries that are pending here though no caller was told; nil: nobody asks
	FailedOver  func()              // another server has become the primary, and may lack what was stored last; must not block; nil: nobody asks
	Rand        func() uint64       // random bits of event ids; nil: math/rand/v2
	Copying     bool                // for a copy: opens what a copy is made from or to
	Lease       time.Duration       // how long after the end of a daemon another may take over; 0: 10 s

	// Serial tells whether one daemon alone may make the deliveries of a destination. It must not
	// block. nil: none is.
	Serial func(dest uint32) bool

	clock func() time.Time // nil: time.Now
	part  *part            // what the store is of several; nil: all of it

	patience time.Duration   // see Primaries; 0: 5 s
	tracer   pgx.QueryTracer // sees every statement; nil: nobody
}

// Store is a store.Store.
type Store struct {
	opts    Options
	log     *slog.Logger
	configs configs
	pool    *pgxpool.Pool
	owner   [16]byte // of this process
	started time.Time
	joined  bool

	// gate is held for reading by every call and for writing by Close.
	gate    sync.RWMutex
	closing chan struct{}   // closed when Close begins: no new calls
	ending  context.Context // done when Close begins
	end     context.CancelFunc
	quit    chan struct{} // closed when no call runs any more: goroutines end
	closed  sync.Once
	wg      sync.WaitGroup

	health   health
	counters counters
	groups   groups
	idem     idempotency
	packer   packing.Packer
	days     partitions
	kept     kept

	appends []*committer
	changes *committer

	identity identity
	failover failover

	owned  owned
	lease  lease
	look   lookout
	follow follow
	duties duties
	share  atomic.Pointer[[2]int]
	folds  folds
	lows   lows

	settled atomic.Uint64 // commits that did not wait for the disk
	durable atomic.Uint64 // how many of them one that did has covered
	dirty   chan struct{} // wakes the syncer
}

var _ store.Shared = (*Store)(nil)

// Open opens the store of a database that Migrate has prepared. The error says what to
// do when its schema is missing, older or newer. Other daemons may work on it.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	if o.Fatal == nil {
		o.Fatal = func(error) {}
	}
	if o.Lease == 0 {
		o.Lease = 10 * time.Second
	}
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Connections < MinConnections {
		return nil, fmt.Errorf("open the store: %d connections are too few, it needs %d", o.Connections, MinConnections)
	}
	s := &Store{opts: o, log: o.Log, closing: make(chan struct{}), quit: make(chan struct{}), dirty: make(chan struct{}, 1), packer: packing.New()}
	s.ending, s.end = context.WithCancel(context.Background())
	s.idem.flying = map[[16]byte]*claim{}
	s.groups.ids.Rand, s.groups.wake = o.Rand, make(chan struct{}, 1)
	s.counters.wake = make(chan struct{}, 1)
	s.counters.dests, s.counters.missed = map[uint32]*[8]atomic.Int64{}, map[int16]int64{}
	s.look.empty, s.look.given, s.look.held, s.look.news.stamp = map[int16]int64{}, map[int16]time.Time{}, map[[16]byte]time.Time{}, map[uint32]int64{}
	s.duties.mine, s.folds.done = map[string]bool{}, map[int16]int64{}
	s.lows.high, s.lows.flying = map[int16]int64{}, map[*committer]earliest{}
	s.share.Store(&[2]int{0, 1})
	s.started = s.now()
	if s.configs, err = parse(o); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s.identity.log, s.identity.change = s.log, s.failedOver
	s.failover.links, s.failover.dests = map[any]*link{}, map[uint32]store.DestinationKey{}
	s.configs = s.identity.watch(s.configs)
	if len(s.configs) > 1 {
		scout(ctx, s.configs) // a former primary may stand first, and take writes
	}
	if o.part != nil && o.part.home != nil {
		s.owner = o.part.home.owner
	} else if _, err := crand.Read(s.owner[:]); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	defer func() {
		if err != nil {
			s.abandon()
		}
	}()
	if err := s.openPool(ctx); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	for _, step := range []func(context.Context) error{s.checkServer, s.join, s.checkCopy, s.checkParts, s.loadDays, s.loadKept, s.recount, s.seedIDs, s.loadNews} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("open the store: %w", err)
		}
	}
	for _, c := range s.appends {
		s.wg.Go(func() { s.commitLoop(c) })
	}
	s.wg.Go(s.syncLoop)
	s.wg.Go(s.leaseLoop)
	s.wg.Go(s.lookLoop)
	s.wg.Go(s.keepLoop)
	s.wg.Go(s.scoutLoop)
	return s, nil
}

// abandon ends what Open has begun.
func (s *Store) abandon() {
	if s.joined {
		s.leaveSlots()
	}
	if s.look.link != nil {
		end(s.look.link.Conn)
	}
	if s.pool != nil {
		s.pool.Close()
	}
}

// openPool opens the connection of the lookout, and those that read. The driver tries the next host of one URL when a
// host refuses. It does not know of further URLs: those are its fallbacks.
func (s *Store) openPool(ctx context.Context) error {
	l, err := s.connectLink(ctx, &s.look)
	if err != nil {
		return err
	}
	s.look.link = l
	s.failover.put = timelineOf(l.PgConn())
	version, err := readVersion(ctx, l.Conn)
	if err != nil {
		return err
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return err
	}
	config.ConnConfig = s.configs[0].Copy()
	config.MaxConns = int32(s.opts.Connections - ownConnections)
	config.MaxConnLifetime = 30 * time.Minute
	config.MaxConnIdleTime = time.Minute
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		turn := s.identity.inTurn(s.configs)
		*c = *turn[0].Copy()
		for _, other := range turn[1:] {
			c.Fallbacks = append(c.Fallbacks, fallback(other)...)
		}
		return nil
	}
	s.pool, err = pgxpool.NewWithConfig(ctx, config)
	return err
}

// loadNews notes from when on changes of destinations are told.
func (s *Store) loadNews(ctx context.Context) error {
	return s.reading(ctx, func(q query) error { return q.one(sqlOldest, nil, &s.look.news.oldest) })
}

// now is the clock of this machine.
func (s *Store) now() time.Time {
	if s.opts.clock != nil {
		return s.opts.clock()
	}
	return time.Now()
}

// seedIDs finds the newest event. Copies that a replay carried forward lie under later
// days than their ids say.
func (s *Store) seedIDs(ctx context.Context) error {
	s.groups.ids.Seed(s.kept.newest)
	newest, err := s.newest(ctx)
	if err == nil {
		s.groups.ids.Seed(newest)
	}
	return err
}

// newest is the newest event of all daemons; zero: there is none.
func (s *Store) newest(ctx context.Context) (id [16]byte, err error) {
	days, err := s.freshDays(ctx)
	if err != nil {
		return id, err
	}
	for _, day := range days {
		err := s.pool.QueryRow(ctx, sqlNewest, int32(day), firstID(day)).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return id, fmt.Errorf("find the newest event: %w", err)
		}
		return id, nil
	}
	return id, nil
}

// enter begins a call; leave ends it.
func (s *Store) enter() error {
	select {
	case <-s.closing:
		return store.ErrClosed
	default:
	}
	s.gate.RLock()
	select {
	case <-s.closing:
		s.gate.RUnlock()
		return store.ErrClosed
	default:
		return nil
	}
}

func (s *Store) leave() { s.gate.RUnlock() }

// interrupted says why something long must end here, if it must.
func (s *Store) interrupted(ctx context.Context) error {
	select {
	case <-s.closing:
		return store.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
		return nil
	}
}

// Close makes everything durable, leaves the slots to whoever comes next and ends
// every goroutine. Calls that run are waited for, each of which ends by itself.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() {
		close(s.closing)
		s.end()
		s.gate.Lock()
		defer s.gate.Unlock()
		if s.health.reachable() && s.durable.Load() < s.settled.Load() {
			err = s.sync()
		}
		close(s.quit)
		s.wg.Wait()
		s.leaveSlots()
		if s.look.link != nil {
			end(s.look.link.Conn)
		}
		for _, c := range s.writers() {
			c.close()
		}
		s.pool.Close()
	})
	return err
}

// Backup is refused: a copy that this program makes would be worse than one by the
// database's own means.
func (s *Store) Backup(context.Context, string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return ErrBackup
}

// ErrBackup says what makes backups of this store.
var ErrBackup = fmt.Errorf("%w: the store is in PostgreSQL, whose own backups go back to any moment (pgBackRest, WAL-G, pg_basebackup, or those of the service); "+
	"pg_dump of the schema fantail is a consistent copy, too", store.ErrBackup)
