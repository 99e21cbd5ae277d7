package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// PrivateKafka starts a Kafka for one test: one node, broker and controller, without TLS. DSN is its address.
// It needs what scripts/setup long installs.
func PrivateKafka(t testing.TB) *Private {
	t.Helper()
	at, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(at.release) // held while the server is down
	controller, err := reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(controller.release)
	p, err := startKafka(at, controller)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	p.showLog(t)
	return &Private{DSN: at.addr(), t: t, p: p}
}

func startKafka(at, controller port) (*process, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	libs := filepath.Join(root, ".tools", "kafka", "libs")
	if _, err := os.Stat(libs); err != nil {
		return nil, errors.New("the jars of Kafka are not installed: run scripts/setup long")
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, fmt.Errorf("find Java: %w", err)
	}
	dir, err := newDir("kafka")
	if err != nil {
		return nil, err
	}
	settings := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(`process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
advertised.listeners=PLAINTEXT://%[1]s
controller.listener.names=CONTROLLER
log.dirs=%[3]s
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.flush.interval.messages=1
`, at.addr(), controller.addr(), filepath.Join(dir, "data"))
	flags := []string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(libs, "*")}
	err = os.WriteFile(settings, []byte(text), 0o600)
	if err == nil {
		err = run(false, dir, java, append(flags, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAQACAAAAAAAAAAQ", "-c", settings)...)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare Kafka: %w", err), os.RemoveAll(dir))
	}
	return launch(command{
		name: "Kafka", path: java, args: append(flags, "kafka.Kafka", settings), quit: syscall.SIGTERM, kill: syscall.SIGKILL,
		ready: func(ctx context.Context) error {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", at.addr())
			if err == nil {
				c.Close()
			}
			return err
		},
	}, dir)
}
