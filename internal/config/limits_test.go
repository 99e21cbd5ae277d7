package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// many is a file with n destinations.
func many(n int, more string) string {
	var b strings.Builder
	b.WriteString("developer: acme\ndestinations:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - { name: d%d, kind: webhook, settings: { url: 'https://acme.example', secret: x }%s }\n", i, more)
	}
	return b.String()
}

func TestDestinationsOfADeveloperAreBounded(t *testing.T) {
	const three = "limits: { per_developer: { destinations: 3 } }\n"
	load(t, folder(t, map[string]string{"fantail.yaml": three, "developers/acme.yaml": many(3, "")}))
	for settings, n := range map[string]int{three: 4, "": 1001} {
		snap, err := Load(folder(t, map[string]string{"fantail.yaml": settings, "developers/acme.yaml": many(n, ""), "developers/globex.yaml": "developer: globex\n"}), kinds())
		want := fmt.Sprintf("acme.yaml:2: destinations: there are %d, and limits.per_developer.destinations of fantail.yaml is %d", n, n-1)
		if err == nil || !strings.Contains(err.Error(), want) || snap.Broken["acme"] == nil || snap.Developers["globex"] == nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// A wait that is too short is lengthened, and one note a file says so.
func TestShortWaitsAreLengthened(t *testing.T) {
	for settings, least := range map[string]time.Duration{"": time.Second, "limits: { per_developer: { shortest_wait: 20s } }\n": 20 * time.Second, "limits: { per_developer: { shortest_wait: 1ms } }\n": time.Millisecond} {
		snap := load(t, folder(t, map[string]string{
			"fantail.yaml": settings, "developers/acme.yaml": many(7, ", retry: { waits: [5ms, 2s, 1h], jitter: 0.2 }") +
				"  - { name: slow, kind: webhook, settings: { url: 'https://acme.example', secret: x } }\n" +
				"  - { name: last, kind: webhook, settings: { url: 'https://acme.example', secret: x }, retry: { initial: 1ms, factor: 1, retries: 100 } }\n",
		}))
		want := []time.Duration{max(5*time.Millisecond, least), max(2*time.Second, least), time.Hour}
		if s := snap.Find("acme", "d0").Schedule; !slices.Equal(s.Waits, want) || s.Jitter != 0.2 {
			t.Errorf("%v: %v, want %v", least, s, want)
		}
		if s := snap.Find("acme", "last").Schedule; len(s.Waits) != 100 || s.Waits[0] != least || s.Waits[99] != least {
			t.Errorf("%v: %v", least, s)
		}
		if s := snap.Find("acme", "slow").Schedule; s.Waits[0] != 30*time.Second {
			t.Errorf("%v: %v", least, s)
		}
		if least == time.Millisecond {
			if len(snap.Notes) > 0 {
				t.Errorf("notes: %v", snap.Notes)
			}
			continue
		}
		if len(snap.Notes) != 1 || snap.Notes[0].Line != 3 || !strings.Contains(snap.Notes[0].Message, "shorter than limits.per_developer.shortest_wait of fantail.yaml, "+short(least)+", are lengthened to it: d0, d1, d2, d3, d4 and 3 more") {
			t.Errorf("%v: notes %v", least, snap.Notes)
		}
	}
}

// A schedule is judged after its waits were lengthened.
func TestLengthenedScheduleMustFitRetention(t *testing.T) {
	files := map[string]string{"fantail.yaml": "limits: { per_developer: { shortest_wait: 1h } }\n", "developers/acme.yaml": many(1, ", retry: { initial: 1s, factor: 1, retries: 100 }")}
	if _, err := Load(folder(t, files), kinds()); err == nil || !strings.Contains(err.Error(), "the schedule lasts 110h, longer than idempotency") {
		t.Errorf("100 waits of an hour: %v", err)
	}
}

func TestLagIsOffOrWithinReason(t *testing.T) {
	for text, want := range map[string]time.Duration{"0s": 0, "100ms": 100 * time.Millisecond, "1h": time.Hour} {
		snap := load(t, folder(t, map[string]string{"fantail.yaml": "limits: { lag: " + text + " }\n"}))
		if got := snap.Daemon.Limits.Lag; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"99ms", "61m", "-1s", "2"} {
		_, err := Load(folder(t, map[string]string{"fantail.yaml": "limits: { lag: " + text + " }\n"}), kinds())
		if err == nil || !strings.Contains(err.Error(), "limits.lag") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
