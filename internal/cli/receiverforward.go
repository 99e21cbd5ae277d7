package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// mostAnswer is how much of the program's answer is passed on.
const mostAnswer = 64 << 10

// forwarder hands requests to a program of the developer's own.
type forwarder struct {
	to     *url.URL
	client *http.Client
}

// ofConnection are headers of one connection, which no one passes on (RFC 9110, 7.6.1).
var ofConnection = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// hand passes the request on with everything that is signed, and returns the answer. why says why
// there is none.
func (f *forwarder) hand(req *http.Request, body []byte) (a answered, why string) {
	out, err := http.NewRequestWithContext(req.Context(), http.MethodPost, f.to.String(), bytes.NewReader(body))
	if err != nil {
		return answered{status: http.StatusBadGateway, text: "not handed on"}, "cannot be handed on"
	}
	out.Header = req.Header.Clone()
	for _, name := range ofConnection {
		out.Header.Del(name)
	}
	res, err := f.client.Do(out)
	if err != nil {
		return answered{status: http.StatusBadGateway, text: "the program at --forward-to did not answer"}, fmt.Sprintf("%s did not answer", f.to.Host)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	if err != nil {
		return answered{status: http.StatusBadGateway, text: "the program at --forward-to broke off"}, fmt.Sprintf("%s broke off", f.to.Host)
	}
	if res.StatusCode/100 != 2 {
		why = fmt.Sprintf("%s said so", f.to.Host)
	}
	return answered{status: res.StatusCode, contentType: res.Header.Get("Content-Type"), text: string(text)}, why
}
