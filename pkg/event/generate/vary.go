package generate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// variation writes one event: a sample with other ids, times and values.
type variation struct {
	rng     *rand.Rand
	request Request
	fresh   map[string]string // what an id of the sample becomes, the same at each place
	factor  float64           // of measured values: one for all, so that an average stays below its maximum
	shift   time.Duration
	out     []byte
}

func (v *variation) walk(path []string, n *node) {
	switch n.kind {
	case '{':
		v.out = append(v.out, '{')
		for i, m := range n.members {
			if i > 0 {
				v.out = append(v.out, ',')
			}
			v.encode(m.name)
			v.out = append(v.out, ':')
			v.walk(append(path, m.name), m.value)
		}
		v.out = append(v.out, '}')
	case '[':
		v.out = append(v.out, '[')
		for i, item := range n.items {
			if i > 0 {
				v.out = append(v.out, ',')
			}
			v.walk(path, item)
		}
		v.out = append(v.out, ']')
	default:
		v.encode(v.scalar(path, n.scalar))
	}
}

func (v *variation) encode(x any) {
	b, _ := json.Marshal(x) // strings, numbers, booleans and null always marshal
	v.out = append(v.out, b...)
}

// ids are members that identify something.
var ids = map[string]bool{
	"summary_id": true, "id": true, "event_id": true, "session_id": true, "upload_id": true, "planned_workout_id": true,
	"provider_workout_id": true, "widget_session_id": true, "reference": true,
}

func (v *variation) scalar(path []string, x any) any {
	name := ""
	if len(path) > 0 {
		name = path[len(path)-1]
	}
	switch s := x.(type) {
	case json.Number:
		if measured(name) {
			return v.scale(s)
		}
	case string:
		switch {
		case name == "user_id" && !slices.Contains(path, "old_user"):
			return v.request.User
		case name == "user_id", ids[name]:
			return v.id(s)
		case name == "reference_id":
			return "ref-" + v.request.User[max(0, len(v.request.User)-8):]
		case name == "provider" && v.request.Provider != "":
			return v.request.Provider
		case name == "manufacturer" && v.request.Provider != "":
			return strings.ToLower(v.request.Provider)
		case name != "date_of_birth" && !v.request.At.IsZero():
			return shifted(s, v.shift)
		}
	}
	return x
}

// measured tells whether name is a quantity that differs from day to day.
// Durations do not: they belong to times.
func measured(name string) bool {
	for _, part := range []string{"calories", "distance_meters", "bpm", "weight", "bodyfat", "BMI", "per_ml", "sleep_efficiency", "tss"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return name == "steps" || strings.HasSuffix(name, "_g") || strings.HasSuffix(name, "_ml")
}

// scale multiplies n by the factor and keeps the number of its decimals.
func (v *variation) scale(n json.Number) json.Number {
	f, err := n.Float64()
	if err != nil {
		return n
	}
	decimals := 0
	if _, fraction, ok := strings.Cut(n.String(), "."); ok {
		decimals = len(fraction)
	}
	p := math.Pow10(decimals)
	return json.Number(strconv.FormatFloat(math.Round(f*v.factor*p)/p, 'f', decimals, 64))
}

// id returns another id of the same form.
func (v *variation) id(old string) string {
	if s, ok := v.fresh[old]; ok {
		return s
	}
	prefix, rest := "", old
	if i := strings.LastIndexByte(old, '_'); i >= 0 {
		prefix, rest = old[:i+1], old[i+1:]
	}
	if len(rest) == 36 && rest[8] == '-' {
		rest = uuidOf(v.rng)
	} else {
		b := []byte(rest)
		for i, c := range b {
			switch {
			case i > 0 && c >= '0' && c <= '9':
				b[i] = '0' + byte(v.rng.IntN(10))
			case c >= 'a' && c <= 'f':
				b[i] = 'a' + byte(v.rng.IntN(6))
			}
		}
		rest = string(b)
	}
	v.fresh[old] = prefix + rest
	return v.fresh[old]
}

// layouts are the forms of time that samples have.
var layouts = []string{
	"2006-01-02T15:04:05.000000Z07:00", "2006-01-02T15:04:05.000000-07:00", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05-07:00",
	"2006-01-02 15:04:05.000000-07:00", time.DateOnly,
}

// form returns the layout that s is written in, to the letter.
func form(s string) (time.Time, string) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil && t.Format(layout) == s {
			return t, layout
		}
	}
	return time.Time{}, ""
}

// shifted moves a time, and leaves every other text alone. A date moves by whole days.
func shifted(s string, by time.Duration) string {
	t, layout := form(s)
	switch layout {
	case "":
		return s
	case time.DateOnly:
		return t.Add(by.Round(24 * time.Hour)).Format(layout)
	}
	return t.Add(by).Format(layout)
}

// shiftOf returns how far the times of base move so that what happened ends
// before at. Days keep their bounds: where a period begins at midnight it moves
// by whole days, up to a week back.
func shiftOf(base *node, at time.Time, rng *rand.Rand) time.Duration {
	var latest time.Time
	midnight := false
	base.times(func(t time.Time, layout string) {
		if layout == time.DateOnly {
			return
		}
		midnight = midnight || t.Hour()+t.Minute()+t.Second() == 0
		if t.After(latest) {
			latest = t
		}
	})
	const day = 24 * time.Hour
	if latest.IsZero() {
		return 0
	}
	back := time.Duration(rng.Int64N(int64(12*time.Hour/time.Second))) * time.Second
	if midnight {
		days := at.Sub(latest) / day
		if at.Before(latest) && at.Sub(latest)%day != 0 {
			days--
		}
		return (days - time.Duration(rng.IntN(7))) * day
	}
	return (at.Sub(latest) - back).Truncate(time.Second)
}

func (n *node) times(visit func(time.Time, string)) {
	if s, ok := n.scalar.(string); ok {
		if t, layout := form(s); layout != "" {
			visit(t, layout)
		}
	}
	for _, m := range n.members {
		m.value.times(visit)
	}
	for _, item := range n.items {
		item.times(visit)
	}
}
