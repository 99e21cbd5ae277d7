package s3

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/destinations/internal/objectkey"
	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
	"github.com/seed-51f8da91/fantail/test/servers/strictaws"
)

// TestEveryKeyIsAnothers: an object all of whose keys are held by another
// identity, which nobody but a forger brings about, is given up, and nothing is
// overwritten for it.
func TestEveryKeyIsAnothers(t *testing.T) {
	s := startStrict(t)
	b := openWith(t, s.config, plainDeps(t))
	d := destinationtest.Delivery(t, 1, fmt.Appendf(nil, activity, 1, "mine"))
	var first string
	for o := range b.objects(d.Event) {
		theirs := maps.Clone(o.Meta)
		theirs[objectkey.MetaIdentity] = "theirs"
		for _, key := range o.Keys {
			s.PutObject("bucket", strictaws.Object{Key: key, Body: []byte("theirs"), Metadata: theirs})
		}
		first = o.Keys[0]
	}
	_, err := b.Send(t.Context(), d)
	if class, _ := destination.ClassOf(err); class != destination.Rejected || !strings.Contains(err.Error(), first+": all keys that it may have are taken by others") {
		t.Errorf("%v: %v", class, err)
	}
	all := s.Objects("bucket")
	for _, o := range all {
		if string(o.Body) != "theirs" {
			t.Errorf("%s was overwritten", o.Key)
		}
	}
	if len(all) != 3 {
		t.Errorf("%d objects, want 3", len(all))
	}
}
