package gcs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp/gcptest"
)

// README.md shows what stands between the two lines.
// ---
// each hands the event of every object below prefix to use. Of two versions of
// one item, which have one key, the later one has the greater version.
func each(ctx context.Context, bucket *storage.BucketHandle, prefix string, use func(key, version string, event []byte) error) error {
	for objects := bucket.Objects(ctx, &storage.Query{Prefix: prefix}); ; {
		o, err := objects.Next()
		if errors.Is(err, iterator.Done) {
			return nil
		}
		if err != nil {
			return err
		}
		event, err := read(ctx, bucket, o)
		if errors.Is(err, storage.ErrObjectNotExist) {
			continue // replaced just now: the next look finds it
		}
		if err != nil {
			return err
		}
		if err := use(o.Name, o.Metadata["fantail-ordering"]+" "+o.Metadata["fantail-event-id"], event); err != nil {
			return err
		}
	}
}

// read returns the event of an object, decompressed. What Fantail did not write,
// or somebody changed, is an error.
func read(ctx context.Context, bucket *storage.BucketHandle, o *storage.ObjectAttrs) ([]byte, error) {
	r, err := bucket.Object(o.Name).Generation(o.Generation).NewReader(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	event, err := io.ReadAll(r)
	if sum := sha256.Sum256(event); err == nil && hex.EncodeToString(sum[:]) != o.Metadata["fantail-sha256"] {
		err = fmt.Errorf("%s is not what Fantail wrote", o.Name)
	}
	return event, err
}

// ---

// TestTheConsumerOfTheREADME reads what was written, tells a later version of an
// item from an earlier one, and refuses what somebody else put there.
func TestTheConsumerOfTheREADME(t *testing.T) {
	for _, zip := range []bool{false, true} {
		r := newRig(t, func(c *Config) { c.Gzip = zip })
		client, err := storage.NewClient(t.Context(), storage.WithJSONReads(), option.WithEndpoint(r.URL+"/storage/v1/"),
			option.WithAuthCredentialsJSON(option.ServiceAccount, []byte(r.Account(t, "reader", gcptest.Get))))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		bucket := client.Bucket("acme")
		var versions []string
		const start = "2026-07-01T00:00:00Z"
		for n := range 3 {
			r.sends(made(t, n, daily("u", start, n)))
			r.sends(made(t, 10, daily("other", start, 10)))
			r.sends(made(t, 20, activity("u", "s", start))) // below another prefix
			got := map[string]string{}
			if err := each(t.Context(), bucket, "2022-03-16/daily/", func(key, version string, event []byte) error {
				got[key] = string(event)
				if strings.Contains(key, "/u-") {
					versions = append(versions, version)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"2022-03-16/daily/u-" + start + ".json": daily("u", start, n), "2022-03-16/daily/other-" + start + ".json": daily("other", start, 10)}
			if text(got) != text(want) {
				t.Errorf("gzip %t: read\n%s\nwant\n%s", zip, text(got), text(want))
			}
		}
		if !slices.IsSorted(versions) || len(slices.Compact(slices.Clone(versions))) != 3 {
			t.Errorf("versions %q do not grow", versions)
		}
		meta := r.Object("acme", "2022-03-16/daily/u-"+start+".json").Metadata
		for key, with := range map[string]map[string]string{"2022-03-16/forged/a.json": meta, "2022-03-16/none/a.json": nil} {
			r.seed(key, daily("u", start, 9), with)
			if err := each(t.Context(), bucket, key, func(string, string, []byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "is not what Fantail wrote") {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
}

func TestTheREADMEShowsTheConsumer(t *testing.T) {
	source, err := os.ReadFile("consumer_test.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Split(string(source), "// ---\n")[1]
	if !strings.Contains(string(readme), "```go\n"+strings.TrimSpace(shown)+"\n```") || strings.Count(string(readme), "```go") != 1 || strings.Contains(string(readme), "```python") {
		t.Error("README.md shows another consumer than the one that is tested")
	}
}
