package sqs

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"
	"sync/atomic"

	api "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/seed-51f8da91/fantail/pkg/endpoint"
)

var (
	accountForm = regexp.MustCompile(`^\d{12}$`)
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,75}(\.fifo)?$|^[A-Za-z0-9_-]{76,80}$`)
	regionForm  = regexp.MustCompile(`^(?:[a-z0-9-]+\.)?sqs(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$`) // of a host of SQS
	oldForm     = regexp.MustCompile(`^(?:([a-z0-9-]+)\.)?queue\.amazonaws\.com$`)                                         // likewise, as older URLs have it
)

// queue is where messages go. A queue that is named is looked up when it is
// first needed, and again when it is gone: whoever deletes and makes a queue anew
// may get another URL.
type queue struct {
	name, account string
	region        string
	url           atomic.Pointer[string] // nil: not looked up yet
	named         bool
}

func isURL(text string) bool { return strings.Contains(text, "://") }

// parseQueue reads the settings of the queue.
func parseQueue(c Config) (*queue, error) {
	q := &queue{name: c.Queue, account: c.Account, region: c.Region, named: !isURL(c.Queue)}
	switch {
	case c.Queue == "":
		return nil, errors.New("is required: the queue's URL or its name")
	case strings.HasPrefix(c.Queue, "arn:"):
		return nil, errors.New("must be a URL or a name, not an ARN: its last part is the name, the one before it the account")
	case q.named && !nameForm.MatchString(c.Queue):
		return nil, errors.New("is not the name of a queue: at most 80 letters, digits, hyphens and underscores, of a FIFO queue with .fifo at the end")
	case q.named:
		return q, nil
	}
	u, err := endpoint.Parse(c.Queue, true) // requests go to endpoint, not there
	if err != nil {
		return nil, err
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case strings.Contains(c.Queue, "?") || len(parts) < 2:
		return nil, errors.New("is not the URL of a queue, such as https://sqs.eu-west-1.amazonaws.com/123456789012/name")
	}
	q.account, q.name = parts[len(parts)-2], parts[len(parts)-1]
	if old := oldForm.FindStringSubmatch(u.Host); old != nil && c.Region != "" && c.Region != cmp.Or(old[1], "us-east-1") {
		return nil, errors.New("is of region " + cmp.Or(old[1], "us-east-1") + ", and region says " + c.Region)
	}
	ofAWS := strings.HasSuffix(u.Host, ".amazonaws.com") || strings.HasSuffix(u.Host, ".amazonaws.com.cn")
	switch found := regionForm.FindStringSubmatch(u.Host); {
	case !nameForm.MatchString(q.name):
		return nil, errors.New("does not end with the name of a queue")
	case c.Endpoint == "" && !ofAWS:
		return nil, errors.New("is of another provider, whose address belongs into endpoint: requests go there, not to the URL")
	case ofAWS && !accountForm.MatchString(q.account):
		return nil, errors.New("names no account: want https://sqs.{region}.amazonaws.com/{account}/{name}")
	case found != nil && c.Region != "" && found[1] != c.Region:
		return nil, errors.New("is of region " + found[1] + ", and region says " + c.Region)
	}
	q.url.Store(&c.Queue)
	return q, nil
}

func (q *queue) fifo() bool { return strings.HasSuffix(q.name, ".fifo") }

// resolve returns the URL. Several callers may look it up at once: it is the same.
func (q *queue) resolve(ctx context.Context, client *api.Client) (*string, error) {
	if known := q.url.Load(); known != nil {
		return known, nil
	}
	in := &api.GetQueueUrlInput{QueueName: &q.name}
	if q.account != "" {
		in.QueueOwnerAWSAccountId = &q.account
	}
	out, err := client.GetQueueUrl(ctx, in)
	if err != nil {
		return nil, err
	}
	url, err := q.urlOf(out)
	if err != nil {
		return nil, err
	}
	q.url.Store(url)
	return url, nil
}

// forget makes the next attempt look up the queue anew.
func (q *queue) forget() {
	if q.named {
		q.url.Store(nil)
	}
}

// arn names the queue as policies do. Of a queue that is named the account is
// known when it was found.
func (q *queue) arn() string {
	account := q.account
	if known := q.url.Load(); account == "" && known != nil {
		if parts := strings.Split(*known, "/"); len(parts) >= 2 && accountForm.MatchString(parts[len(parts)-2]) {
			account = parts[len(parts)-2]
		}
	}
	if account == "" {
		account = "*"
	}
	partition := "aws"
	switch {
	case strings.HasPrefix(q.region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(q.region, "us-gov-"):
		partition = "aws-us-gov"
	}
	return "arn:" + partition + ":sqs:" + q.region + ":" + account + ":" + q.name
}

// String is where messages go, for people.
func (q *queue) String() string {
	if known := q.url.Load(); known != nil {
		return *known
	}
	if q.account != "" {
		return q.account + "/" + q.name
	}
	return q.name
}
