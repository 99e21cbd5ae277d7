package sqs

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/ownbucket"
	"github.com/seed-51f8da91/fantail/pkg/cloud/aws"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Definition is the kind "sqs"; see destinations/all.
//
// Its timeout of two minutes has to hold one put of the whole body, which may
// have 32 MiB, and one small request; a bucket's five are for hundreds of puts.
// A put that ended is not repeated, so that the next attempt goes on from there.
func Definition() destination.Definition {
	return destination.Define("sqs", destination.Traits{Timeout: 2 * time.Minute, Links: true}, defaults, open)
}

// Config is the settings of one queue.
type Config struct {
	Queue   string `yaml:"queue"`   // its URL or its name
	Account string `yaml:"account"` // who owns a queue that is named; "": the account of the credentials

	// LinkTTL is how long links live, in whole seconds, unless the credentials
	// that sign them end sooner.
	LinkTTL time.Duration `yaml:"link_ttl"`
	// Payloads is a bucket of the destination's own for what links lead to. S3
	// without an endpoint has the queue's region and credentials where it names
	// none itself.
	Payloads ownbucket.Settings `yaml:"payloads"`

	aws.Settings `yaml:",inline"`
}

func defaults() Config { return Config{LinkTTL: 10 * time.Minute} }

// Validate reports every fault at once, joined, each beginning with the path
// of its setting. No message shows a value that may be a credential.
func (c Config) Validate() error {
	faults := []error{c.Settings.Validate()}
	at := func(path string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
		}
	}
	_, err := parseQueue(c)
	at("queue", err)
	switch {
	case c.Account == "":
	case !accountForm.MatchString(c.Account):
		at("account", errors.New("must be the 12 digits of an AWS account"))
	case isURL(c.Queue):
		at("account", errors.New("has no meaning with a URL, which names the account"))
	}
	at("endpoint", c.regionOfEndpoint())
	at("link_ttl", destination.ValidateLinkTTL(c.LinkTTL))
	faults = append(faults, c.payloads().Validate())
	return errors.Join(faults...)
}

// regionOfEndpoint finds a region in the endpoint that is not the one to sign for,
// which AWS refuses.
func (c Config) regionOfEndpoint() error {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil //nolint:nilerr // Settings.Validate says so
	}
	found := regionForm.FindStringSubmatch(strings.ToLower(u.Hostname()))
	switch {
	case found == nil || found[1] == c.Region:
		return nil
	case c.Region == "":
		return errors.New("is of region " + found[1] + ": set region to it")
	}
	return errors.New("is of region " + found[1] + ", and region says " + c.Region)
}

// payloads are the settings of the bucket with what it has from the queue.
func (c Config) payloads() ownbucket.Settings {
	return ownbucket.Settings{S3: c.bucket(), GCS: c.Payloads.GCS}
}

// bucket is payloads.s3 with what it has from the queue. An endpoint is another
// provider's, who must not be sent the key of this one.
func (c Config) bucket() *aws.BucketSettings {
	if c.Payloads.S3 == nil {
		return nil
	}
	b := *c.Payloads.S3
	if b.Endpoint != "" {
		return &b
	}
	if b.Region == "" {
		b.Region = c.Region
	}
	if b.NeedsAmbient() && b.SessionToken.IsZero() && b.RoleARN == "" {
		b.AccessKeyID, b.SecretAccessKey, b.SessionToken = c.AccessKeyID, c.SecretAccessKey, c.SessionToken
		b.RoleARN, b.ExternalID, b.STSEndpoint = c.RoleARN, c.ExternalID, c.STSEndpoint
		b.AllowHTTP = b.AllowHTTP || c.AllowHTTP // of the STS endpoint
	}
	return &b
}

// NeedsAmbient tells whether the operator's own credentials are needed, for the
// queue or for the bucket.
func (c Config) NeedsAmbient() bool {
	return c.Settings.NeedsAmbient() || c.payloads().NeedsAmbient()
}

// OwnPayloads tells whether links lead to a bucket of the destination's own.
func (c Config) OwnPayloads() bool { return c.Payloads.Named() }
