package gcp

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/parsing"
	"github.com/seed-51f8da91/fantail/pkg/retryafter"
)

// machine is the service account that the machine or pod runs as: the
// operator's own. Its keys stay with Google, which signs links on request.
type machine struct {
	metadata http.Client // reaches the metadata service and nothing else
	client   *Client
	email    atomic.Pointer[string]
}

// Addresses of Google's own. The metadata service is asked by its address, so
// that no name needs to be resolved and trusted.
const (
	metadataBase = "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/"
	signBlob     = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/%s:signBlob"
)

func newMachine(metadata *http.Client, c *Client) *machine {
	m := &machine{metadata: *metadata, client: c}
	m.metadata.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return m
}

// ask reads one value from the metadata service. It is the operator's: that it
// fails is no fault of the destination.
func (m *machine) ask(ctx context.Context, what string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, metadataBase+what, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	x := &exchange{}
	doing := "ask the metadata service for the " + what + " of the machine's service account"
	if err := x.do(roundTripper(m.metadata.Do), req); err != nil {
		return nil, fmt.Errorf("%w: %w", destination.ErrEngine, x.unreached(ctx, doing, err))
	}
	switch {
	case x.code == http.StatusNotFound:
		return nil, destination.Misconfigure(x.transient(doing, "there is none. Attach a service account to this machine, or set credentials"))
	case x.code != http.StatusOK, x.header.Get("Metadata-Flavor") != "Google":
		return nil, fmt.Errorf("%w: %w", destination.ErrEngine, x.transient(doing, fmt.Sprintf("answered %d, or is not Google's", x.code)))
	}
	return x.body, nil
}

// roundTripper makes a client's Do the transport that an exchange wants.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (m *machine) grant(ctx context.Context) (grant, error) {
	now := time.Now()
	body, err := m.ask(ctx, "token")
	if err != nil {
		return grant{}, err
	}
	g, ok := parseGrant(body, now)
	if !ok {
		return grant{}, fmt.Errorf("%w: the metadata service's answer holds no token", destination.ErrEngine)
	}
	return g, nil
}

func (m *machine) identity(ctx context.Context) (string, error) {
	if known := m.email.Load(); known != nil {
		return *known, nil
	}
	body, err := m.ask(ctx, "email")
	if err != nil {
		return "", err
	}
	email := strings.TrimSpace(string(body))
	if name, domain, ok := strings.Cut(email, "@"); !ok || name == "" || domain == "" || strings.ContainsFunc(email, unseen) || strings.ContainsAny(email, "/?#%:") {
		return "", fmt.Errorf("%w: the metadata service names no service account that could sign", destination.ErrEngine)
	}
	m.email.Store(&email)
	return email, nil
}

// signature asks the IAM Credentials API, with the account's own token.
func (m *machine) signature(ctx context.Context, email string, text []byte) ([]byte, error) {
	token, err := m.client.tokens.get(ctx)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string][]byte{"payload": text}) // in base64, as encoding/json has it
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf(signBlob, email), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", m.client.userAgent)
	x := &exchange{secrets: []string{token}}
	doing := "sign a link as " + email
	if err := x.do(m.client.transport, req); err != nil {
		return nil, x.unreached(ctx, doing, err)
	}
	if x.code == http.StatusUnauthorized {
		m.client.tokens.drop(req.Context(), token)
	}
	if x.code != http.StatusOK {
		return nil, x.unsigned(doing, email)
	}
	var answer struct {
		Blob string `json:"signedBlob"`
	}
	if parsing.JSON(x.body, &answer) == nil {
		if signature, err := base64.StdEncoding.DecodeString(answer.Blob); err == nil && len(signature) > 0 {
			return signature, nil
		}
	}
	return nil, x.transient(doing, "the answer holds no signature")
}

// unsigned classifies a refusal to sign.
func (x *exchange) unsigned(doing, email string) error {
	e := x.describe()
	e.Text = fmt.Sprintf("%s: answered %d %s", doing, x.code, http.StatusText(x.code))
	if e.Message != "" {
		e.Text += ": " + e.Message
	}
	wait, asked := retryafter.Parse(x.header.Get("Retry-After"), time.Now())
	switch {
	case e.throttles(), x.code == http.StatusServiceUnavailable && asked:
		return destination.Throttle(e, wait)
	case x.code == http.StatusForbidden, x.code == http.StatusNotFound:
		e.Text += fmt.Sprintf(". Enable the IAM Service Account Credentials API, and grant roles/iam.serviceAccountTokenCreator on %s to itself", email)
		return destination.Misconfigure(e)
	case x.code == http.StatusUnauthorized:
		return destination.Misconfigure(e)
	}
	return e
}

// maxLink is what Google takes of signatures made with the keys that it keeps.
func (m *machine) maxLink() time.Duration { return 12 * time.Hour }
