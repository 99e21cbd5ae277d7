package odd

import (
	"fmt"
	"time"

	"golang.org/x/net/http2"
)

// repeats are servers that end a connection without an answer, and others that make clients send again by
// themselves: one attempt is one request. nginx did each of the first over HTTP/2, and got thousands of
// requests in one attempt.
func repeats(refusal Refusal) []Row {
	rows := []Row{
		{
			Name: "once: reads the request and resets", Every: true, Over: []Transport{Plain, TLS, H2}, Sizes: []int{Small, Large},
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Reset()
			},
			H2:   func(s *Stream) { s.Reset(http2.ErrCodeProtocol) },
			Want: Want{Again: true},
		},
		{
			Name: "once: reads the request and closes", Every: true, Over: []Transport{Plain, TLS, H2},
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Close()
			},
			H2:   func(s *Stream) { s.GoAway(0, http2.ErrCodeNo) },
			Want: Want{Again: true},
		},
		{
			Name: "once: takes no request of HTTP/2", Every: true, Over: []Transport{H2},
			H2:   func(s *Stream) { s.Reset(http2.ErrCodeRefusedStream) },
			Want: Want{Delivered: true, Status: 200},
		},
		{
			Name: "once: goes away from each connection of HTTP/2", Every: true, Over: []Transport{H2},
			H2:   func(s *Stream) { s.GoAway(0, http2.ErrCodeNo) },
			Want: Want{Delivered: true, Status: 200},
		},
		{
			Name: "once: breaks off within the status line", Every: true,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Say("HTTP/1.1 2")
				c.Close()
			},
		},
		{
			Name: "once: ends a kept connection without an answer, late", Every: true, Kept: true,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Wait(1500 * time.Millisecond) // a second is what may pass for an idle connection's end
				c.Close()
			},
		},
		{
			Name: "once: begins an answer over a kept connection and ends it", Every: true, Kept: true,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Say("HTTP/1.1 ")
				c.Reset()
			},
		},
		{
			Name: "once: ends every connection without an answer, kept or not", Every: true, Kept: true, Once: true,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Close()
			},
			Want: Want{Requests: 2},
		},
	}
	for _, status := range []int{400, 404, 408, 421, 425, 500, 502, 503, 504} {
		rows = append(rows, Row{
			Name: fmt.Sprintf("once: answers %d", status), Every: true,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Say(refusal(status, ""))
			},
			Want: Want{Status: status},
		})
	}
	return rows
}

// keeping are servers that end a kept connection at an unlucky moment. No delivery may fail because of
// that.
func keeping() []Row {
	sound := Want{Delivered: true, Status: 200}
	twice := Want{Delivered: true, Status: 200, Requests: 2}
	return []Row{
		{Name: "kept: closes after the answer without saying so", Every: true, Kept: true, Times: 12, Idle: func(c *Conn) { c.Close() }, Want: sound},
		{Name: "kept: resets after the answer", Every: true, Kept: true, Times: 12, Idle: (*Conn).Reset, Want: sound},
		{
			Name: "kept: closes at the first byte of the second request", Every: true, Kept: true, Times: 12,
			Idle: func(c *Conn) {
				c.in.Peek(1)
				c.Close()
			},
			Want: sound,
		},
		{
			Name: "kept: has forgotten the connection, as a NAT does", Every: true, Kept: true, Times: 12,
			Idle: func(c *Conn) {
				c.in.Peek(1)
				c.Reset()
			},
			Want: sound,
		},
		{
			Name: "kept: reads the second request and closes", Kept: true, Times: 6,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Close()
			},
			Want: twice,
		},
		{
			Name: "kept: closes at the first byte of the second request, whose body is large", Every: true, Kept: true, Times: 4, Sizes: []int{Large},
			Idle: func(c *Conn) {
				c.in.Peek(1)
				c.Close()
			},
			Want: sound,
		},
		{
			Name: "kept: ends a connection that is idle for as long as the pause between two events", Every: true, Times: 60, Gap: 100 * time.Millisecond,
			Idle: whenIdle(100*time.Millisecond, func(c *Conn) { c.Close() }),
			Want: twice,
		},
		{
			Name: "kept: says 408 on an idle connection and closes it", Every: true, Times: 4, Gap: 500 * time.Millisecond,
			Idle: whenIdle(250*time.Millisecond, func(c *Conn) {
				c.Say("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				c.Close()
			}),
			Want: twice,
		},
		{
			Name: "kept: announces how long it keeps a connection, and then answers nothing over it", Times: 3, Gap: 1200 * time.Millisecond, Timeout: 4 * time.Second,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Say(Text(200, "Keep-Alive: timeout=1\r\n", "ok"))
			},
			Idle: whenIdle(time.Second, (*Conn).Hold),
			Want: sound,
		},
	}
}

// whenIdle does something to a kept connection over which no request begins for
// that long.
func whenIdle(long time.Duration, do func(*Conn)) func(*Conn) {
	return func(c *Conn) {
		c.SetReadDeadline(time.Now().Add(long))
		_, err := c.in.Peek(1)
		c.SetReadDeadline(time.Time{})
		if err != nil {
			do(c)
		}
	}
}
