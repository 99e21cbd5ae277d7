package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-sql-driver/mysql"

	"github.com/seed-51f8da91/fantail/test/servers"
)

// The developer of docker-compose.yml gets every event at every one of their destinations. Their file
// is unchanged except for addresses and names.
func TestComposeDemoDelivers(t *testing.T) {
	cloud, google := servers.StartLocalStack(t), servers.StartGCS(t)
	bucket, receiver := google.Bucket(t), newReceiver(t, nil)
	admin := s3.New(s3.Options{Region: cloud.Region, BaseEndpoint: &cloud.Endpoint, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(cloud.AccessKey, cloud.SecretKey, "")})
	if _, err := admin.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	queue := newQueue(t, cloud.Endpoint, cloud.Region, cloud.AccessKey, cloud.SecretKey, "")
	rows, err := mysql.ParseDSN(servers.StartMySQL(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"SECRET": "secret-of-demo", "AWS_KEY": cloud.AccessKey, "AWS_SECRET": cloud.SecretKey, "POSTGRES": servers.StartPostgres(t).DSN,
		"MYSQL": fmt.Sprintf("mysql://%s:%s@%s/%s?ssl-mode=DISABLED", rows.User, rows.Passwd, rows.Addr, rows.DBName),
	} {
		t.Setenv("FANTAIL_DEV_DEMO_"+name, value)
	}
	demo, err := os.ReadFile("../../configs/compose/developers/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}

	h := newHome(t)
	h.write("fantail.yaml", plain+"payloads: { dir: { path: payloads, public_url: 'http://events.example' } }\n")
	h.write("developers/demo.yaml", strings.NewReplacer("http://host.docker.internal:9000", receiver.URL, "http://localstack:4566", cloud.Endpoint,
		"http://gcs:4443", google.Endpoint, "bucket: demo", "bucket: "+bucket, "queue: demo", "queue: "+queue.name).Replace(string(demo)))
	d := h.start()
	events := scenarioEvents(t)
	for _, e := range events {
		e.id = d.send(t, "demo", e.body).ID
	}
	all := d.balanced(t)
	for _, row := range all {
		if row.Delivered != int64(len(events)) {
			t.Errorf("%s has %d of %d events: %+v", row.Destination, row.Delivered, len(events), row)
		}
	}
	if len(all) != strings.Count(string(demo), "- name:") {
		t.Errorf("%d destinations delivered", len(all))
	}
}
