package mysql

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// withoutTLS listens for one connection and passes it on to the server at addr,
// as one in the middle would who wants to read along: the greeting says that the
// server takes no TLS.
func withoutTLS(t *testing.T, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var both sync.WaitGroup
	t.Cleanup(both.Wait)
	both.Go(func() {
		client, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer server.Close()
		greeting := make([]byte, 1024)
		n, err := server.Read(greeting)
		if err != nil {
			t.Error(err)
			return
		}
		// A header of 4 bytes, 1 of protocol, the version, a zero, 4 of the thread,
		// 9 of salt; then the capabilities, of which bit 11 is TLS.
		greeting[5+bytes.IndexByte(greeting[5:], 0)+1+4+9+1] &^= 1 << 3
		if _, err := client.Write(greeting[:n]); err != nil {
			t.Error(err)
		}
		io.Copy(server, client) // until the client goes
	})
	return l.Addr().String()
}
