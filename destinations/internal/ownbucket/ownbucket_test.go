package ownbucket

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
	"github.com/seed-51f8da91/fantail/pkg/exchange/exchangetest"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

func bucket() *aws.BucketSettings {
	return &aws.BucketSettings{Bucket: "acme", Settings: aws.Settings{Region: "eu-west-1", AccessKeyID: secret.New("key"), SecretAccessKey: secret.New("hidden")}}
}

func TestValidateNamesThePath(t *testing.T) {
	for want, s := range map[string]Settings{
		"":                      {S3: bucket()},
		"payloads: has s3 and":  {S3: bucket(), GCS: &gcp.BucketSettings{}},
		"payloads.s3.bucket: ":  {S3: &aws.BucketSettings{}},
		"payloads.gcs.bucket: ": {GCS: &gcp.BucketSettings{}},
	} {
		err := s.Validate()
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		for line := range strings.Lines(strings.TrimSpace(errorText(err))) {
			if !strings.HasPrefix(line, "payloads") {
				t.Errorf("%q has no path", line)
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestNeedsAmbient(t *testing.T) {
	without := bucket()
	without.AccessKeyID, without.SecretAccessKey = secret.Value{}, secret.Value{}
	if (Settings{}).NeedsAmbient() || (Settings{S3: bucket()}).NeedsAmbient() || !(Settings{S3: without}).NeedsAmbient() || !(Settings{GCS: &gcp.BucketSettings{Bucket: "b"}}).NeedsAmbient() {
		t.Error("who needs the operator's credentials is judged wrongly")
	}
}

// operators is the operator's store, which a destination must neither check nor close.
type operators struct{ t *testing.T }

func (operators) Put(context.Context, string, event.Payload) error { return nil }
func (operators) Link(context.Context, string, string, time.Duration) (destination.Link, error) {
	return destination.Link{}, nil
}
func (o operators) Check(context.Context) error {
	o.t.Error("the operator's store was checked")
	return nil
}
func (o operators) Close() error { o.t.Error("the operator's store was closed"); return nil }

func TestTheOperatorsStoreIsTheirs(t *testing.T) {
	s, err := Settings{}.Open(destination.Deps{Payloads: operators{t}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := (Settings{}).Open(destination.Deps{}); err == nil || !strings.HasPrefix(err.Error(), "payloads: ") {
		t.Errorf("no store at all: %v", err)
	}
	if (Settings{}).Named() || !(Settings{S3: bucket()}).Named() {
		t.Error("whose bucket it is is judged wrongly")
	}
}

func TestABucketOfOnesOwnOpensWithoutTheOperators(t *testing.T) {
	s, err := Settings{S3: bucket()}.Open(destination.Deps{HTTP: &http.Client{Transport: http.DefaultTransport}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := s.Link(t.Context(), "acme", event.NewID(time.Now(), 0, 0).String(), time.Hour)
	if err != nil || !strings.Contains(link.URL, "acme") {
		t.Errorf("%v %v", link, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestABucketOfOnesOwnIsChecked: it takes an object and gives it back over a link.
func TestABucketOfOnesOwnIsChecked(t *testing.T) {
	s := strictaws.New(t)
	s.AddBucket(strictaws.Bucket{Name: "acme"})
	own := bucket()
	own.Region, own.Endpoint, own.AllowHTTP = s.Region, s.URL, true
	own.AccessKeyID, own.SecretAccessKey = secret.New(strictaws.AccessKey), secret.New(strictaws.SecretKey)
	store, err := Settings{S3: own}.Open(destination.Deps{HTTP: exchangetest.Client(t, nil, nil).HTTP()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // nothing can fail
	if err := store.Check(t.Context()); err != nil || len(s.Objects("acme")) > 0 {
		t.Errorf("%v, and it leaves %d objects", err, len(s.Objects("acme")))
	}
	s.Deny("s3:GetObject")
	if class, _ := destination.ClassOf(store.Check(t.Context())); class != destination.Misconfigured {
		t.Errorf("links that nobody can follow: %v", store.Check(t.Context()))
	}
}
