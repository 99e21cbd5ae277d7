package gcp

import (
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const all = "all@test.iam.gserviceaccount.com"

// access is that of an account with every permission.
func access(t testing.TB, g *gcptest.Google) Access {
	t.Helper()
	return Access{
		Credentials: secret.New(g.Account(t, "all", gcptest.Create, gcptest.Get, gcptest.Delete)),
		Endpoint:    g.URL, AllowHTTP: true,
	}
}

// client opens settings that must be sound.
func client(t testing.TB, a Access, deps destination.Deps) *Client {
	t.Helper()
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := Open(a, deps)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantClass(t testing.TB, err error, want destination.Class) {
	t.Helper()
	if got, _ := destination.ClassOf(err); err == nil || got != want {
		t.Errorf("%v is %v, want %v", err, got, want)
	}
}
