package aws

import (
	"context"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
)

// follow gets what a presigned link leads to, without any other credential. Its
// errors are as those of the SDK; none shows the link.
func follow(ctx context.Context, client *http.Client, link string) (f Found, err error) {
	defer func() { err = Hide(err, destination.Link{URL: link}.Secrets()...) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return f, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := parsing.Read(resp.Body)
	if resp.StatusCode == http.StatusOK || err != nil {
		return Found{Body: body, Version: resp.Header.Get("X-Amz-Version-Id")}, err
	}
	return f, &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: resp},
		Err:      &smithy.GenericAPIError{Code: element(body, "Code"), Message: element(body, "Message")},
	}
}

// element returns the text of an element of an error of S3, "" if there is none.
func element(body []byte, name string) string {
	_, rest, _ := strings.Cut(string(body), "<"+name+">")
	text, _, ok := strings.Cut(rest, "</"+name+">")
	if !ok {
		return ""
	}
	return text
}
