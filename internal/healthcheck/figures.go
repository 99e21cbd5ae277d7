package healthcheck

import (
	"encoding/json"
	"time"
)

// minutes is how far figures reach back: the last hour and the one before.
const minutes = 120

// figures are what was delivered to one destination, by the minute. Counters of
// the store only grow, but for retention, which takes days away: what was
// delivered in the minute of such a fall is not counted.
type figures struct {
	Total  int64          `json:"total"`  // the store's counter when it was last read
	Minute int64          `json:"minute"` // since 1970, when it was last read
	By     [minutes]int64 `json:"by"`     // by Minute modulo minutes
}

// read takes in the counter as it is now.
func (f *figures) read(total int64, now time.Time) {
	minute := now.Unix() / 60
	for m := max(f.Minute+1, minute-minutes+1); m <= minute; m++ {
		f.By[m%minutes] = 0
	}
	at := max(minute, f.Minute)
	if f.Minute < minute-1 {
		at = f.Minute + 1 // nobody looked since: what came then was sent before the daemon went down
	}
	if at > minute-minutes {
		f.By[at%minutes] += max(0, total-f.Total)
	}
	f.Total, f.Minute = total, max(minute, f.Minute)
}

// last returns what was delivered in the last hour and in the one before.
func (f *figures) last() (hour, before int64) {
	for back := range int64(minutes) {
		n := f.By[(f.Minute-back+minutes)%minutes]
		if back < minutes/2 {
			hour += n
		} else {
			before += n
		}
	}
	return hour, before
}

// trend is by how many percent hour is more than before, to a tenth.
func trend(hour, before int64) float64 {
	switch {
	case before == 0 && hour == 0:
		return 0
	case before == 0:
		return 100
	}
	return float64((hour-before)*1000/before) / 10
}

// body is the healthcheck of the data contract, its time written as the vendor writes it.
func body(now time.Time, hour, before int64) []byte {
	text, _ := json.Marshal(struct { // numbers and texts always marshal
		Type    string  `json:"type"`
		Version string  `json:"version"`
		Status  string  `json:"status"`
		Created string  `json:"creation_timestamp"`
		Sent    int64   `json:"sent_webhooks_last_hour"`
		Trend   float64 `json:"trend_percentage"`
	}{"healthcheck", "2022-03-16", "normal", now.UTC().Format("2006-01-02 15:04:05.000000+00:00"), hour, trend(hour, before)})
	return text
}
