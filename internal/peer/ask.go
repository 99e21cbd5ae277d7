package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

// mostAnswer bounds what a daemon answers.
const mostAnswer = 8 << 20

// Question is what other daemons are asked.
type Question struct {
	Method, Path string
	Query        url.Values
	Body         []byte
	Patience     time.Duration // 0: Patience
}

// Answer is what one of them said.
type Answer struct {
	Daemon store.Daemon
	Body   []byte
	Err    error // it did not answer in time, or could not
}

var errNoAddress = errors.New("it says no address at which others reach it: set store.postgres.advertise there")

// Ask asks every other daemon that is alive, all at a time, and waits for Patience at the longest.
func (d *Directory) Ask(ctx context.Context, q Question) []Answer {
	others := d.Others()
	if len(others) == 0 {
		return nil
	}
	patience := q.Patience
	if patience == 0 {
		patience = Patience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers := make([]Answer, len(others))
	var asking sync.WaitGroup
	for i, o := range others {
		asking.Go(func() {
			body, err := d.one(ctx, o, q)
			answers[i] = Answer{Daemon: o, Body: body, Err: err}
		})
	}
	asking.Wait()
	return answers
}

func (d *Directory) one(ctx context.Context, o store.Daemon, q Question) ([]byte, error) {
	res, err := d.send(ctx, o, q)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask daemon %s: %w", o.Name, err)
	case len(body) > mostAnswer:
		return nil, fmt.Errorf("ask daemon %s: it answered more than %d bytes", o.Name, mostAnswer)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask daemon %s: it answered %d: %.300s", o.Name, res.StatusCode, body)
	}
	return body, nil
}

// Stream asks one daemon for what goes on for as long as ctx. The caller closes it.
func (d *Directory) Stream(ctx context.Context, o store.Daemon, q Question) (io.ReadCloser, error) {
	res, err := d.send(ctx, o, q)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("ask daemon %s: it answered %d", o.Name, res.StatusCode)
	}
	return res.Body, nil
}

func (d *Directory) send(ctx context.Context, o store.Daemon, q Question) (*http.Response, error) {
	base, err := url.Parse(o.API)
	if o.API == "" || err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("ask daemon %s: %w", o.Name, errNoAddress)
	}
	u := strings.TrimSuffix(o.API, "/") + q.Path
	if len(q.Query) > 0 {
		u += "?" + q.Query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, u, bytes.NewReader(q.Body))
	if err != nil {
		return nil, fmt.Errorf("ask daemon %s: %w", o.Name, err)
	}
	sign(d.Keys(), r, o.ID, q.Body, time.Now())
	res, err := d.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask daemon %s: %w", o.Name, err)
	}
	return res, nil
}
