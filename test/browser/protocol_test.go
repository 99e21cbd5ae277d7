package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// protocol speaks Chrome's DevTools protocol over a pair of pipes. Of each message it reads what it
// knows and leaves the rest: Debian's Chromium moves on with every security update.
type protocol struct {
	write sync.Mutex
	in    io.Writer

	mu       sync.Mutex
	last     int64
	waiting  map[int64]chan answer
	sessions map[string]func(method string, params json.RawMessage)
	ended    error
}

type answer struct {
	result json.RawMessage
	err    error
}

// message is what either side sends.
type message struct {
	ID      int64           `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
		Data    string `json:"data"`
	} `json:"error,omitempty"`
}

func newProtocol(in io.Writer, out io.Reader) *protocol {
	p := &protocol{in: in, waiting: map[int64]chan answer{}, sessions: map[string]func(string, json.RawMessage){}}
	go p.read(bufio.NewReaderSize(out, 1<<20))
	return p
}

func (p *protocol) read(r *bufio.Reader) {
	for {
		b, err := r.ReadBytes(0)
		var m message
		if err == nil {
			err = json.Unmarshal(b[:len(b)-1], &m)
		}
		p.mu.Lock()
		if err != nil {
			p.ended = fmt.Errorf("the browser has ended: %w", err)
			for _, w := range p.waiting {
				w <- answer{err: p.ended}
			}
			clear(p.waiting)
			p.mu.Unlock()
			return
		}
		w, told := p.waiting[m.ID], p.sessions[m.Session]
		delete(p.waiting, m.ID)
		p.mu.Unlock()
		switch {
		case m.ID != 0 && w != nil:
			a := answer{result: m.Result}
			if m.Error != nil {
				a.err = errors.New(strings.TrimSpace(m.Error.Message + " " + m.Error.Data))
			}
			w <- a
		case m.ID == 0 && told != nil:
			told(m.Method, m.Params)
		}
	}
}

// listen has told called for each event of a session, in their order. It must not make a call.
func (p *protocol) listen(session string, told func(method string, params json.RawMessage)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if told == nil {
		delete(p.sessions, session)
	} else {
		p.sessions[session] = told
	}
}

// call sends one command and waits for its answer; result may be nil.
func (p *protocol) call(ctx context.Context, session, method string, params, result any) error {
	b, err := json.Marshal(params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	w := make(chan answer, 1)
	p.mu.Lock()
	if p.ended != nil {
		p.mu.Unlock()
		return p.ended
	}
	p.last++
	id := p.last
	p.waiting[id] = w
	p.mu.Unlock()
	if b, err = json.Marshal(message{ID: id, Session: session, Method: method, Params: b}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	p.write.Lock()
	_, err = p.in.Write(append(b, 0))
	p.write.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a := <-w:
		if a.err == nil && result != nil {
			a.err = json.Unmarshal(a.result, result)
		}
		if a.err != nil {
			return fmt.Errorf("%s: %w", method, a.err)
		}
		return nil
	case <-ctx.Done():
		p.mu.Lock()
		delete(p.waiting, id)
		p.mu.Unlock()
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}
