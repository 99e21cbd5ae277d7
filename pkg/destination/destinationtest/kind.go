// Package destinationtest is the conformance suite that every kind of
// destination passes. A kind's own test describes the kind and a far side to
// it, and calls Run:
//
//	func TestConformance(t *testing.T) { destinationtest.Run(t, kind()) }
//
// The suite lends the destination its network, so that it can count, stall,
// refuse and cut connections to any far side. Everything else that differs
// between far sides is declared in Kind, and a case that a far side cannot
// show is not listed: no case is ever skipped.
package destinationtest

import (
	"testing"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Kind describes one kind of destination and what its far side can do.
type Kind struct {
	// Start brings up a far side that is empty and healthy, and lives until tb ends.
	// Open may come after Break, several times, and for several destinations at once.
	Start func(tb testing.TB) FarSide

	// Secrets are texts that must show up nowhere: all credentials that Open uses.
	Secrets []string

	// Failures are the ways in which the far side can be made to fail. Between
	// them they should show every class that the kind ever returns, an answer
	// longer than 1 KiB and, where the protocol has answers, one that repeats
	// the credentials that came with the request.
	Failures []Failure

	// Repeat makes the far side refuse whatever comes, until Mend, with a text that
	// as makes of the credentials that came with a request or that it knows anyhow;
	// nil: it cannot say anything.
	Repeat func(tb testing.TB, far FarSide, as func(credentials ...string) string)

	// Stores returns the bodies that the far side holds of an event, in any
	// order; nil: its exact body, once.
	Stores func(*event.Event) [][]byte

	// Poison builds a delivery that the far side will never take, whatever else
	// it takes, and the class of that; nil: it takes everything. Deliveries
	// from number 1000 on are never the suite's own.
	Poison func(testing.TB) (destination.Delivery, destination.Class)

	// Requests returns how many requests to store something the far side has
	// had; nil: it cannot tell.
	Requests func(tb testing.TB, far FarSide) int

	// Duplicates says that the far side cannot tell a repeated delivery.
	Duplicates bool

	// Connections is the most connections that Sends one after the other open;
	// 0: as many as they like.
	Connections int

	// Background names functions that run in goroutines of the far side beyond
	// the end of a connection; they are no leaks of the destination.
	Background []string

	Batches, Checks, Explains bool // implements Batcher, Checker, Explainer

	// Links says that it puts payloads into the operator's store, which Open of the
	// far side lends it by [Lend].
	Links bool

	// Connects says that Check only connects, and sends no request: it sees none
	// of Failures.
	Connects bool

	patience time.Duration // 0: promptly; shorter where the suite watches itself fail
}

// FarSide stands in for the place that the destination delivers to.
type FarSide interface {
	// Open opens the destination under test with deps, through which all of its
	// connections must go. The suite closes it.
	Open(tb testing.TB, deps destination.Deps) destination.Destination
	// Stored returns all bodies that the far side holds, as a consumer would
	// read them, in any order, also while it is broken.
	Stored(tb testing.TB) [][]byte
	// Break makes the far side fail as f says, until Mend.
	Break(tb testing.TB, f Failure)
	// Mend makes it healthy again.
	Mend(tb testing.TB)
}

// Failure is one way of a far side to fail, and what a Send makes of it.
type Failure struct {
	Name   string // how cases and Break know it
	Class  destination.Class
	Wait   time.Duration // of Throttled
	Engine bool          // it wraps destination.ErrEngine
	Breaks bool          // the connection does not outlive it
}

// Run runs every case against a far side of its own.
func Run(t *testing.T, k Kind) {
	for _, c := range cases(k) {
		t.Run(c.name, func(t *testing.T) { c.run(newBench(t, k)) })
	}
}

// testCase is one promise of the contract. It has no subtests, so that the
// suite's own tests can watch it fail.
type testCase struct {
	name string
	run  func(*bench)
}

// cases lists what k can show.
func cases(k Kind) []testCase {
	list := []testCase{
		{"DeclaresItsAbilities", declaresItsAbilities},
		{"PreservesBytes", preservesBytes},
		{"LeavesTheEventAlone", leavesTheEventAlone},
		{"SendsConcurrently", sendsConcurrently},
		{"ReceiptIsSound", receiptIsSound},
		{"UnreachableIsTransient", unreachableIsTransient},
		{"CutIsTransient", cutIsTransient},
		{"RecoversFromCut", recoversFromCut},
		{"RefusesWhenCancelled", refusesWhenCancelled},
		{"HonoursCancel", honoursCancel},
		{"HonoursCancelWhileConnecting", honoursCancelWhileConnecting},
		{"HonoursDeadline", honoursDeadline},
		{"HidesSecrets", hidesSecrets},
		{"OpenConnectsNowhere", openConnectsNowhere},
		{"CloseSparesOthers", closeSparesOthers},
		{"CloseLeavesNothing", closeLeavesNothing},
		{"CloseAfterAnAbortedSend", closeAfterAnAbortedSend},
		{"PanicsAreFailures", panicsAreFailures},
	}
	add := func(listed bool, name string, run func(*bench)) {
		if listed {
			list = append(list, testCase{name, run})
		}
	}
	for _, f := range k.Failures {
		add(true, "Classifies/"+f.Name, func(b *bench) { classifies(b, f) })
		add(true, "RecoversFrom/"+f.Name, func(b *bench) { recoversFrom(b, f) })
		add(k.Requests != nil, "NeverRetries/"+f.Name, func(b *bench) { neverRetries(b, f) })
		add(k.Batches, "BatchFailsWhole/"+f.Name, func(b *bench) { batchFailsWhole(b, f) })
		add(k.Checks && !k.Connects && f.Class == destination.Misconfigured, "CheckFinds/"+f.Name, func(b *bench) { checkFinds(b, f) })
	}
	add(k.Repeat != nil, "HidesEveryForm", hidesEveryForm)
	add(!k.Duplicates, "StoresARepeatOnce", storesARepeatOnce)
	add(k.Connections > 0, "ReusesConnections", reusesConnections)
	add(k.Poison != nil, "PoisonFailsAlone", poisonFailsAlone)
	add(k.Links, "PayloadPanicsAlone", payloadPanicsAlone)
	add(k.Batches, "BatchStoresEach", batchStoresEach)
	add(k.Batches && !k.Duplicates, "BatchStoresARepeatOnce", batchStoresARepeatOnce)
	add(k.Batches && k.Poison != nil, "BatchFailsInPart", batchFailsInPart)
	add(k.Batches, "BatchHonoursCancel", batchHonoursCancel)
	add(k.Checks, "CheckLeavesNothing", checkLeavesNothing)
	add(k.Checks, "CheckHonoursCancel", checkHonoursCancel)
	add(k.Explains, "ExplainSendsNothing", explainSendsNothing)
	return list
}
