package aws

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// TestAPanicWhileCredentialsAreFetched is in a goroutine of the SDK, which ends
// the process on purpose: others may wait for what was fetched.
func TestAPanicWhileCredentialsAreFetched(t *testing.T) {
	bare(t)
	panics := true
	refusing := roundTripper(func(*http.Request) (*http.Response, error) {
		if panics {
			panic("hunter2")
		}
		return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: http.Header{}}, nil
	})
	for name, settings := range map[string]Settings{
		"a role":         {Region: "eu-west-1", RoleARN: testRole, AccessKeyID: secret.New(strictaws.AccessKey), SecretAccessKey: secret.New(strictaws.SecretKey)},
		"the operator's": {Region: "eu-west-1"},
	} {
		client := &http.Client{Transport: refusing}
		session, err := Open(settings, destination.Deps{HTTP: client, Metadata: client, Ambient: true})
		if err != nil {
			t.Fatal(err)
		}
		panics = true
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				_, err := session.Config.Credentials.Retrieve(t.Context())
				if destination.PanicOf(err) == nil || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
		panics = false
		if _, err := session.Config.Credentials.Retrieve(t.Context()); err == nil || destination.PanicOf(err) != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
		session.Close()
	}
}
