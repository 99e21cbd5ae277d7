package odd

import (
	"fmt"
	"time"
)

// endings are the ways in which a server closes a connection whose request it has not read.
var endings = []struct {
	name string
	end  func(*Conn)
}{
	{"closes", func(c *Conn) { c.Close() }},
	{"resets", (*Conn).Reset},
	{"lingers", (*Conn).Linger},
}

// early are servers that answer before they have read the body, or never read it. A refusal is seen
// whatever becomes of the upload. A success counts when the whole body was written or the server has
// closed.
func early(refusal Refusal) (rows []Row) {
	for _, e := range endings {
		for _, status := range []int{401, 403, 410, 413, 429, 503} {
			header, wait := "Connection: close\r\n", time.Duration(0)
			if status == 429 || status == 503 {
				header, wait = header+"Retry-After: 7\r\n", 7*time.Second
			}
			rows = append(rows, Row{
				Name: fmt.Sprintf("early: answers %d before it has read the body and %s", status, e.name), Every: true, Sizes: []int{Huge},
				Serve: func(c *Conn, _ *Request) {
					c.Say(refusal(status, header))
					e.end(c)
				},
				Want: Want{Status: status, Wait: wait},
			})
		}
		rows = append(rows, Row{
			Name: "early: answers 200 without reading the body and " + e.name, Sizes: []int{2 * Huge}, // more than the buffers of both ends take
			Serve: func(c *Conn, r *Request) {
				r.Read(100 << 10)
				c.Say(Text(200, "", "ok"))
				e.end(c)
			},
			Want: Want{Delivered: true, Status: 200, Torn: true, Answer: map[bool]string{true: `answered 200 after \d+ of \d+ bytes`}[e.name != "lingers"]},
		})
	}
	return append(rows,
		Row{
			Name: "upload: answers 200 and then reads slowly", Sizes: []int{Large, Huge}, Times: 12,
			Serve: func(c *Conn, r *Request) {
				c.Say(Text(200, "", "ok"))
				for !r.Whole() && !r.Failed() {
					r.Read(256 << 10)
					c.Wait(2 * time.Millisecond)
				}
			},
			Want: Want{Delivered: true, Status: 200},
		},
		Row{
			Name: "upload: answers 200 to a part of the body and then reads the rest", Sizes: []int{Huge}, Times: 12,
			Serve: func(c *Conn, r *Request) {
				r.Read(Large / 2)
				c.Say(Text(200, "", "ok"))
				c.Wait(80 * time.Millisecond) // longer than the 50 ms that net/http waits
				r.ReadBody()
			},
			Want: Want{Delivered: true, Status: 200},
		},
		Row{
			Name: "upload: answers 200, reads on, and closes when it has the body", Sizes: []int{Small, Large}, Times: 3,
			Serve: func(c *Conn, r *Request) {
				c.Say(Text(200, "Connection: close\r\n", "ok"))
				c.Wait(80 * time.Millisecond)
				r.ReadBody()
				c.Close()
			},
			Want: Want{Delivered: true, Status: 200},
		},
		Row{
			Name: "upload: begins an answer of unknown length and reads on", Sizes: []int{Large}, Times: 3,
			Serve: func(c *Conn, r *Request) {
				c.Say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				r.ReadBody()
				c.Say("2\r\nok\r\n0\r\n\r\n")
			},
			Want: Want{Delivered: true, Status: 200},
		},
		Row{
			Name: "upload: answers 200 and never reads the body", Sizes: []int{2 * Huge}, Timeout: 2 * time.Second, Window: 16 << 10,
			Serve: func(c *Conn, _ *Request) {
				c.Say(Text(200, "", "ok"))
				c.Hold()
			},
			Want: Want{Status: Any},
		},
		Row{
			Name: "upload: never reads the body", Every: true, Sizes: []int{2 * Huge}, Timeout: 2 * time.Second, Window: 16 << 10,
			Serve: func(c *Conn, _ *Request) { c.Hold() },
		},
	)
}
