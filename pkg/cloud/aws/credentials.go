package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/seed-51f8da91/fantail/pkg/destination"
)

const (
	// roleLife is how long assumed credentials are asked to live: the most that
	// every role grants, and that a role assumed by a role can have.
	roleLife = time.Hour
	// roleWindow is how long before their end they are replaced, so that a link
	// of ten minutes always lives ten minutes.
	roleWindow = 15 * time.Minute
	// ambientWindow is what the metadata service promises: it has new ones at
	// least five minutes before the old ones end.
	ambientWindow = 5 * time.Minute
	// enough is how long credentials should live that sign a link; those that
	// live shorter are fetched anew, at most once in renewPause.
	enough     = 10 * time.Minute
	renewPause = time.Minute
	// fetchTime bounds one request for credentials.
	fetchTime = 30 * time.Second
)

// credentialSource is where a session has its credentials from.
type credentialSource struct {
	from   sdk.CredentialsProvider
	what   string        // that from does, for errors
	window time.Duration // by which from takes credentials for expired too early, as far as that is certain
	forget func()        // makes from fetch anew; nil if it cannot
	close  context.CancelFunc

	mu      sync.Mutex
	last    [2]sdk.Credentials // the newest first; a request with the others may still be under way
	renewed time.Time          // when forget was called last
}

func newCredentialSource(s Settings, deps destination.Deps, cfg sdk.Config) *credentialSource {
	end, cancel := context.WithCancel(context.Background())
	c := &credentialSource{close: cancel}
	cfg.HTTPClient = &fetcher{cfg.HTTPClient, end}
	if s.NeedsAmbient() {
		c.what = "use the operator's own credentials"
		var metadata sdk.HTTPClient = noMetadata{}
		if deps.Metadata != nil {
			metadata = deps.Metadata
		}
		chain := &ambient{cfg: cfg, metadata: &fetcher{metadata, end}}
		c.from, c.forget = chain, chain.forget
	} else {
		c.from = credentials.NewStaticCredentialsProvider(s.AccessKeyID.Reveal(), s.SecretAccessKey.Reveal(), s.SessionToken.Reveal())
	}
	if s.RoleARN == "" {
		return c
	}
	cfg.Credentials = c.from
	if s.STSEndpoint != "" {
		cfg.BaseEndpoint = &s.STSEndpoint
	}
	role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), s.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "fantail"
		o.Duration = roleLife
		if !s.ExternalID.IsZero() {
			id := s.ExternalID.Reveal()
			o.ExternalID = &id
		}
	})
	cache := sdk.NewCredentialsCache(guarded{role}, func(o *sdk.CredentialsCacheOptions) { o.ExpiryWindow = roleWindow })
	c.what, c.window, c.from, c.forget = "assume the role "+s.RoleARN, roleWindow, cache, cache.Invalidate
	return c
}

// guarded turns a panic of a provider into an error: the cache calls it in a
// goroutine of its own, where the SDK has panics end the process on purpose.
type guarded struct{ sdk.CredentialsProvider }

func (g guarded) Retrieve(ctx context.Context) (have sdk.Credentials, err error) {
	err = destination.Guard(func() (err error) { have, err = g.CredentialsProvider.Retrieve(ctx); return err })
	return have, err
}

// Retrieve implements aws.CredentialsProvider.
func (c *credentialSource) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	have, err := c.from.Retrieve(ctx)
	if err != nil {
		return sdk.Credentials{}, &credentialsError{c.what, err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last[0].AccessKeyID != have.AccessKeyID {
		c.last = [2]sdk.Credentials{have, c.last[0]}
	}
	return have, nil
}

// secrets lists what nobody may see of the credentials in use.
func (c *credentialSource) secrets() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, used := range c.last {
		all = append(all, used.SecretAccessKey, used.SessionToken)
	}
	return all
}

// expires returns when the credentials end, never later than they do: of some
// of the operator's the SDK hides up to five minutes.
func (c *credentialSource) expires(ctx context.Context) (time.Time, error) {
	have, err := c.Retrieve(ctx)
	if err != nil || !have.CanExpire {
		return time.Time{}, err
	}
	if end := have.Expires.Add(c.window); time.Until(end) >= enough || !c.renew() {
		return end, nil
	}
	have, err = c.Retrieve(ctx)
	return have.Expires.Add(c.window), err
}

// renew makes the next Retrieve fetch anew, unless that was done just now.
func (c *credentialSource) renew() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forget == nil || time.Since(c.renewed) < renewPause {
		return false
	}
	c.renewed = time.Now()
	c.forget()
	return true
}

// credentialsError says that a request was never made for want of credentials.
type credentialsError struct {
	what string
	err  error
}

// NoCredentials tells whether the request that err is of was never made for want
// of credentials: its status and code are those of whoever should have given them.
func NoCredentials(err error) bool {
	_, ok := errors.AsType[*credentialsError](err)
	return ok
}

func (e *credentialsError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.err) }
func (e *credentialsError) Unwrap() error { return e.err }

// ambient is the SDK's default chain: environment, shared files, web identity,
// the container's credentials, the instance's. It is built at its first use,
// since building it reads files and may look up names.
type ambient struct {
	cfg      sdk.Config
	metadata sdk.HTTPClient

	mu    sync.Mutex
	chain sdk.CredentialsProvider
}

func (a *ambient) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cache, ok := a.chain.(*sdk.CredentialsCache); ok {
		cache.Invalidate()
	}
}

func (a *ambient) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	chain, err := a.load(ctx)
	if err != nil {
		return sdk.Credentials{}, err
	}
	return chain.Retrieve(ctx)
}

func (a *ambient) load(ctx context.Context) (sdk.CredentialsProvider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chain != nil {
		return a.chain, nil
	}
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(a.cfg.Region),
		config.WithAPIOptions([]func(*middleware.Stack) error{through(a.cfg.HTTPClient)}),
		config.WithRetryer(a.cfg.Retryer),
		config.WithDefaultsMode(sdk.DefaultsModeStandard), // auto would ask the metadata service where it runs
		config.WithCredentialsCacheOptions(func(o *sdk.CredentialsCacheOptions) { o.ExpiryWindow = ambientWindow }),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) {
			o.Client = imds.New(imds.Options{HTTPClient: a.metadata, Retryer: a.cfg.Retryer()})
		}),
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) {
			o.HTTPClient, o.APIOptions = a.metadata, nil
		}),
	)
	if err != nil {
		return nil, err
	}
	a.chain = loaded.Credentials
	return a.chain, nil
}

// through sends every request of a client with ours instead of its own. To give
// the SDK our client would be simpler, but it then refuses to load anything
// where the operator has set AWS_CA_BUNDLE; and of a client that it can change
// it replaces the dialer, and with it the guard.
func through(ours sdk.HTTPClient) func(*middleware.Stack) error {
	handler := smithyhttp.NewClientHandlerWithOptions(ours)
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("EngineConnections",
			func(ctx context.Context, in middleware.DeserializeInput, _ middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				raw, metadata, err := handler.Handle(ctx, in.Request)
				return middleware.DeserializeOutput{RawResponse: raw}, metadata, err
			}), middleware.After)
	}
}

// noMetadata stands in where the engine lends no way to the metadata service:
// given none, the SDK would use one without a guard.
type noMetadata struct{}

func (noMetadata) Do(*http.Request) (*http.Response, error) {
	return nil, errors.New("the metadata service may not be asked")
}

// fetcher bounds requests for credentials and ends them with the session. The
// SDK lets them live on when the attempt that asked has ended, since others
// wait for them, too; one that hangs would then hang for good.
type fetcher struct {
	via sdk.HTTPClient
	end context.Context
}

func (f *fetcher) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), fetchTime)
	stop := context.AfterFunc(f.end, cancel)
	done := func() { stop(); cancel() }
	var resp *http.Response
	err := destination.Guard(func() (err error) { resp, err = f.via.Do(req.WithContext(ctx)); return err }) //nolint:bodyclose // the caller's; see guarded
	if err != nil {
		done()
		return nil, err
	}
	resp.Body = &fetched{resp.Body, done}
	return resp, nil
}

type fetched struct {
	io.ReadCloser
	done func()
}

func (f *fetched) Close() error {
	defer f.done()
	return f.ReadCloser.Close()
}
