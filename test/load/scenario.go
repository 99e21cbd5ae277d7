package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// scenario is one measured set-up.
type scenario struct {
	Binary  string
	Dir     string
	Warm    time.Duration
	For     time.Duration
	Runs    int
	Conns   int
	Size    int
	Fanout  int
	Rate    float64
	Profile string

	profiles string // where the daemon serves profiles
}

const secret = "the-secret-of-the-load-test"

// result is one run.
type result struct {
	Events        float64 // a second, drain included
	Deliveries    float64
	CPU           time.Duration // of the daemon, a delivery
	Accept        [2]time.Duration
	Delivered     [2]time.Duration
	RSS           int64
	Lost, Doubled int
	Refused       int
	Floor         float64       // deliveries a second of the bare client
	FloorCPU      time.Duration // of the bare client, a delivery
}

func (s *scenario) run(ctx context.Context) error {
	if s.Binary == "" {
		return errors.New("-fantail names the daemon's binary (make load builds it)")
	}
	if err := realDisk(s.Dir); err != nil {
		return err
	}
	var all []result
	for i := range s.Runs {
		r, err := s.once(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("run %d  %s\n", i+1, r)
		if r.Lost > 0 {
			return fmt.Errorf("%d acknowledged deliveries never arrived", r.Lost)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b result) int { return int(a.Deliveries - b.Deliveries) })
	fmt.Printf("median %s\n", all[len(all)/2])
	return nil
}

func (r result) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }
	floor := ""
	if r.Floor > 0 {
		floor = fmt.Sprintf("  floor %.0f/s at %.1f us (rate x%.2f, CPU x%.2f)", r.Floor, us(r.FloorCPU), r.Deliveries/r.Floor, us(r.CPU)/us(r.FloorCPU))
	}
	return fmt.Sprintf("%.0f events/s  %.0f deliveries/s  %.1f us CPU each  accept p50/p99 %s/%s ms  delivered p50/p99 %s/%s ms  RSS %d MiB  lost %d  doubled %d  refused %d%s",
		r.Events, r.Deliveries, us(r.CPU), ms(r.Accept[0]), ms(r.Accept[1]), ms(r.Delivered[0]), ms(r.Delivered[1]), r.RSS>>20, r.Lost, r.Doubled, r.Refused, floor)
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// once starts everything afresh, measures, and takes it down.
func (s *scenario) once(ctx context.Context) (r result, err error) {
	dir, err := os.MkdirTemp(s.Dir, "fantail-load-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	sink, err := startProcess(os.Args[0], "sink", "-size", fmt.Sprint(s.Size), "-secret", secret)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, sink.end()) }()
	addr, err := sink.out.ReadString('\n')
	if err != nil {
		return r, fmt.Errorf("start the sink: %w", err)
	}
	far := "http://" + strings.TrimSpace(addr)

	if s.Rate == 0 {
		sent, cpu, err := load(ctx, task{URL: far, Direct: true, Developers: s.Fanout, Conns: s.Conns, For: min(s.For, 10*time.Second), Size: s.Size})
		if err != nil {
			return r, err
		}
		r.Floor, r.FloorCPU = rate(sent), cpu/time.Duration(max(1, len(sent)))
		if err := post0(far + "/control/reset"); err != nil {
			return r, err
		}
	}
	daemon, api, err := s.startDaemon(dir, far)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, daemon.stop()) }()

	t := task{URL: api + "/v1/events", Developers: 1, Conns: s.Conns, Rate: s.Rate, Size: s.Size, For: s.Warm}
	warm, _, err := load(ctx, t)
	if err != nil {
		return r, err
	}
	if err := s.drained(ctx, far, count(warm)*s.Fanout); err != nil {
		return r, err
	}
	profiled := s.profile(ctx)
	before, err := daemon.cpu()
	if err != nil {
		return r, err
	}
	began := time.Now()
	t.First, t.For = len(warm), s.For
	sent, _, err := load(ctx, t)
	if err != nil {
		return r, err
	}
	if err := s.drained(ctx, far, (count(warm)+count(sent))*s.Fanout); err != nil {
		return r, err
	}
	took := time.Since(began)
	after, err := daemon.cpu()
	if err != nil {
		return r, err
	}
	if err := <-profiled; err != nil {
		return r, err
	}
	if r.RSS, err = daemon.peakRSS(); err != nil {
		return r, err
	}
	return r, s.judge(&r, far, append(warm, sent...), sent, took, after-before)
}

// startDaemon writes settings and starts the real binary on them.
func (s *scenario) startDaemon(dir, far string) (*process, string, error) {
	listen, err := freePort()
	if err != nil {
		return nil, "", err
	}
	var dev strings.Builder
	dev.WriteString("developer: d0\ndestinations:\n")
	for i := range s.Fanout {
		fmt.Fprintf(&dev, "  - name: sink%d\n    kind: webhook\n    max_in_flight: 64\n    settings: { url: %q, secret: %q, allow_http: true }\n", i, fmt.Sprintf("%s/d/%d", far, i), secret)
	}
	files := map[string]string{
		"fantail.yaml":       fmt.Sprintf("listen: %s\nstore: { pebble: { dir: store } }\negress: { allow: [127.0.0.0/8] }\n", listen),
		"developers/d0.yaml": dev.String(),
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return nil, "", err
		}
	}
	args := []string{"serve", "--config", filepath.Join(dir, "fantail.yaml")}
	if s.Profile != "" {
		if s.profiles, err = freePort(); err != nil {
			return nil, "", err
		}
		args = append(args, "--pprof", s.profiles)
	}
	p, err := startProcess(s.Binary, args...)
	if err != nil {
		return nil, "", err
	}
	api := "http://" + listen
	for range 300 {
		res, err := http.Get(api + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p, api, nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, "", fmt.Errorf("the daemon did not get ready: %w", p.stop())
}

// drained waits until the sink has n arrivals.
func (s *scenario) drained(ctx context.Context, far string, n int) error {
	for still := 0; still < 3000; still++ {
		res, err := http.Get(far + "/control/count")
		if err != nil {
			return err
		}
		var have int
		_, err = fmt.Fscan(res.Body, &have)
		res.Body.Close()
		if err != nil {
			return err
		}
		if have >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil // judge says what is lost
}

// judge compares what was acknowledged with what arrived.
func (s *scenario) judge(r *result, far string, all, sent []sending, took, cpu time.Duration) error {
	res, err := http.Get(far + "/control/tally?verify=1")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	in := bufio.NewReaderSize(res.Body, 1<<20)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var counts struct{ Arrivals, Duplicates, Wrong int }
	if err := json.Unmarshal(line, &counts); err != nil {
		return err
	}
	if counts.Wrong > 0 {
		return fmt.Errorf("%d arrivals had a wrong body or signature", counts.Wrong)
	}
	r.Doubled = counts.Duplicates
	type key struct{ dest, n int }
	first := map[key]int64{}
	for {
		var k key
		var at int64
		if _, err := fmt.Fscan(in, &k.dest, &k.n, &at); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		first[k] = at
	}
	for _, e := range all {
		for d := range s.Fanout {
			if _, ok := first[key{d, e.n}]; e.status == http.StatusAccepted && !ok {
				r.Lost++
			}
		}
	}
	var accept, delivered []time.Duration
	for _, e := range sent {
		if e.status != http.StatusAccepted {
			r.Refused++
			continue
		}
		accept = append(accept, time.Duration(e.acked-e.start))
		for d := range s.Fanout {
			delivered = append(delivered, time.Duration(first[key{d, e.n}]-e.start))
		}
	}
	r.Accept, r.Delivered = quantiles(accept), quantiles(delivered)
	n := len(accept)
	r.Events, r.Deliveries = float64(n)/took.Seconds(), float64(n*s.Fanout)/took.Seconds()
	r.CPU = cpu / time.Duration(max(1, n*s.Fanout))
	return nil
}

func count(sent []sending) (n int) {
	for _, s := range sent {
		if s.status == http.StatusAccepted {
			n++
		}
	}
	return n
}

// rate is answers a second between the first start and the last answer.
func rate(sent []sending) float64 {
	if len(sent) == 0 {
		return 0
	}
	first, last := sent[0].start, sent[0].acked
	for _, s := range sent {
		first, last = min(first, s.start), max(last, s.acked)
	}
	return float64(len(sent)) / time.Duration(last-first).Seconds()
}

func quantiles(d []time.Duration) [2]time.Duration {
	if len(d) == 0 {
		return [2]time.Duration{}
	}
	slices.Sort(d)
	return [2]time.Duration{d[len(d)/2], d[len(d)*99/100]}
}

// profile records the daemon's CPU while it is measured, if asked to.
func (s *scenario) profile(ctx context.Context) (done chan error) {
	done = make(chan error, 1)
	if s.Profile == "" {
		close(done)
		return done
	}
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.profiles, max(1, int(s.For.Seconds())))
	go func() { done <- save(ctx, url, s.Profile) }()
	return done
}

func save(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

func post0(url string) error {
	res, err := http.Post(url, "", nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// realDisk refuses a folder in memory: a durable commit costs nothing there.
func realDisk(dir string) error {
	if dir == "" {
		dir = os.TempDir()
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	const tmpfs = 0x01021994
	if fs.Type == tmpfs {
		return fmt.Errorf("%s lies in memory: name a folder on a disk with -dir", dir)
	}
	return nil
}
