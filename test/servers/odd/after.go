package odd

import (
	"bytes"
	"compress/gzip"
	"io"
	"sync"
	"time"
)

// afterwards are servers that send more than their answer, or an answer that is not what it looks like.
// None of that may reach a log, or be taken for the answer to the next request.
func afterwards() []Row {
	ok := Text(200, "", "ok")
	after := func(answer func(*Request) string) func(*Conn, *Request) {
		return func(c *Conn, r *Request) {
			r.ReadBody()
			c.Say(answer(r))
		}
	}
	delivered := Want{Delivered: true, Status: 200}
	return []Row{
		{
			Name:  "unsolicited: answers twice, the second time with the request",
			Serve: after(func(r *Request) string { return ok + "HTTP/1.1 200 OK\r\n" + r.Echo() + "\r\n\r\n" }),
			Want:  Want{Delivered: true, Status: 200, Fresh: true},
		},
		{
			Name: "unsolicited: answers a second time later, with the request",
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Say(ok)
				c.Wait(30 * time.Millisecond)
				c.Say("HTTP/1.1 200 OK\r\n" + r.Echo() + "\r\n\r\n")
			},
			Want: delivered,
		},
		{
			Name:  "unsolicited: repeats the request instead of a second answer",
			Serve: after(func(r *Request) string { return ok + r.Echo() + "\r\n\r\n" }),
			Want:  Want{Delivered: true, Status: 200, Fresh: true},
		},
		{
			Name: "unsolicited: answers 204 with a body",
			Serve: after(func(r *Request) string {
				return "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n" + r.Get("Authorization")
			}),
			Want: Want{Delivered: true, Status: 204, Fresh: true},
		},
		{Name: "unsolicited: ends its answer with one line too many", Serve: after(func(*Request) string { return ok + "\r\n" }), Want: delivered},
		{
			Name: "unsolicited: answers before the request is sent", Every: true, Times: 3, Gap: 250 * time.Millisecond,
			Idle: whenIdle(100*time.Millisecond, func(c *Conn) { c.Say("HTTP/1.1 500 Too Soon\r\nContent-Length: 0\r\n\r\n") }),
			Want: delivered,
		},
		{
			Name:  "compressed: compresses though not asked to",
			Serve: after(func(*Request) string { return Text(200, "Content-Encoding: gzip\r\n", zipped("a readable text", 1)) }),
			Want:  Want{Delivered: true, Status: 200, Answer: `^a readable text$`},
		},
		{
			Name:  "compressed: compresses its refusal",
			Serve: after(func(*Request) string { return Text(500, "Content-Encoding: GZIP\r\n", zipped("a readable text", 1)) }),
			Want:  Want{Status: 500, Answer: `^a readable text$`},
		},
		{
			Name:  "compressed: answers with a bomb",
			Serve: after(func(*Request) string { return Text(200, "Content-Encoding: gzip\r\n", bomb()) }),
			Want:  Want{Delivered: true, Status: 200, Answer: `^x{500}x{400,}$`, Within: 30 * time.Second},
		},
		{
			Name:  "compressed: says that it compresses and does not",
			Serve: after(func(*Request) string { return Text(200, "Content-Encoding: gzip\r\n", "plain") }),
			Want:  delivered,
		},
	}
}

func zipped(text string, times int) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	for range times {
		io.WriteString(z, text)
	}
	z.Close()
	return out.String()
}

// bomb is a mebibyte or so that becomes hundreds.
var bomb = sync.OnceValue(func() string {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed) // a level that exists
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range 256 {
		z.Write(block)
	}
	z.Close()
	return out.String()
})
