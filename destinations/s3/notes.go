package s3

import "github.com/seed-51f8da91/fantail/pkg/destination"

var _ destination.Noter = Config{}

// Notes remarks on the account: see Settings.Notes of pkg/cloud/aws.
func (c Config) Notes() []string { return c.Account.Notes() }
