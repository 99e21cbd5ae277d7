package servers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// AWS is one endpoint for S3, SQS, STS and IAM.
type AWS struct {
	Endpoint             string // http://127.0.0.1:port
	Region               string
	AccessKey, SecretKey string
}

var localstack shared

// docker-compose.yml has the same settings.
var localstackSettings = []string{
	"SERVICES=s3,sqs,sts,iam", "STRICT_SERVICE_LOADING=1", "EAGER_SERVICE_LOADING=1",
	"SKIP_SSL_CERT_DOWNLOAD=1", "DISABLE_EVENTS=1", "DNS_ADDRESS=0", // it talks to nobody
	"S3_SKIP_SIGNATURE_VALIDATION=0", "SQS_ENDPOINT_STRATEGY=path",
}

// StartLocalStack returns LocalStack, run by Python without a container. Its S3 checks signatures and
// expiry of links, checksums and conditions, but accepts any credentials. Its STS gives credentials
// for any role, whatever the external id.
func StartLocalStack(t testing.TB) AWS {
	t.Helper()
	if e := os.Getenv("FANTAIL_TEST_AWS_ENDPOINT"); e != "" {
		return AWS{strings.TrimSuffix(e, "/"), variable("FANTAIL_TEST_AWS_REGION", "us-east-1"), variable("FANTAIL_TEST_AWS_ACCESS_KEY", "test"), variable("FANTAIL_TEST_AWS_SECRET_KEY", "test")}
	}
	return AWS{"http://" + localstack.use(t, startLocalStack), "us-east-1", "test", "test"}
}

func startLocalStack(at port) (*process, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	python := filepath.Join(root, ".tools", "localstack", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		return nil, fmt.Errorf("LocalStack is not installed: run make setup, or name a server in FANTAIL_TEST_AWS_ENDPOINT")
	}
	dir, err := newDir("localstack")
	if err != nil {
		return nil, err
	}
	return launch(command{
		name: "localstack", path: python, args: []string{filepath.Join(root, "test", "servers", "python", "start.py")},
		env:  append([]string{"GATEWAY_LISTEN=" + at.addr(), "LOCALSTACK_HOST=" + at.addr(), "FILESYSTEM_ROOT=" + filepath.Join(dir, "state")}, localstackSettings...),
		quit: syscall.SIGTERM, ready: answers("http://" + at.addr() + "/_localstack/health"),
	}, dir)
}
