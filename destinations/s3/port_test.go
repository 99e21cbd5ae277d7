package s3

import (
	"net"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// TestThePortOfADatabase greets first, in a protocol of its own: what it says is
// worded, whole.
func TestThePortOfADatabase(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("\x4a\x00\x00\x00\x0a8.4.0\x00\x08\x00\x00\x00greeting\x00\xff\xf7"))
			buf := make([]byte, 1<<16)
			c.Read(buf)
			c.Close()
		}
	}()
	c := defaults()
	c.Bucket = "bucket"
	c.Account = aws.Settings{Endpoint: "http://" + l.Addr().String(), AllowHTTP: true, AccessKeyID: secret.New("key"), SecretAccessKey: secret.New("hidden")}
	d := openWith(t, c, plainDeps(t))
	_, err = d.Send(t.Context(), destinationtest.Delivery(t, 1, []byte(`{"type":"auth"}`)))
	for _, err := range []error{err, d.Check(t.Context())} {
		if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "does not speak HTTP") || !strings.Contains(err.Error(), "mend endpoint") {
			t.Errorf("%v: %v", class, err)
		}
		if err == nil || strings.Contains(err.Error(), "%!") || strings.HasSuffix(err.Error(), ": ") {
			t.Errorf("%v", err)
		}
	}
}
