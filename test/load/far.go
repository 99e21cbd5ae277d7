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
	"strconv"
	"strings"
)

const secret = "the-secret-of-the-load-test"

// far is the sink as the controlling process sees it.
type far struct {
	*process
	url string
}

// startSink starts a sink that expects bodies of these sizes.
func startSink(sizes ...int) (*far, error) {
	args := []string{"sink", secret}
	for _, size := range sizes {
		args = append(args, strconv.Itoa(size))
	}
	p, err := startProcess(os.Args[0], args...)
	if err != nil {
		return nil, err
	}
	addr, err := p.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the sink: %w", err), p.end())
	}
	return &far{p, "http://" + strings.TrimSpace(addr)}, nil
}

// hang makes destinations from (inclusive) to (exclusive) hang. All others answer, also the requests
// that have waited so far.
func (f *far) hang(ctx context.Context, from, to int) error {
	return f.do(ctx, http.MethodPost, fmt.Sprintf("/hang/%d/%d", from, to), nil)
}

// reset forgets what has arrived.
func (f *far) reset(ctx context.Context) error { return f.do(ctx, http.MethodPost, "/reset", nil) }

// count is how many requests were answered.
func (f *far) count(ctx context.Context) (n int, err error) {
	err = f.do(ctx, http.MethodGet, "/count", func(r io.Reader) error {
		_, err := fmt.Fscan(r, &n)
		return err
	})
	return n, err
}

// spot is one event at one destination.
type spot struct{ dest, n int32 }

// tally is what arrived.
type tally struct {
	found
	first   map[spot]int64 // ns of the first arrival
	doubled int
}

// tally checks everything that arrived: signatures and bodies, all of them.
func (f *far) tally(ctx context.Context) (t tally, err error) {
	err = f.do(ctx, http.MethodGet, "/tally", func(r io.Reader) error {
		t, err = readTally(r)
		return err
	})
	return t, err
}

func readTally(r io.Reader) (t tally, err error) {
	in := bufio.NewScanner(r)
	if !in.Scan() {
		return t, errors.Join(errors.New("the tally is empty"), in.Err())
	}
	if err := json.Unmarshal(in.Bytes(), &t.found); err != nil {
		return t, err
	}
	t.first = make(map[spot]int64, t.Arrivals)
	for lines := 0; ; lines++ {
		if !in.Scan() {
			if lines != t.Arrivals {
				return t, fmt.Errorf("the tally was cut short: %d of %d arrivals", lines, t.Arrivals)
			}
			return t, in.Err()
		}
		f := strings.Fields(in.Text())
		if len(f) != 3 {
			return t, fmt.Errorf("a line of the tally: %q", in.Text())
		}
		dest, _ := strconv.Atoi(f[0]) // numbers, as tally writes them
		n, _ := strconv.Atoi(f[1])
		at, _ := strconv.ParseInt(f[2], 10, 64)
		at0, twice := t.first[spot{int32(dest), int32(n)}]
		if twice {
			t.doubled++
			at = min(at, at0)
		}
		t.first[spot{int32(dest), int32(n)}] = at
	}
}

// do calls the sink, which answers requests of the control at once.
func (f *far) do(ctx context.Context, method, path string, read func(io.Reader) error) error {
	body, err := request(ctx, method, f.url+path)
	if err != nil {
		return fmt.Errorf("ask the sink: %w", err)
	}
	defer body.Close()
	if read == nil {
		return nil
	}
	return read(body)
}

// request returns the body of an answer 200.
func request(ctx context.Context, method, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return res.Body, nil
}
