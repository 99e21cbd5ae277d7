package servers

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// S3 is an S3 server, used with path style.
type S3 struct {
	Endpoint string // http://127.0.0.1:port
	Region   string

	AccessKey, SecretKey string // may do everything

	// UserAccessKey may do what bucket policies allow it. It is the Principal in them itself.
	UserAccessKey, UserSecretKey string
}

var s3 shared

// StartS3 returns versitygw. It checks signatures, the expiry of links,
// checksums and conditions as S3 does; it knows no STS, no KMS.
func StartS3(t testing.TB) S3 {
	t.Helper()
	if e := os.Getenv("FANTAIL_TEST_S3_ENDPOINT"); e != "" {
		return S3{
			Endpoint: e, Region: variable("FANTAIL_TEST_S3_REGION", "us-east-1"),
			AccessKey: variable("FANTAIL_TEST_S3_ACCESS_KEY", "test"), SecretKey: variable("FANTAIL_TEST_S3_SECRET_KEY", "test"),
			UserAccessKey: os.Getenv("FANTAIL_TEST_S3_USER_ACCESS_KEY"), UserSecretKey: os.Getenv("FANTAIL_TEST_S3_USER_SECRET_KEY"),
		}
	}
	s := S3{Region: "us-east-1", AccessKey: "fantail-admin", SecretKey: "secret-of-admin", UserAccessKey: "fantail-user", UserSecretKey: "secret-of-user"}
	s.Endpoint = "http://" + s3.use(t, func(at port) (*process, error) {
		bin, err := build("s3server")
		if err != nil {
			return nil, err
		}
		dir, err := newDir("s3")
		if err != nil {
			return nil, err
		}
		return launch(command{
			name: "versitygw", path: bin,
			args:  []string{"-addr", at.addr(), "-dir", filepath.Join(dir, "data"), "-region", s.Region, "-admin", s.AccessKey, "-user", s.UserAccessKey},
			env:   []string{"S3SERVER_ADMIN_SECRET=" + s.SecretKey, "S3SERVER_USER_SECRET=" + s.UserSecretKey},
			quit:  syscall.SIGTERM,
			ready: answers("http://" + at.addr() + "/health"),
		}, dir)
	})
	return s
}

// variable returns an environment variable, or otherwise if it is empty.
func variable(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
