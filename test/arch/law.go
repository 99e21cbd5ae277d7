// Package arch holds the import law of the project: who may import whom. Calls go one way. A kind of
// destination can be added, or taken out, without touching anything else.
package arch

// law says which of our own packages a package may import, besides those below it; naming a folder
// allows all of it. The rule of x is also that of x/y unless x/y has its own. A package without a
// rule is refused, so that somebody decides where a new one belongs.
var law = map[string][]string{
	".":                               {"internal/cli", "pkg"},
	"cmd/fantail":                     {".", "destinations/all"},
	"packaging/release":               {"pkg/destination", "internal/cli", "destinations/all"}, // the manual is made of the commands
	"pkg/event":                       {"pkg/event"},
	"pkg/secret":                      {},
	"pkg/signature":                   {"pkg/secret"},
	"pkg/exchange":                    {},
	"pkg/exchange/exchangetest":       {"pkg/exchange"},
	"pkg/retryafter":                  {},
	"pkg/endpoint":                    {},
	"pkg/destination":                 {"pkg"},
	"pkg/client":                      {"pkg"},
	"pkg/cloud":                       {"pkg"},
	"destinations":                    {"pkg", "destinations/internal"},
	"destinations/all":                {"pkg", "destinations"},
	"destinations/internal/clienttls": {"pkg"},
	"destinations/internal/farside":   {"pkg", "destinations/internal/clienttls"},
	"destinations/internal/network":   {"pkg/destination"},
	"destinations/internal/objectkey": {"pkg"},
	"destinations/internal/ownbucket": {"pkg"},
	"destinations/internal/sqltables": {"pkg", "destinations/internal"},
	"internal/build":                  {},
	"internal/retry":                  {},
	"internal/keyring":                {"pkg/secret"},
	"internal/netguard":               {"pkg/destination"},
	"internal/inbound":                {},
	"internal/suggest":                {},
	"internal/strictyaml":             {"pkg/secret", "internal/suggest"},
	"internal/config":                 {"pkg", "internal/strictyaml", "internal/suggest", "internal/retry", "internal/keyring", "internal/netguard", "internal/store/pgurl"}, // asks which addresses no connection is made to
	"internal/document":               {"pkg", "internal/strictyaml"},
	"internal/store":                  {"pkg", "internal/store"},
	"internal/store/pgurl":            {},
	"internal/payload":                {"pkg", "internal/payload", "internal/keyring"},
	"internal/ingest":                 {"pkg", "internal/config", "internal/store"},
	"internal/tracing":                {"pkg"},
	"internal/series":                 {},
	"internal/delivery":               {"pkg", "internal/config", "internal/store", "internal/retry", "internal/series", "internal/tracing"},
	"internal/delivery/policy":        {"pkg", "internal/retry", "internal/store"},
	"internal/delivery/suspects":      {"pkg", "internal/store"},
	"internal/notices":                {"pkg", "internal/config", "internal/store", "internal/delivery", "internal/ingest"},
	"internal/trail":                  {"internal/store"},
	"internal/peer":                   {"internal/store", "internal/keyring"},
	"internal/session":                {"internal/store"},
	"internal/explain":                {"pkg", "internal/config", "internal/store"},
	"internal/healthcheck":            {"pkg", "internal/store", "internal/ingest"},
	"internal/replay":                 {"pkg", "internal/config", "internal/store", "internal/delivery"},
	"internal/check":                  {"pkg", "internal/store", "internal/series"},
	"internal/api":                    {"pkg", "internal/check", "internal/config", "internal/document", "internal/strictyaml", "internal/store", "internal/delivery", "internal/ingest", "internal/payload", "internal/replay", "internal/series", "internal/tracing", "internal/trail", "internal/session", "internal/explain", "internal/peer"},
	"internal/api/ndjson":             {"pkg", "internal/ingest"},
	"internal/console":                {"pkg"},
	"internal/demo":                   {"pkg", "internal/app", "internal/config"},
	"internal/app":                    {"pkg", "internal"},
	"internal/feed":                   {"pkg", "internal/feed"},
	"internal/cli":                    {"pkg", "internal"},
	"test":                            {".", "pkg", "internal", "destinations", "test"},
	"test/servers":                    {},
	"test/servers/odd":                {"test/servers"},
	"test/servers/supabase":           {"test/servers"},
}

// lawOfTests says what the tests of a package may import in addition. They may build what they test
// from the parts of their own side, and start real servers, but never import the other side.
var lawOfTests = map[string][]string{
	".":            {"pkg", "destinations"},
	"cmd":          {"pkg", "destinations"},
	"packaging":    {"pkg/client", "test/servers"}, // its tests talk to the daemon that they installed
	"pkg":          {"pkg", "test/servers"},
	"pkg/client":   {".", "pkg", "destinations/webhook", "test/servers"}, // its examples talk to the whole program
	"destinations": {"pkg", "destinations/internal", "test/servers"},
	"internal":     {"pkg", "internal", "test/servers"},
	"test":         {".", "pkg", "internal", "destinations", "test"},
}

// unique names packages that few others may import, whatever the law says of those. app alone puts
// the parts together, and everybody else knows the store by its interfaces. Tests are free.
var unique = map[string][]string{
	"internal/app":               {"internal/cli", "internal/demo"},
	"internal/cli":               {".", "packaging/release"},
	"internal/store/pebblestore": {"internal/app", "internal/cli"},
	"internal/store/pgstore":     {"internal/app", "internal/cli"},
	"destinations/all":           {"cmd/fantail", "packaging/release"},
}

// modules are those that a program gets when it imports a package of ours, by itself or through
// others; the standard library and our own are not listed. Somebody who posts events, verifies a
// signature or writes a kind of destination downloads no cloud's SDK. pkg/cloud is about the SDKs and
// has no rule. The rule of x is also that of x/y unless x/y has its own. The modules of the daemon are
// grouped by the module that brings them.
var modules = map[string][]string{
	"cmd/fantail": {
		"github.com/aws",
		"github.com/cenkalti/backoff", "github.com/google/uuid", "github.com/spf13", "go.yaml.in/yaml/v4", "golang.org/x",
		"github.com/jackc", "github.com/go-sql-driver/mysql", "filippo.io/edwards25519",
		"github.com/prometheus", "github.com/beorn7/perks", "github.com/cespare/xxhash", "github.com/munnerz/goautoneg", "google.golang.org/protobuf",
		"github.com/twmb/franz-go", "github.com/pierrec/lz4", // Kafka, with a compression of its records
		// Pebble brings these.
		"github.com/cockroachdb", "github.com/RaduBerinde", "github.com/DataDog/zstd", "github.com/golang/snappy", "github.com/klauspost/compress", "github.com/minio/minlz",
		"github.com/getsentry/sentry-go", "github.com/gogo/protobuf", "github.com/kr", "github.com/pkg/errors", "github.com/rogpeppe/go-internal",
		// OpenTelemetry's exporter over HTTP brings these.
		"go.opentelemetry.io", "github.com/go-logr", "github.com/grpc-ecosystem/grpc-gateway", "google.golang.org/grpc", "google.golang.org/genproto",
	},
	"pkg/client":      {},
	"pkg/destination": {"golang.org/x/sync", "golang.org/x/sys"},
	"pkg/endpoint":    {"golang.org/x/net", "golang.org/x/text"},
	"pkg/event":       {},
	"pkg/exchange":    {"golang.org/x/sys"},
	"pkg/retryafter":  {},
	"pkg/secret":      {},
	"pkg/signature":   {},
}
