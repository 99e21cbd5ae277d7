package s3

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// readings has the consumer of the README read objects, and prints of each what
// it returned or how it refused.
const readings = `
import json, os, sys
import boto3
import consumer
s3 = boto3.client("s3", endpoint_url=os.environ["ENDPOINT"], region_name=os.environ["REGION"])
for key in sys.argv[2:]:
    try:
        event, version = consumer.read(s3, sys.argv[1], key)
        print(json.dumps({"event": event, "version": version}))
    except ValueError as e:
        print(json.dumps({"error": str(e)}))
`

type consumed struct {
	Event   json.RawMessage
	Version []string
	Error   string
}

// consume runs it with the boto3 that LocalStack brings.
func (f *far) consume(t *testing.T, keys ...string) (all []consumed) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "../../.tools/localstack/bin/python", append([]string{"-B", "-c", readings, f.name}, keys...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH=.", "ENDPOINT="+f.Endpoint, "REGION="+f.Region,
		"AWS_ACCESS_KEY_ID="+f.UserAccessKey, "AWS_SECRET_ACCESS_KEY="+f.UserSecretKey)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v (run: make setup)\n%s", err, stderr.String())
	}
	for line := range bytes.Lines(out) {
		var r consumed
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, r)
	}
	if len(all) != len(keys) {
		t.Fatalf("%d lines about %d keys: %s", len(all), len(keys), out)
	}
	return all
}

// TestTheConsumerOfTheREADME reads what was written, tells a later version of an
// item from an earlier one, and refuses what somebody else put there.
func TestTheConsumerOfTheREADME(t *testing.T) {
	const key = "2022-03-16/daily/u-2026-07-01T00:00:00Z.json"
	daily := func(steps int) []byte {
		return fmt.Appendf(nil, `{"type":"daily","version":"2022-03-16","user":{"user_id":"u"},"data":[{"metadata":{"start_time":"2026-07-01T00:00:00Z"},"steps":%d,"name":"Zo\u00eb"}]}`, steps)
	}
	g := startGateway(t)
	for _, zip := range []bool{false, true} {
		f := g.bucket(t, func(c *Config) { c.Keys.Gzip = zip })
		d := f.Open(t, plainDeps(t))
		var versions []string
		for n := range 3 {
			if _, err := d.Send(t.Context(), destinationtest.Delivery(t, n, daily(n))); err != nil {
				t.Fatal(err)
			}
			r := f.consume(t, key)[0]
			var got, want any
			if json.Unmarshal(r.Event, &got) != nil || json.Unmarshal(daily(n), &want) != nil || fmt.Sprint(got) != fmt.Sprint(want) || r.Error != "" {
				t.Errorf("gzip %t: %+v, want %s", zip, r, daily(n))
			}
			versions = append(versions, fmt.Sprint(r.Version))
		}
		if !slices.IsSorted(versions) || len(slices.Compact(slices.Clone(versions))) != 3 {
			t.Errorf("versions %q do not grow", versions)
		}
		o := f.all(t)[key]
		f.put(t, "2022-03-16/daily/none.json", string(daily(1)))
		changed := daily(9)
		if _, err := f.admin.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: &f.name, Key: ptr("2022-03-16/daily/forged.json"), Body: bytes.NewReader(changed), Metadata: o.meta}); err != nil {
			t.Fatal(err)
		}
		for _, r := range f.consume(t, "2022-03-16/daily/none.json", "2022-03-16/daily/forged.json") {
			if r.Error == "" {
				t.Errorf("gzip %t: what is not ours was read: %+v", zip, r)
			}
		}
		d.Close()
	}
}

func TestTheREADMEShowsTheConsumer(t *testing.T) {
	source, err := os.ReadFile("consumer.py")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, []byte("```python\n"+string(source)+"```\n")) || bytes.Count(readme, []byte("```python")) != 1 {
		t.Error("README.md shows another consumer than the one that is tested")
	}
}
