package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/sasl"
	saslplain "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/seed-51f8da91/fantail/internal/build"
	"github.com/seed-51f8da91/fantail/internal/feed/kafka"
)

// kafkaAccess is how to get in at the brokers.
type kafkaAccess struct {
	tls                      bool
	ca, cert, key, name      string
	mechanism, user, passing string
}

func newIngestKafka(e *env) *cobra.Command {
	var f ingestFlags
	var o kafka.Options
	var a kafkaAccess
	cmd := &cobra.Command{
		Use:   "kafka --brokers HOST:PORT,... --topics NAME,... --group NAME",
		Short: "Take events from topics of Kafka",
		Long: `Takes events from topics of Kafka as a member of a consumer group: start it
several times to share the partitions.

A record's value is an event, and its headers are the event's: see "fantail ingest
--help". Offsets are committed behind what the daemon has. The key of an event is
made of the topic's id, the partition and the offset. Of transactions only what
was committed is read.

A group that has no offsets begins with the oldest records, or with --from-end
with those to come. The password is read from the file of --sasl-password-file, or
from FANTAIL_KAFKA_PASSWORD. PLAIN needs --tls, because it sends the password as
it is.`,
		Example: `  fantail ingest kafka --brokers 127.0.0.1:9092 --topics events --group fantail --developer acme
  fantail ingest kafka --brokers k1:9093,k2:9093 --topics a,b --group fantail --tls --tls-ca ca.pem
  fantail ingest kafka --brokers k1:9093 --topics a --group g --tls --sasl scram-sha-512 --sasl-user fantail
  fantail ingest kafka --brokers k1:9092 --topics a --group g --dead-letter-topic a-refused`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, b := range o.Brokers {
				if _, _, err := net.SplitHostPort(b); err != nil {
					return usagef("--brokers %q: want host:port", b)
				}
			}
			if len(o.Topics) == 0 || o.Group == "" {
				return usagef("--topics and --group must not be empty")
			}
			var err error
			if o.TLS, err = a.encryption(); err != nil {
				return err
			}
			if o.SASL, err = a.login(e, o.Brokers); err != nil {
				return err
			}
			o.Note, o.Version = e.remark, build.Read().Version
			return e.ingest(cmd.Context(), f, o.Dead != "", func(ctx context.Context) (source, error) { return kafka.Open(ctx, o) })
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Brokers, "brokers", nil, "brokers to begin with, host:port, with commas between them")
	flags.StringSliceVar(&o.Topics, "topics", nil, "topics, with commas between them")
	flags.StringVar(&o.Group, "group", "", "consumer group")
	flags.BoolVar(&o.FromEnd, "from-end", false, "a group without offsets begins with what is to come")
	flags.StringVar(&o.Dead, "dead-letter-topic", "", "topic for refused records, instead of a file")
	flags.BoolVar(&a.tls, "tls", false, "speak TLS with the brokers")
	flags.StringVar(&a.ca, "tls-ca", "", "PEM file of the authorities to trust instead of the system's")
	flags.StringVar(&a.cert, "tls-cert", "", "PEM file of a client certificate, with --tls-key")
	flags.StringVar(&a.key, "tls-key", "", "PEM file of its key")
	flags.StringVar(&a.name, "tls-server-name", "", "name expected in the brokers' certificates")
	flags.StringVar(&a.mechanism, "sasl", "", "plain, scram-sha-256 or scram-sha-512")
	flags.StringVar(&a.user, "sasl-user", "", "who logs in")
	flags.StringVar(&a.passing, "sasl-password-file", "", "file that holds the password (default $FANTAIL_KAFKA_PASSWORD)")
	for _, required := range []string{"brokers", "topics", "group"} {
		_ = cmd.MarkFlagRequired(required)
	}
	_ = cmd.RegisterFlagCompletionFunc("sasl", cobra.FixedCompletions([]string{"plain", "scram-sha-256", "scram-sha-512"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// encryption returns how TLS is spoken; nil for not at all.
func (a kafkaAccess) encryption() (*tls.Config, error) {
	if !a.tls {
		if a.ca != "" || a.cert != "" || a.key != "" || a.name != "" {
			return nil, usagef("--tls-ca, --tls-cert, --tls-key and --tls-server-name go with --tls")
		}
		return nil, nil
	}
	if (a.cert == "") != (a.key == "") {
		return nil, usagef("--tls-cert and --tls-key go together")
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.name}
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return nil, fmt.Errorf("read --tls-ca: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca %s holds no certificate", a.ca)
		}
	}
	if a.cert != "" {
		pair, err := tls.LoadX509KeyPair(a.cert, a.key)
		if err != nil {
			return nil, fmt.Errorf("read --tls-cert and --tls-key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// login returns how to log in; nil for not at all.
func (a kafkaAccess) login(e *env, brokers []string) (sasl.Mechanism, error) {
	if a.mechanism == "" {
		if a.user != "" || a.passing != "" {
			return nil, usagef("--sasl-user and --sasl-password-file go with --sasl")
		}
		return nil, nil
	}
	password, err := a.password(e)
	if err != nil {
		return nil, err
	}
	if a.user == "" {
		return nil, usagef("--sasl needs --sasl-user")
	}
	switch a.mechanism {
	case "plain":
		if !a.tls && !local(brokers) {
			return nil, usagef("--sasl plain sends the password as it is: give --tls, or use scram-sha-512")
		}
		return saslplain.Auth{User: a.user, Pass: password}.AsMechanism(), nil
	case "scram-sha-256":
		return scram.Auth{User: a.user, Pass: password}.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return scram.Auth{User: a.user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, usagef("--sasl %q: want plain, scram-sha-256 or scram-sha-512", a.mechanism)
}

func (a kafkaAccess) password(e *env) (string, error) {
	if a.passing == "" {
		password := e.lookup("FANTAIL_KAFKA_PASSWORD")
		if password == "" {
			return "", usagef("--sasl needs a password: give --sasl-password-file, or set FANTAIL_KAFKA_PASSWORD")
		}
		return password, nil
	}
	b, err := os.ReadFile(a.passing)
	if err != nil {
		return "", fmt.Errorf("read --sasl-password-file: %w", err)
	}
	password := strings.TrimRight(string(b), "\r\n")
	if password == "" {
		return "", errors.New("the file of --sasl-password-file is empty")
	}
	return password, nil
}

// local tells whether all brokers are on this machine.
func local(brokers []string) bool {
	for _, b := range brokers {
		host, _, _ := net.SplitHostPort(b)
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}
