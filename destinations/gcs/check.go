package gcs

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/cloud/gcp"
	"github.com/seed-51f8da91/fantail/pkg/cloud/probe"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// Check asks for the rights on the bucket, which names what would be missing once
// an object is there already: that may be long after somebody set the destination
// up. Then it stores a probe as Send stores objects, sees that it comes back, byte
// for byte, and removes it: no question tells what a key of Cloud KMS, a class or
// an ACL comes to, nor whether the far side stores anything at all.
func (g *gcs) Check(ctx context.Context) error {
	const create, get, replace = "storage.objects.create", "storage.objects.get", "storage.objects.delete"
	s := &g.settings
	if err := g.client.Require(ctx, s.bucket, create); err != nil {
		return err
	}
	missing := g.client.Require(ctx, s.bucket, get, replace)
	if missing != nil && (s.strict || !gcp.Denied(missing)) {
		return missing
	}
	o := gcp.Object{Bucket: s.bucket, Name: s.folder + probe.Name, StorageClass: s.storageClass, KMSKey: s.kmsKey, ACL: s.acl}
	seen, err := g.client.Probe(ctx, o, func(ctx context.Context) ([]byte, error) { return g.client.Get(ctx, o.Bucket, o.Name) })
	if err != nil {
		return err
	}
	var remarks []string
	if missing != nil {
		remarks = append(remarks, "new objects can be written, but none can be replaced by a newer one: "+missing.Error())
	}
	if seen.Unreadable != nil {
		remarks = append(remarks, "reading is denied, so that it cannot be seen whether what is stored comes back, nor what has a key: a later version of an item, "+
			"or another item of that second, lands under a second key, with the item's suffix, and there an older version may replace a newer one")
	}
	if seen.Unremovable {
		remarks = append(remarks, fmt.Sprintf("the check leaves %s in the bucket, which it may not remove; roles/storage.objectUser lets it", o.Name))
	}
	if len(remarks) == 0 {
		return nil
	}
	return destination.Remark(strings.Join(remarks, ". "))
}
