package payload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// MaxTTL is the longest life of a link, in every store: a folder too keeps to what the clouds
// allow.
const MaxTTL = destination.MaxLinkTTL

// ErrGone says that retention has taken a payload, or is about to.
var ErrGone = errors.New("the payload is older than retention.payloads")

// Finder is what a store implements that can tell whether a payload is there.
type Finder interface {
	Has(ctx context.Context, developer, id string) (bool, error)
}

// Operator is the operator's payload store as destinations use it. Its errors wrap
// [destination.ErrEngine] and tell developers no more than that. The log and Down say what went
// wrong.
type Operator struct {
	store     destination.PayloadStore
	log       *slog.Logger
	retention atomic.Int64 // ns; 0: for ever
	up        prometheus.Gauge
	took      prometheus.Histogram
	failures  *prometheus.CounterVec

	mu    sync.Mutex
	down  error
	since time.Time
	said  time.Time     // when the log last heard that it is down
	ailed chan struct{} // a token when it went down
}

var _ destination.PayloadStore = (*Operator)(nil)

// NewOperator wraps store. Its metrics go to reg.
func NewOperator(store destination.PayloadStore, reg prometheus.Registerer, log *slog.Logger) *Operator {
	o := &Operator{
		store: store, log: log, ailed: make(chan struct{}, 1),
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fantail_payload_store_up", Help: "1 while the payload store works, 0 since it last failed.",
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "fantail_payload_put_seconds", Help: "How long putting a payload took, those that were there already and those that failed included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 13),
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fantail_payload_failures_total", Help: "Calls of the payload store that failed.",
		}, []string{"call"}),
	}
	for _, call := range []string{"put", "link", "check"} {
		o.failures.WithLabelValues(call)
	}
	o.up.Set(1)
	reg.MustRegister(o.up, o.took, o.failures)
	return o
}

// SetRetention says how long payloads live; 0 is for ever. Links end with them.
func (o *Operator) SetRetention(keep time.Duration) { o.retention.Store(int64(keep)) }

// Put stores p.
func (o *Operator) Put(ctx context.Context, developer string, p event.Payload) error {
	if _, err := event.PayloadKeyOf(developer, p.ID); err != nil {
		return err // which says nothing of the store
	}
	began := time.Now()
	err := o.store.Put(ctx, developer, p)
	o.took.Observe(time.Since(began).Seconds())
	return o.judge(ctx, "put", began, err)
}

// Link links to a payload for ttl, at most [MaxTTL], or for as long as it lives.
func (o *Operator) Link(ctx context.Context, developer, id string, ttl time.Duration) (destination.Link, error) {
	k, err := event.PayloadKeyOf(developer, id)
	if err != nil {
		return destination.Link{}, err
	}
	began := time.Now()
	if keep := time.Duration(o.retention.Load()); keep > 0 {
		ttl = min(ttl, end(k.Day, keep).Sub(began))
	}
	if ttl = min(ttl, MaxTTL); ttl < time.Second {
		return destination.Link{}, fmt.Errorf("link to payload %s: %w", id, ErrGone)
	}
	link, err := o.store.Link(ctx, developer, id, ttl)
	return link, o.judge(ctx, "link", began, err)
}

// Has tells whether a payload is there. Its error wraps [errors.ErrUnsupported]
// where the store cannot tell.
func (o *Operator) Has(ctx context.Context, developer, id string) (bool, error) {
	if _, err := event.PayloadKeyOf(developer, id); err != nil {
		return false, err
	}
	finder, ok := o.store.(Finder)
	if !ok {
		return false, fmt.Errorf("look for payload %s: %w", id, errors.ErrUnsupported)
	}
	began := time.Now()
	found, err := finder.Has(ctx, developer, id)
	return found, o.judge(ctx, "check", began, err)
}

// Down returns since when the store fails and why; nil while it works.
func (o *Operator) Down() (since time.Time, reason error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since, o.down
}

// patience is how long a call must have taken before its end by the context counts against the
// store: a destination may allow its attempts less.
const patience = 5 * time.Second

// judge notes how a call went and returns what a destination may know of it.
func (o *Operator) judge(ctx context.Context, call string, began time.Time, err error) error {
	if err == nil {
		o.note(nil)
		return nil
	}
	o.failures.WithLabelValues(call).Inc()
	if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) && time.Since(began) >= patience {
		o.note(fmt.Errorf("%s: %w", call, err))
	}
	return fmt.Errorf("the operator's payload store failed (%s): %w", call, destination.ErrEngine)
}

// sayEvery bounds what the log hears of a store that fails now and then.
const sayEvery = time.Minute

// note keeps the state of the store and logs changes of it, not every failure.
func (o *Operator) note(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := o.down
	o.down = err
	switch {
	case err != nil && was == nil:
		o.since = time.Now()
		o.up.Set(0)
		if o.since.Sub(o.said) >= sayEvery {
			o.said = o.since
			o.log.Error("the payload store fails; deliveries that link to payloads wait", "error", err)
		}
		select {
		case o.ailed <- struct{}{}:
		default:
		}
	case err == nil && was != nil:
		o.up.Set(1)
		o.log.Info("the payload store works again", "after", time.Since(o.since).Round(time.Second))
	}
}

const (
	checkFirst = time.Second
	checkMost  = time.Minute
	checkTime  = 30 * time.Second
)

// Watch checks the store once, and then from time to time while it is down, until ctx ends.
// Without traffic nobody else would notice that it is down, or back.
func (o *Operator) Watch(ctx context.Context) {
	checker, ok := o.store.(destination.Checker)
	if !ok {
		return
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	wait := checkFirst
	for {
		select {
		case <-timer.C:
		case <-o.ailed:
			wait = checkFirst
			timer.Reset(wait)
			continue
		case <-ctx.Done():
			return
		}
		began := time.Now()
		within, cancel := context.WithTimeout(ctx, checkTime)
		err := o.judge(within, "check", began, checker.Check(within))
		cancel()
		if err != nil {
			timer.Reset(wait)
			wait = min(2*wait, checkMost)
		}
	}
}
