package aws

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// operator pretends to be an operator with credentials all over their machine.
func operator(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config":      "[default]\nregion = mars-1\nendpoint_url = http://127.0.0.1:1\nretry_mode = adaptive\n",
		"credentials": "[default]\naws_access_key_id = AKIAOPERATORFILE\naws_secret_access_key = operators-file\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"),
		"AWS_ACCESS_KEY_ID": "AKIAOPERATORENV", "AWS_SECRET_ACCESS_KEY": "operators-env", "AWS_SESSION_TOKEN": "operators-token",
		"AWS_REGION": "venus-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "9", "HTTPS_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
}

// bare takes everything of AWS out of the environment.
func bare(t *testing.T) {
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
	} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
}

// TestNothingOfTheOperatorIsUsed by destinations with keys of their own.
func TestNothingOfTheOperatorIsUsed(t *testing.T) {
	operator(t)
	s := strictaws.New(t)
	session, err := Open(strictSettings(s), plainDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	have, err := session.Config.Credentials.Retrieve(t.Context())
	if err != nil || have.AccessKeyID != strictaws.AccessKey || have.SessionToken != "" {
		t.Errorf("credentials %s, %v", have.AccessKeyID, err)
	}
	if session.Config.Region != s.Region || *session.Config.BaseEndpoint != s.URL {
		t.Errorf("region %s, endpoint %s", session.Config.Region, *session.Config.BaseEndpoint)
	}
	if _, err := sts.NewFromConfig(session.Config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
}

// TestTheOperatorsCredentialsOnlyWithPermission, and then nothing but the
// credentials: their region and endpoint are not the destination's.
func TestTheOperatorsCredentialsOnlyWithPermission(t *testing.T) {
	operator(t)
	s := strictaws.New(t)
	s.AddUser(strictaws.User{AccessKey: "AKIAOPERATORENV", SecretKey: "operators-env", Account: strictaws.Account})
	settings := Settings{Region: s.Region, Endpoint: s.URL, AllowHTTP: true}
	deps := plainDeps(t)
	if _, err := Open(settings, deps); err == nil || !strings.Contains(err.Error(), "ambient in fantail.yaml") {
		t.Fatalf("without permission: %v", err)
	}
	t.Setenv("AWS_SESSION_TOKEN", "")
	deps.Ambient = true
	session, err := Open(settings, deps)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := sts.NewFromConfig(session.Config).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
	if session.Config.Region != s.Region {
		t.Errorf("region %s", session.Config.Region)
	}
}

// TestTheMetadataServiceIsAskedByItsOwnClient and by no other.
func TestTheMetadataServiceIsAskedByItsOwnClient(t *testing.T) {
	bare(t)
	document := func(expires time.Time) string {
		return fmt.Sprintf(`{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAMETADATA","SecretAccessKey":"metadata-secret","Token":"metadata-token","RoleArn":"%s","Expiration":%q}`, testRole, expires.UTC().Format(time.RFC3339))
	}
	ends := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	var hosts []string
	metadata := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		hosts = append(hosts, req.URL.Host)
		body := document(ends)
		switch {
		case strings.HasSuffix(req.URL.Path, "/api/token"):
			body = "a-token"
		case strings.HasSuffix(req.URL.Path, "/security-credentials/"):
			body = "fantail"
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": {"21600"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	})}
	everyOther := &http.Client{Transport: &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		t.Errorf("another client connects to %s", address)
		return nil, errors.New("no")
	}}}
	for _, c := range []struct{ name, uri, host string }{
		{"an instance", "", "169.254.169.254"},
		{"a container", "/v2/credentials/x", "169.254.170.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", c.uri)
			hosts = nil
			session, err := Open(Settings{Region: "eu-west-1"}, destination.Deps{HTTP: everyOther, Ambient: true, Metadata: metadata})
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			if len(hosts) > 0 {
				t.Fatal("opening connects")
			}
			end, err := session.Expires(t.Context())
			// The SDK takes them for shorter than they are: of an instance, an hour at most.
			if err != nil || end.After(ends) || time.Until(end) < 30*time.Minute {
				t.Errorf("they end at %v, %v; want %v", end, err, ends)
			}
			if len(hosts) == 0 {
				t.Error("nobody was asked")
			}
			for _, h := range hosts {
				if h != c.host {
					t.Errorf("it asked %s", h)
				}
			}
		})
	}
	t.Run("none is lent", func(t *testing.T) {
		session, err := Open(Settings{Region: "eu-west-1"}, destination.Deps{HTTP: everyOther, Ambient: true})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		_, err = session.Expires(t.Context())
		err = session.Classify("put", err)
		if class, _ := destination.ClassOf(err); class != destination.Misconfigured || !strings.Contains(err.Error(), "use the operator's own credentials") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTheChainsRequestsPassTheGuard, whatever else the operator has set.
func TestTheChainsRequestsPassTheGuard(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("a-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	bare(t)
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	t.Setenv("AWS_ROLE_ARN", testRole)
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	bundle := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	var dialled []string
	deps := destination.Deps{Ambient: true, HTTP: &http.Client{Transport: &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, errors.New("refused by the guard")
	}}}}
	session, err := Open(Settings{Region: "eu-west-1"}, deps)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.Expires(t.Context()); err == nil || !strings.Contains(err.Error(), "refused by the guard") {
		t.Errorf("got %v", err)
	}
	if len(dialled) != 1 || dialled[0] != "sts.eu-west-1.amazonaws.com:443" {
		t.Errorf("it connected to %v", dialled)
	}
}

// TestARoleIsAssumedWithItsExternalID, once for many uses, and hides what it got.
func TestARoleIsAssumedWithItsExternalID(t *testing.T) {
	s := strictaws.New(t)
	s.AddRole(strictaws.Role{ARN: testRole, ExternalID: testExternal})
	settings := strictSettings(s)
	settings.RoleARN, settings.STSEndpoint, settings.ExternalID = testRole, s.URL, secret.New(testExternal)
	session, err := Open(settings, plainDeps(t))
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for range 3 {
		end, err := session.Expires(t.Context())
		if left := time.Until(end); err != nil || left > time.Hour || left < 59*time.Minute {
			t.Errorf("it ends in %v, %v", left, err)
		}
	}
	if n := s.Requests("AssumeRole"); n != 1 {
		t.Errorf("it was assumed %d times", n)
	}
	client := sts.NewFromConfig(session.Config)
	if id, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil || !strings.Contains(*id.Arn, "assumed-role/fantail") {
		t.Errorf("it is %+v, %v", id, err)
	}
	s.Fail("GetCallerIdentity", strictaws.Fault{Status: 403, Code: "AccessDenied", Message: testExternal, Echo: true})
	_, err = client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	have, _ := session.Config.Credentials.Retrieve(t.Context())
	err = session.Classify("ask", err)
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v %v", session, session, err), fmt.Sprint((&Call{}).Receipt(err))} {
		for _, hidden := range []string{have.SecretAccessKey, have.SessionToken, testExternal, strictaws.SecretKey} {
			if strings.Contains(text, hidden) {
				t.Errorf("it shows %q: %s", hidden, text)
			}
		}
	}
	if !strings.Contains(err.Error(), secret.Redacted) {
		t.Errorf("nothing was hidden: %v", err)
	}
}

// TestShortCredentialsAreRenewedForALink, but not for each of many.
func TestShortCredentialsAreRenewedForALink(t *testing.T) {
	bare(t)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x")
	synctest.Test(t, func(t *testing.T) {
		fetched, life := 0, 8*time.Minute
		metadata := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			fetched++
			body := fmt.Sprintf(`{"AccessKeyId":"ASIACONTAINER","SecretAccessKey":"container-secret","Token":"container-token","Expiration":%q}`, time.Now().Add(life).UTC().Format(time.RFC3339))
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
		})}
		session, err := Open(Settings{Region: "eu-west-1"}, destination.Deps{HTTP: &http.Client{Transport: roundTripper(nil)}, Ambient: true, Metadata: metadata})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		ask := func(want int) {
			t.Helper()
			for range 3 {
				if end, err := session.Expires(t.Context()); err != nil || time.Until(end) > life {
					t.Errorf("they end in %v, %v", time.Until(end), err)
				}
			}
			if fetched != want {
				t.Errorf("they were fetched %d times, want %d", fetched, want)
			}
		}
		ask(2)
		time.Sleep(2 * renewPause)
		life = time.Hour
		ask(3)
		time.Sleep(2 * renewPause)
		ask(3)
	})
}

// TestAHangingTokenServiceEnds by itself and with the session, though the SDK
// lets the request outlive the attempt that made it.
func TestAHangingTokenServiceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := time.Now()
		ended := make(chan time.Duration, 2)
		deps := destination.Deps{HTTP: &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			ended <- time.Since(started)
			return nil, req.Context().Err()
		})}}
		s := settings()
		s.RoleARN = testRole
		session, err := Open(s, deps)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = session.Expires(ctx)
		if class, _ := destination.ClassOf(session.Classify("put", err)); err == nil || class != destination.Transient || time.Since(started) != time.Second {
			t.Errorf("after %v: %v", time.Since(started), err)
		}
		if after := <-ended; after != fetchTime {
			t.Errorf("the request hung for %v", after)
		}
		synctest.Wait() // else the next call may still join this one
		started = time.Now()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = session.Expires(ctx)
		if err := session.Close(); err != nil {
			t.Error(err)
		}
		if after := <-ended; after != time.Second {
			t.Errorf("the request outlived the session: %v", after)
		}
	})
}
