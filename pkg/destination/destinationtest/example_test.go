package destinationtest_test

import (
	"testing"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/destination/destinationtest"
)

// A kind's test describes the kind and a far side to it. The suite does the rest:
// see pkg/destination/example_suite_test.go for a whole one.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		destinationtest.Run(t, destinationtest.Kind{
			Start:   startFarSide,
			Secrets: []string{"a-token"},
			Failures: []destinationtest.Failure{
				{Name: "busy", Class: destination.Transient},
				{Name: "the token is refused", Class: destination.Misconfigured},
				{Name: "the event is refused", Class: destination.Rejected},
			},
			Checks: true, // it implements destination.Checker
		})
	}
}

// Far sides as customers have them: what a check has to find, and what becomes of
// deliveries.
func ExampleRunSetups() {
	_ = func(t *testing.T) { // func TestSetups(t *testing.T)
		destinationtest.RunSetups(t, []destinationtest.Setup{
			{Name: "as the README has it", Open: open("")},
			{Name: "without the right to write", Open: open("REVOKE INSERT"),
				Check: destinationtest.Verdict{Is: destinationtest.Held, Says: []string{"run: GRANT INSERT"}},
				Send:  destinationtest.Verdict{Is: destinationtest.Held, Says: []string{"run: GRANT INSERT"}}},
		})
	}
}

// startFarSide starts a server on loopback that lives until tb ends.
func startFarSide(testing.TB) destinationtest.FarSide { return nil }

// open prepares a far side and opens a destination to it.
func open(string) func(testing.TB, destination.Deps) destination.Destination { return nil }
