package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/peer"
	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// peerReaders is how many followers of other daemons may follow attempts here at once.
	peerReaders = 64
	// liveLook is how often a follower looks which daemons there are.
	liveLook = time.Second
	// mostLine bounds an attempt that another daemon tells of.
	mostLine = 1 << 20
)

// liveWish says which attempts are followed.
type liveWish struct {
	Developer, Destination string
	All                    bool
	Developers             []string // unless All
}

func (w *liveWish) wants(k store.DestinationKey) bool {
	return (w.Developer == "" || k.Developer == w.Developer) && (w.Destination == "" || k.Name == w.Destination) &&
		(w.All || slices.Contains(w.Developers, k.Developer))
}

// peerLive tells another daemon of attempts here until it has enough.
func (a *API) peerLive(c *call, body []byte) error {
	var wish liveWish
	if err := question(body, &wish); err != nil {
		return err
	}
	select {
	case a.peerFollow <- struct{}{}:
		defer func() { <-a.peerFollow }()
	default:
		return refuse(429, "too_many_readers", "as many daemons follow attempts as may")
	}
	if a.Outside != nil {
		defer a.Outside(c.r.Context())()
	}
	c.Header()["Content-Type"] = asEvents
	w := a.Scheduler.Watch(wish.wants)
	defer w.Close()
	a.follow(&stream{c: c, out: http.NewResponseController(c.ResponseWriter), sees: func() bool { return true }}, w, nil)
	return nil
}

// fan is what other daemons tell a follower.
type fan struct {
	attempts chan json.RawMessage
	silent   chan string // names of daemons that do not tell
	work     sync.WaitGroup
}

// followPeers has the attempts of every other daemon told until ctx ends: also of those that
// begin later. Where there are no others it returns nil, from which nothing is received.
func (a *API) followPeers(ctx context.Context, wish liveWish) *fan {
	if a.Peers == nil {
		return nil
	}
	f := &fan{attempts: make(chan json.RawMessage, 256), silent: make(chan string, 16)}
	question, err := json.Marshal(wish)
	if err != nil {
		return nil
	}
	f.work.Go(func() {
		var readers sync.WaitGroup
		defer readers.Wait()
		tick := time.NewTicker(liveLook)
		defer tick.Stop()
		var mu sync.Mutex
		followed, told := map[string]bool{}, map[string]bool{}
		for {
			for _, o := range a.Peers.Others() {
				mu.Lock()
				if followed[o.ID] {
					mu.Unlock()
					continue
				}
				followed[o.ID] = true
				mu.Unlock()
				readers.Go(func() {
					err := a.followPeer(ctx, o, question, f)
					mu.Lock()
					defer mu.Unlock()
					followed[o.ID] = false
					if err != nil && ctx.Err() == nil && !told[o.ID] {
						told[o.ID] = true
						a.silent(o, err)
						select {
						case f.silent <- o.Name:
						default: // as many are told already
						}
					}
				})
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return f
}

// followPeer passes on what one daemon tells, until it ends.
func (a *API) followPeer(ctx context.Context, o store.Daemon, wish []byte, f *fan) error {
	body, err := a.Peers.Stream(ctx, o, peer.Question{Method: http.MethodPost, Path: "/peer/live", Body: wish})
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, mostLine)
	name := ""
	for lines.Scan() {
		field, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			if name != "attempt" || !json.Valid(value) {
				continue
			}
			select {
			case f.attempts <- bytes.Clone(value):
			case <-ctx.Done():
				return nil
			}
		}
	}
	return lines.Err()
}
