package odd

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"time"
)

// held are servers that did us no harm so far, and must not in the future.
func held(refusal Refusal) []Row {
	after := func(answer string) func(*Conn, *Request) {
		return func(c *Conn, r *Request) {
			r.ReadBody()
			c.Say(answer)
		}
	}
	then := func(answer string, end func(*Conn)) func(*Conn, *Request) {
		return func(c *Conn, r *Request) {
			after(answer)(c, r)
			end(c)
		}
	}
	// endlessly repeats a text, with pauses, until the client hangs up.
	endlessly := func(begin, text string, pause time.Duration) func(*Conn, *Request) {
		return func(c *Conn, r *Request) {
			after(begin)(c, r)
			for {
				if _, err := io.WriteString(c.Conn, text); err != nil {
					c.Close()
					return
				}
				if pause > 0 {
					c.Wait(pause)
				}
			}
		}
	}
	chunked := func(status int) string {
		return fmt.Sprintf("HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n", status)
	}
	chunk := "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"
	delivered := Want{Delivered: true, Status: 200}
	hang := func(c *Conn, r *Request) { then("", (*Conn).Hold)(c, r) }
	rows := []Row{
		{Name: "held: says 1xx without end", Every: true, Timeout: 2 * time.Second, Serve: endlessly("", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100), 0)},
		{Name: "held: says 1xx now and then, without end", Every: true, Timeout: 2 * time.Second, Serve: endlessly("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 200*time.Millisecond)},
		{Name: "held: says 1xx three times and answers", Serve: after("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + Text(200, "", "ok")), Want: delivered},
		{Name: "held: speaks HTTP/1.0", Serve: then("HTTP/1.0 200 OK\r\n\r\nok", func(c *Conn) { c.Close() }), Want: Want{Delivered: true, Status: 200, Answer: `^ok$`, Fresh: true}},
		{Name: "held: sends trailers", Serve: after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"), Want: Want{Delivered: true, Status: 200, Answer: `^ok$`}},
		{Name: "held: accepts in an answer without end", Serve: endlessly(chunked(200), chunk, 0), Want: Want{Delivered: true, Status: 200, Within: 30 * time.Second, Fresh: true}},
		{Name: "held: refuses in an answer without end", Every: true, Timeout: 4 * time.Second, Serve: endlessly(chunked(500), chunk, 0), Want: Want{Status: 500}},
		{Name: "held: accepts in an answer that drips", Serve: endlessly(chunked(200), "1\r\nx\r\n", 50*time.Millisecond), Want: Want{Delivered: true, Status: 200, Within: 30 * time.Second, Fresh: true}},
		{Name: "held: drips a status line", Every: true, Timeout: time.Second, Serve: endlessly("HTTP/1.", "1", 50*time.Millisecond)},
		{Name: "held: sends a head without end", Timeout: 2 * time.Second, Serve: endlessly("HTTP/1.1 200 OK\r\n", "X-Endless: "+strings.Repeat("x", 1000)+"\r\n", 0), Want: Want{Either: true, Status: Any}},
		{Name: "held: says nothing", Every: true, Timeout: time.Second, Serve: hang},
		{Name: "held: says nothing over a kept connection", Every: true, Kept: true, Timeout: 1500 * time.Millisecond, Serve: hang},
		{Name: "held: switches to another protocol", Serve: after("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), Want: Want{Status: 101, Text: "answered 101", Fresh: true}},
		{Name: "held: is no web server", Every: true, Want: Want{Foreign: true}, Serve: then("220 mail.example ESMTP\r\n", func(c *Conn) { c.Close() })},
		{Name: "held: sends one line without end", Every: true, Want: Want{Foreign: true}, Timeout: 3 * time.Second, Serve: endlessly("", strings.Repeat("x", 4096), 0)},
		{Name: "held: answers with a status of two digits", Every: true, Want: Want{Foreign: true}, Serve: after("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n")},
		{Name: "held: answers 799", Serve: after("HTTP/1.1 799 Whatever\r\nContent-Length: 0\r\n\r\n"), Want: Want{Status: 799, Text: "answered 799"}},
		{Name: "held: speaks HTTP/2 unasked", Every: true, Want: Want{Foreign: true}, Serve: then("\x00\x00\x00\x04\x00\x00\x00\x00\x00", func(c *Conn) { c.Linger() })},
		{Name: "held: agrees on HTTP/2 and speaks HTTP/1.1", Over: []Transport{H2}, Want: delivered},
		{Name: "held: knows TLS 1.0 alone", Every: true, Over: []Transport{TLS}, MaxTLS: tls.VersionTLS10, Want: Want{None: true, Text: "(?i)tls"}},
		{
			Name: "held: speaks plain HTTP on the port of https", Every: true, Over: []Transport{TLS},
			Raw: func(c *Conn) {
				c.in.Peek(1)
				c.Say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				c.Linger()
			},
			Want: Want{None: true, Text: "(?i)tls|https"},
		},
		{
			Name:  "held: writes to the terminal",
			Serve: after("HTTP/1.1 500 \x1b[2J\x1b]0;title\x07\r\nX: \x1b[31m\r\nContent-Length: 9\r\n\r\n\x1b[2Jhello"),
			Want:  Want{Status: 500, Text: "^answered 500 Internal Server Error$"},
		},
		{Name: "held: has a status line that writes to the terminal", Every: true, Want: Want{Foreign: true}, Serve: then("\x1b[2J\x1b]0;title\x07 500\r\n\r\n", func(c *Conn) { c.Linger() })},
		{Name: "held: repeats the request's head as its answer", Every: true, Want: Want{Foreign: true}, Serve: func(c *Conn, r *Request) {
			r.ReadBody()
			c.Say(strings.ReplaceAll(r.Echo(), " ", "_") + "\r\n\r\n")
			c.Linger()
		}},
	}
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		rows = append(rows, Row{
			Name: fmt.Sprintf("held: redirects with %d", status), Every: true, Sizes: []int{Small, Large},
			Serve: after(refusal(status, "Location: /elsewhere\r\n")),
			Want:  Want{Status: status},
		})
	}
	return rows
}
