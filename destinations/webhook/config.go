package webhook

import (
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

// Definition is the kind "webhook"; see destinations/all.
func Definition() destination.Definition {
	return destination.Define("webhook", destination.Traits{Frozen: true, Timeout: 30 * time.Second}, defaults, open)
}

// The values of signing.
const (
	signingTerra    = "terra"
	signingStandard = "standard-webhooks"
)

// Config is the settings of one webhook.
type Config struct {
	URL string `yaml:"url"` // https, or http with AllowHTTP; credentials belong into Auth

	// Signing is "terra" or "standard-webhooks". Of the first, the secrets are
	// any text; of the second, keys whsec_... (HMAC) or whsk_... (ed25519).
	Signing string       `yaml:"signing"`
	Secret  secret.Value `yaml:"secret"`
	// NextSecret signs every attempt from RotateAt on. With standard-webhooks
	// both sign all along, which that specification allows.
	NextSecret secret.Value `yaml:"next_secret"`
	RotateAt   time.Time    `yaml:"rotate_at"`

	AllowHTTP bool                    `yaml:"allow_http"`
	HoldOn410 bool                    `yaml:"hold_on_410"` // 410 Gone holds the destination; else it is retried like all others
	Headers   map[string]secret.Value `yaml:"headers"`     // sent besides ours; values may be references and are shown nowhere
	Auth      Auth                    `yaml:"auth"`
	TLS       TLS                     `yaml:"tls"`
}

// Auth is the Authorization header: Basic or Bearer, not both.
type Auth struct {
	Basic  *Basic       `yaml:"basic"`
	Bearer secret.Value `yaml:"bearer"`
}

// Basic is HTTP's basic authentication.
type Basic struct {
	User     string       `yaml:"user"`
	Password secret.Value `yaml:"password"`
}

// TLS says whom to trust and who we are. All but ServerName is the text of PEM
// files; they are secret.Value so that ${file:...} works for all of them.
type TLS struct {
	CA         secret.Value `yaml:"ca"` // trusted instead of the system's
	Cert       secret.Value `yaml:"cert"`
	Key        secret.Value `yaml:"key"`
	ServerName string       `yaml:"server_name"` // expected in the certificate instead of the URL's host
}

// used tells whether the engine's own transport will not do.
func (t TLS) used() bool {
	return !t.CA.IsZero() || !t.Cert.IsZero() || !t.Key.IsZero() || t.ServerName != ""
}

func defaults() Config { return Config{Signing: signingTerra} }
