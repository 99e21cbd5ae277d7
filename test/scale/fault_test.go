package scale

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// inFlight is how long before a daemon died something may have been in flight, or settled and not synced.
// A busy machine is slow to note an answer.
const inFlight = 4 * time.Second

func (f *fleet) urls() (all []string) {
	for _, d := range f.daemons {
		all = append(all, "http://"+d.listen)
	}
	return all
}

// Daemons are killed with kill -9 under load, and stand still for longer than their lease. Nothing
// acknowledged is lost; what they had moves on at another; who stood still ends.
func TestDaemonsThatDieOrStandStillLoseNothing(t *testing.T) {
	f := newFleet(t, 2, "shutdown_delay: 0s\n", nil)
	l := newLoad(t, 6, f.urls()...)
	var moments []time.Time
	for range rounds(1) {
		l.more(t, 200)
		dying := f.daemons[1]
		moments = append(moments, time.Now())
		dying.kill()
		l.more(t, 200) // the other takes events at once
		until(t, 40*time.Second, "the slots of the daemon that died are adopted", func() bool { return f.daemons[0].owned() > 0 && f.daemons[0].adopted() > 0 })
		moments = append(moments, time.Now())
		dying.start()

		still := f.daemons[0]
		l.more(t, 100)
		moments = append(moments, time.Now())
		_ = still.cmd.Process.Signal(syscall.SIGSTOP)
		until(t, 40*time.Second, "the slots of the daemon that stands still are adopted", func() bool { return dying.adopted() > 0 })
		_ = still.cmd.Process.Signal(syscall.SIGCONT)
		moments = append(moments, time.Now())
		until(t, 40*time.Second, "a daemon whose slots others have adopted ends", still.ended)
		if still.err == nil || !strings.Contains(still.log.String(), "lease") {
			t.Errorf("it ended with %v:\n%.2000s", still.err, still.log)
		}
		still.start()
	}
	l.more(t, 100)
	f.settle(l.end(), moments, inFlight)
}

// A rolling deploy behind HAProxy: each daemon in turn is stopped in order and started again. Whoever
// asks the balancer sees no 5xx and no broken connection, nothing comes twice.
func TestARollingDeployIsNotSeenThroughTheBalancer(t *testing.T) {
	f := newFleet(t, 2, "shutdown_delay: 3s\n", nil)
	balancer := servers.StartBalancer(t, f.daemons[0].listen, f.daemons[1].listen)
	until(t, soon, "the balancer has daemons", func() bool {
		return clientOf(t, balancer.URL).Ready(t.Context()) == nil
	})
	l := newLoad(t, 4, balancer.URL)
	for range rounds(1) {
		for _, d := range f.daemons {
			l.more(t, 100)
			took := d.stop()
			t.Logf("%s stopped in %v", d.name, took.Round(10*time.Millisecond))
			l.more(t, 50)
			d.start()
			l.more(t, 50) // and the balancer finds it again before the next one goes
			until(t, soon, "the balancer has both", func() bool { return d.handled() > 0 })
		}
	}
	acked := l.end()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d requests failed through the balancer, the first: %v", n, *l.first.Load())
	}
	f.settle(acked, nil, 0)
}

// The figure of a metric, whose name has its labels with it.
func (d *daemon) figure(name string) float64 {
	text, err := d.Metrics(d.t.Context())
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		var v float64
		if n, _ := fmt.Sscanf(line, name+" %g", &v); n == 1 {
			return v
		}
	}
	return -1
}

func (d *daemon) adopted() float64 { return d.figure("fantail_slots_adopted_total") }
func (d *daemon) owned() float64   { return d.figure("fantail_slots") }
func (d *daemon) handled() float64 {
	return d.figure(`fantail_events_accepted_total{result="accepted"}`)
}
