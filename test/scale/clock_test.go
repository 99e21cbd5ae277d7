//go:build long

package scale

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/client"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/test/servers"
)

// A Go program asks the kernel for the time itself: no library between them can tell it another one. So these
// daemons are built of a package time whose Now adds what a file says.
const (
	skewVariable = "FANTAIL_TEST_SKEW"
	skewMain     = `package main

import (
	"os"
	"strings"
	"time"
)

func init() {
	look := func() {
		text, _ := os.ReadFile(os.Getenv("` + skewVariable + `"))
		if by, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
			time.Skew = int64(by)
		}
	}
	look()
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			look()
		}
	}()
}
`
	nowTrue   = "	sec, nsec, mono := runtimeNow()\n"
	nowSkewed = nowTrue + "	if at := sec*1e9 + int64(nsec) + Skew; Skew != 0 {\n		sec, nsec = at/1e9, int32(at%1e9)\n	}\n"
)

// skewable builds a daemon whose clock can be set. All of it is compiled anew, which takes minutes.
var skewable = sync.OnceValues(func() (string, error) {
	dir := filepath.Dir(binary)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find Go: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	changed := strings.Replace(string(text), nowTrue, nowSkewed, 1) + "\nvar Skew int64 // ns\n"
	if !strings.Contains(changed, nowSkewed) {
		return "", fmt.Errorf("%s does not read the clock as this test expects", source)
	}
	command, err := filepath.Abs("../../cmd/fantail/skew.go")
	if err != nil {
		return "", err
	}
	files := map[string]string{}
	for at, text := range map[string]string{source: changed, command: skewMain} {
		files[at] = filepath.Join(dir, "over-"+filepath.Base(at))
		if err := os.WriteFile(files[at], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		return "", err
	}
	out := filepath.Join(dir, "fantail-skewed")
	if log, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", out, "../../cmd/fantail").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build a daemon whose clock can be set: %w\n%s", err, log)
	}
	return out, nil
})

// skews has the clock of a daemon be wrong by so much, from now on.
func (d *daemon) skews(by time.Duration) {
	d.t.Helper()
	d.write("skew.new", by.String())
	if err := os.Rename(filepath.Join(d.dir, "skew.new"), filepath.Join(d.dir, "skew")); err != nil {
		d.t.Fatal(err)
	}
}

// startSkewed starts daemons whose clocks are wrong by so much each.
func (f *fleet) startSkewed(by ...time.Duration) {
	f.t.Helper()
	path, err := skewable()
	if err != nil {
		f.t.Fatal(err)
	}
	for i, d := range f.daemons {
		d.binary, d.env = path, []string{skewVariable + "=" + filepath.Join(d.dir, "skew")}
		d.skews(by[i])
		d.start()
	}
}

// warnsOfClock tells whether /readyz of the daemon warns that its clock is wrong.
func (d *daemon) warnsOfClock() bool {
	r, err := d.Readiness(d.t.Context())
	return err == nil && slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "clock") })
}

// Clocks of daemons differ by 50 ms and by 500 ms: events are in the order in which they were accepted, whoever
// accepted them, and who is far off says so (T15). Who is off by 6 s takes no events until the clock is right.
func TestClocksOfDaemonsDiffer(t *testing.T) {
	f := layOut(t, servers.PrivatePostgres(t), 3, shape{more: "shutdown_delay: 0s\n"})
	f.migrate()
	f.startSkewed(0, 50*time.Millisecond, -500*time.Millisecond)
	until(t, soon, "who is far off says so", f.daemons[2].warnsOfClock)
	for range rounds(1) {
		const within = 25 * time.Millisecond
		var last time.Time
		for i := range 300 {
			d := f.daemons[i%3]
			sent, err := d.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)})
			if err != nil {
				t.Fatal(err)
			}
			id, err := event.ParseID(sent.ID)
			if err != nil {
				t.Fatal(err)
			}
			if back := last.Sub(id.Time()); back > within {
				t.Errorf("%s accepted %v earlier what came after the last", d.name, back)
			}
			last = id.Time()
		}
		if f.daemons[0].warnsOfClock() || f.daemons[1].warnsOfClock() {
			t.Error("who is off by 50 ms warns")
		}
		l := newLoad(t, 6, f.urls()...)
		for _, by := range []time.Duration{6 * time.Second, -6 * time.Second} {
			wrong := f.daemons[1]
			wrong.skews(by)
			until(t, soon, "who is off by 6 s is not ready", func() bool {
				r, err := wrong.Readiness(t.Context())
				return err == nil && !r.Ready && strings.Contains(strings.Join(r.Problems, " "), "clock")
			})
			_, err := wrong.Send(t.Context(), client.SendRequest{Developer: "acme", Body: []byte(`{"type":"sleep"}`)})
			if refused, ok := errors.AsType[*client.Error](err); !ok || refused.Status != http.StatusServiceUnavailable {
				t.Errorf("who is off by 6 s answers %v", err)
			}
			l.more(t, 200)
			wrong.skews(50 * time.Millisecond)
			until(t, soon, "it takes events again", func() bool { return wrong.Ready(t.Context()) == nil })
		}
		f.settle(l.end(), nil, 0)
	}
}

// Daemons and the database go over midnight under load, and somebody holds a snapshot all the while (T19).
func TestDaemonsGoOverMidnight(t *testing.T) {
	server := servers.PrivatePostgres(t)
	const before = 40 * time.Second
	if _, err := skewable(); err != nil { // before: it takes minutes
		t.Fatal(err)
	}
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	by := time.Until(midnight) - before
	server.Ahead(by)
	f := layOut(t, server, 3, shape{more: "shutdown_delay: 0s\n"})
	f.migrate()
	f.startSkewed(by, by, by)
	c := f.connect("test")
	end := f.hold("pg_dump")
	l := newLoad(t, 4, f.urls()...)
	until(t, 2*before, "it is the next day", func() bool { return ask[time.Time](t, c, "SELECT clock_timestamp()").After(midnight) })
	l.more(t, 500)
	next, _ := day(midnight)
	for _, n := range []int64{next - 1, next} {
		if some := ask[int](t, c, "SELECT count(*)::int FROM fantail.event WHERE day = $1", n); some == 0 {
			t.Errorf("nothing was accepted on day %d", n)
		}
	}
	_, last := day(midnight.AddDate(0, 0, 3))
	until(t, 2*time.Minute, "one more day to come is made", func() bool {
		return ask[int](t, c, "SELECT count(*)::int FROM pg_class WHERE relname ~ ('^(event|body|done|attempt)_' || $1::text || '$')", last) == len(dayTables)
	})
	end()
	f.settle(l.end(), nil, 0)
}
