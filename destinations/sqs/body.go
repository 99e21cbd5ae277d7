package sqs

import (
	"io"
	"net/http"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// withPlainBodies wraps what the engine lends for the SDK, whose request bodies
// have a WriteTo that fails once they are closed. net/http calls it to see that
// nothing is left of a body; when the answer is faster than that, the SDK has
// closed the body, net/http takes the failure for one of writing, and the
// connection is lost.
func withPlainBodies(deps destination.Deps) destination.Deps {
	if deps.HTTP != nil && deps.HTTP.Transport != nil {
		client := *deps.HTTP
		client.Transport = plainBodies{client.Transport}
		deps.HTTP = &client
	}
	return deps
}

type plainBodies struct{ via http.RoundTripper }

func (p plainBodies) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.Body != http.NoBody {
		plain := req.WithContext(req.Context())
		plain.Body = struct{ io.ReadCloser }{req.Body}
		req = plain
	}
	return p.via.RoundTrip(req)
}
