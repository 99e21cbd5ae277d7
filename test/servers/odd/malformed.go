package odd

import "strings"

// malformed are successes with a wrong head. The status line decides, and the connection is not trusted
// any more.
func malformed() (rows []Row) {
	for _, m := range []struct {
		name, answer string
		closes       bool // the server closes after it
		trusted      bool // a connection may be used again: the framing is beyond doubt
	}{
		{name: "Transfer-Encoding twice", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{name: "an unknown Transfer-Encoding", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\nbx"},
		{name: "Transfer-Encoding beside Content-Length", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{name: "a line without a colon", answer: "HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\nok"},
		{name: "a line without a name", answer: "HTTP/1.1 200 OK\r\n: value\r\nContent-Length: 2\r\n\r\nok"},
		{name: "a blank before the colon", answer: "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok"},
		{name: "an empty Content-Length", answer: "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok"},
		{name: "a negative Content-Length", answer: "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"},
		{name: "a Content-Length beyond all numbers", answer: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nok"},
		{name: "two Content-Lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"},
		{name: "a folded line", answer: "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok"},
		{name: "a folded first line", answer: "HTTP/1.1 200 OK\r\n folded\r\nContent-Length: 2\r\n\r\nok"},
		{name: "a NUL in a value", answer: "HTTP/1.1 200 OK\r\nX-Nul: a\x00b\r\nContent-Length: 2\r\n\r\nok"},
		{name: "lines that end with LF", answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
		{name: "more than 64 KiB", answer: "HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 70<<10) + "\r\nContent-Length: 2\r\n\r\nok"},
		{name: "thousands of lines", answer: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Many: x\r\n", 20000) + "Content-Length: 2\r\n\r\nok"},
		{name: "its end after it", answer: "HTTP/1.1 200 OK\r\nX: y\r\n\r\n", closes: true},
		{name: "a body cut off", answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok", closes: true},
		{name: "a chunk without a size", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n"},
		{name: "no reason", answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", trusted: true},
		{name: "no reason, and its end after it", answer: "HTTP/1.1 200\r\n\r\n", closes: true},
		{name: "a status line in lower case", answer: "http/1.1 200 ok\r\ncontent-length: 2\r\n\r\nok", trusted: true},
		{name: "blanks within the status line", answer: "HTTP/1.1  200  OK\r\nContent-Length: 2\r\n\r\nok", trusted: true},
	} {
		rows = append(rows, Row{
			Name: "malformed: answers 200 with " + m.name,
			Serve: func(c *Conn, r *Request) {
				r.ReadBody()
				c.Say(m.answer)
				if m.closes {
					c.Linger()
				}
			},
			Want: Want{Delivered: true, Status: 200, Fresh: !m.trusted},
		})
	}
	return rows
}
