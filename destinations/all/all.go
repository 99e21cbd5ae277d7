// Package all lists every kind of destination that ships with the engine.
package all

import (
	"github.com/seed-51f8da91/fantail/destinations/gcs"
	"github.com/seed-51f8da91/fantail/destinations/mysql"
	"github.com/seed-51f8da91/fantail/destinations/postgres"
	"github.com/seed-51f8da91/fantail/destinations/s3"
	"github.com/seed-51f8da91/fantail/destinations/sqs"
	"github.com/seed-51f8da91/fantail/destinations/supabase"
	"github.com/seed-51f8da91/fantail/destinations/webhook"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Destinations returns the registry. A new kind adds one line here.
func Destinations() destination.Registry {
	return destination.NewRegistry(
		gcs.Definition(),
		mysql.Definition(),
		postgres.Definition(),
		s3.Definition(),
		sqs.Definition(),
		supabase.Definition(),
		webhook.Definition(),
	)
}
