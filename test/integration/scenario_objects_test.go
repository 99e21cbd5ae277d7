package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stored is an object that lies in a bucket.
type stored struct {
	contentType string
	meta        map[string]string
	body        []byte
}

// wanted is an object that the contract asks for.
type wanted struct {
	name     string
	stem     string // of the key, without suffix and extension
	suffix   string // of the identity
	suffixed bool   // always: it has no user
	stored
	age string // newer ones sort behind
}

// wantedObjects returns what the contract says of an event in object storage.
func (e *sent) wantedObjects(t *testing.T) (all []wanted) {
	t.Helper()
	v := e.read(t)
	user := v.person().ID
	bodies, items := e.items(t, v)
	for i, body := range bodies {
		w := wanted{name: fmt.Sprintf("%s[%d]", e.name, i), suffixed: user == "", stored: stored{contentType: "application/json", body: body}}
		start, identity := startAndIdentity(v, items[i])
		if identity == "" {
			identity = fmt.Sprintf("%s-%d", e.id, i)
		}
		w.stem = v.Type + "/"
		if user != "" {
			w.stem += strings.ReplaceAll(user, hostile, hostileInKey) + "-"
		}
		if v.Version != nil {
			w.stem = *v.Version + "/" + w.stem
		}
		w.stem += e.timeInKey(v, start)
		sum, suffix := sha256.Sum256(body), sha256.Sum256([]byte(identity))
		w.suffix = "-" + hex.EncodeToString(suffix[:])[:12]
		ordering := e.ordering.UTC().Format("2006-01-02T15:04:05.000000Z")
		w.meta = map[string]string{
			"fantail-type": v.Type, "fantail-identity": strings.ReplaceAll(identity, " ", "%20"), "fantail-ordering": ordering,
			"fantail-event-id": e.id, "fantail-index": strconv.Itoa(i), "fantail-reference": e.reference, "fantail-sha256": hex.EncodeToString(sum[:]),
		}
		if user != "" {
			w.meta["fantail-user"] = strings.ReplaceAll(user, hostile, hostileInHeader)
		}
		w.age = fmt.Sprintf("%s %s %05d", ordering, e.id, i)
		all = append(all, w)
	}
	return all
}

// timeInKey is the start of the period, else the time when the event was made, else the ordering time.
func (e *sent) timeInKey(v envelope, start string) string {
	for _, text := range []string{start, strings.Replace(v.Created, " ", "T", 1), v.Occurred} {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(layout, text); err == nil {
				return at.UTC().Format("2006-01-02T15:04:05Z")
			}
		}
	}
	return e.ordering.UTC().Format("2006-01-02T15:04:05Z")
}

// startAndIdentity is the contract's table of types; empty where it has none.
func startAndIdentity(v envelope, item json.RawMessage) (start, identity string) {
	var i struct {
		Metadata struct {
			Start   string `json:"start_time"`
			Summary string `json:"summary_id"`
		}
		Details struct{ Metadata struct{ ID string } }
		Workout string `json:"planned_workout_id"`
		Planned string `json:"planned_date"`
		At      string `json:"timestamp"`
	}
	_ = json.Unmarshal(item, &i) // other types have other members
	switch v.Type {
	case "activity", "sleep", "health_observation":
		return i.Metadata.Start, i.Metadata.Summary
	case "body", "daily", "nutrition", "menstruation":
		day, _, _ := strings.Cut(i.Metadata.Start, "T")
		return i.Metadata.Start, day
	case "hormone":
		return i.At, i.At
	case "planned_workout":
		if i.Details.Metadata.ID != "" {
			return i.Planned, i.Details.Metadata.ID
		}
		return i.Planned, i.Workout
	case "athlete":
		return "", v.person().ID
	case "lab_report.completed", "lab_report.failed":
		return "", v.EventID
	}
	return "", ""
}

// isWhatIsWanted compares a bucket with what the contract makes of the events. Of those with the same
// user, type and identity, only the newest must be there. Of several that would have the same key, the
// first to come has it, and the others have the suffix of their identity.
func isWhatIsWanted(t *testing.T, bucket string, got map[string]stored, events []*sent) {
	t.Helper()
	owners := map[string]wanted{}
	plain := map[string]int{} // how many want the key as it is
	for _, e := range events {
		for _, w := range e.wantedObjects(t) {
			owner := w.meta["fantail-type"] + " " + w.meta["fantail-user"] + " " + w.meta["fantail-identity"]
			if _, known := owners[owner]; !known && !w.suffixed {
				plain[w.stem]++
			}
			if w.age > owners[owner].age {
				owners[owner] = w
			}
		}
	}
	got = maps.Clone(got)
	taken := map[string]int{}
	for owner, w := range owners {
		key := w.stem + ".json"
		if o, ok := got[key]; w.suffixed || !ok || o.meta["fantail-identity"] != w.meta["fantail-identity"] {
			key = w.stem + w.suffix + ".json"
		} else {
			taken[w.stem]++
		}
		o, ok := got[key]
		delete(got, key)
		switch {
		case !ok:
			t.Errorf("%s: %s (%s) is not there", bucket, key, owner)
		case o.contentType != w.contentType || !maps.Equal(o.meta, w.meta):
			t.Errorf("%s: %s is %s with %v, want %s of %s with %v", bucket, key, o.contentType, o.meta, w.contentType, w.name, w.meta)
		case !bytes.Equal(o.body, w.body):
			t.Errorf("%s: %s holds %.300q, want %s: %.300q", bucket, key, o.body, w.name, w.body)
		}
	}
	for stem, n := range plain {
		if taken[stem] != 1 {
			t.Errorf("%s: %d of %d have the key %s.json without a suffix, want one", bucket, taken[stem], n, stem)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		t.Errorf("%s: nobody asked for %s", bucket, key)
	}
}
