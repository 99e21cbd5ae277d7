package notices

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/seed-51f8da91/fantail/internal/delivery"
)

// body is the event that a notice becomes. It has no version: it is no event of
// the data contract.
func (x *note) body() []byte {
	fields := struct {
		Type        string         `json:"type"`
		Created     time.Time      `json:"creation_timestamp"`
		Developer   string         `json:"developer,omitempty"`
		Destination string         `json:"destination,omitempty"`
		Kind        string         `json:"kind,omitempty"`
		Reason      string         `json:"reason,omitempty"`
		Since       time.Time      `json:"since,omitzero"`
		Attempts    int            `json:"attempts,omitempty"`
		Count       int            `json:"count,omitempty"`
		Deliveries  []string       `json:"deliveries,omitempty"`
		Replay      map[string]any `json:"replay,omitempty"`
	}{
		Type: x.Name, Created: x.At, Developer: x.Destination.Developer, Destination: x.Destination.Name, Kind: x.Destination.Kind,
		Reason: x.Reason, Since: x.Since, Attempts: x.Attempts, Count: x.count, Deliveries: x.ids,
	}
	if len(x.extra) > 0 {
		fields.Replay = map[string]any{}
		for i := 0; i+1 < len(x.extra); i += 2 {
			fields.Replay[x.extra[i].(string)] = x.extra[i+1]
		}
	}
	text, _ := json.Marshal(fields) // texts, numbers and times always marshal
	return text
}

// write logs a notice under its name.
func (n *Notices) write(x *note) {
	var about []any
	add := func(name string, value any, there bool) {
		if there {
			about = append(about, name, value)
		}
	}
	add("developer", x.Destination.Developer, x.Destination.Developer != "")
	add("destination", x.Destination.Name, x.Destination.Name != "")
	add("kind", x.Destination.Kind, x.Destination.Kind != "")
	add("reason", x.Reason, x.Reason != "")
	add("since", x.Since, !x.Since.IsZero())
	add("attempts", x.Attempts, x.Attempts > 0)
	add("count", x.count, x.count > 0)
	add("deliveries", x.ids, len(x.ids) > 0)
	level := slog.LevelWarn
	if x.Name == delivery.DestinationResumed || x.Name == ReplayFinished {
		level = slog.LevelInfo
	}
	n.log.Log(context.Background(), level, x.Name, append(about, x.extra...)...)
}
