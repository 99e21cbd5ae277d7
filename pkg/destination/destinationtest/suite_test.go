package destinationtest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAGoodDestinationPasses(t *testing.T) { Run(t, memoryKind("")) }

// TestEveryCaseCanFail runs the suite against destinations that break one
// promise each, and asserts that the case for the promise notices.
func TestEveryCaseCanFail(t *testing.T) {
	flaws := []struct{ flaw, fails string }{
		{"does not batch", "DeclaresItsAbilities"},
		{"re-encodes", "PreservesBytes"},
		{"writes to the body", "LeavesTheEventAlone"},
		{"writes to the event", "LeavesTheEventAlone"},
		{"drops what is sent at once", "SendsConcurrently"},
		{"strange address", "ReceiptIsSound"},
		{"answers without end", "ReceiptIsSound"},
		{"secret in the receipt", "ReceiptIsSound"},
		{"secret in the receipt", "HidesSecrets"},
		{"secret in errors", "HidesSecrets"},
		{"secret in a cause", "HidesSecrets"},
		{"secret in a dump", "HidesSecrets"},
		{"knows its secret as it is", "HidesEveryForm"},
		{"says nothing of answers", "HidesEveryForm"},
		{"secret in network errors", "UnreachableIsTransient"},
		{"secret in network errors", "HonoursDeadline"},
		{"unreachable is misconfigured", "UnreachableIsTransient"},
		{"unreachable is misconfigured", "CutIsTransient"},
		{"unreachable is misconfigured", "HonoursDeadline"},
		{"unreachable is misconfigured", "HonoursCancelWhileConnecting"},
		{"stays broken", "RecoversFromCut"},
		{"stays broken", "RecoversFrom/down"},
		{"stays broken", "RecoversFrom/busy"},
		{"stays broken", "PoisonFailsAlone"},
		{"succeeds when cancelled", "RefusesWhenCancelled"},
		{"ignores the context", "HonoursCancel"},
		{"ignores the context", "HonoursCancelWhileConnecting"},
		{"ignores the context", "HonoursDeadline"},
		{"ignores the context", "BatchHonoursCancel"},
		{"ignores the context", "CheckHonoursCancel"},
		{"ignores the context", "CloseAfterAnAbortedSend"},
		{"own network", "HonoursCancel"},
		{"dials on open", "OpenConnectsNowhere"},
		{"fails to close", "OpenConnectsNowhere"},
		{"closes others' connections", "CloseSparesOthers"},
		{"own connections", "CloseLeavesNothing"},
		{"leaks a goroutine", "CloseLeavesNothing"},
		{"leaks a goroutine", "CloseAfterAnAbortedSend"},
		{"everything is transient", "Classifies/busy"},
		{"everything is transient", "Classifies/forbidden"},
		{"blames the far side", "Classifies/engine"},
		{"silent errors", "Classifies/down"},
		{"forgets the wait", "Classifies/busy"},
		{"retries", "NeverRetries/down"},
		{"retries", "NeverRetries/busy"},
		{"a new id each time", "StoresARepeatOnce"},
		{"stores repeats", "StoresARepeatOnce"},
		{"a connection each", "ReusesConnections"},
		{"poison is transient", "PoisonFailsAlone"},
		{"keeps its turn when it panics", "PanicsAreFailures"},
		{"own network", "PanicsAreFailures"},
		{"panics as a whole batch", "PayloadPanicsAlone"},
		{"no room in a batch", "BatchStoresEach"},
		{"loses the end of a batch", "BatchStoresEach"},
		{"one result for a batch", "BatchStoresEach"},
		{"does not batch", "BatchStoresEach"},
		{"other ids in a batch", "BatchStoresARepeatOnce"},
		{"blames the neighbour", "BatchFailsInPart"},
		{"poison is transient", "BatchFailsInPart"},
		{"batch hides failures", "BatchFailsWhole/down"},
		{"forgets the wait", "BatchFailsWhole/busy"},
		{"check asks nobody", "CheckLeavesNothing"},
		{"check leaves something", "CheckLeavesNothing"},
		{"check fails", "CheckLeavesNothing"},
		{"check finds nothing", "CheckFinds/forbidden"},
		{"explain sends", "ExplainSendsNothing"},
		{"explain connects", "ExplainSendsNothing"},
		{"explain shows the secret", "ExplainSendsNothing"},
		{"explains nothing", "ExplainSendsNothing"},
	}
	for _, f := range flaws {
		t.Run(f.flaw+"/"+f.fails, func(t *testing.T) {
			k := memoryKind(f.flaw)
			k.patience = 300 * time.Millisecond
			all := cases(k)
			i := slices.IndexFunc(all, func(c testCase) bool { return c.name == f.fails })
			if i < 0 {
				t.Fatalf("there is no case %s", f.fails)
			}
			if r := record(t, k, all[i]); !r.failed {
				t.Errorf("%s does not notice a destination that %s", f.fails, f.flaw)
			}
		})
	}
	for _, c := range cases(memoryKind("")) {
		name, _, _ := strings.Cut(c.name, "/")
		if !slices.ContainsFunc(flaws, func(f struct{ flaw, fails string }) bool { return strings.HasPrefix(f.fails, name) }) {
			t.Errorf("nothing shows that %s can fail", name)
		}
	}
}

// TestOnlyWhatTheFarSideCanShowIsListed: a capability that is not declared
// leaves its cases out instead of skipping them.
func TestOnlyWhatTheFarSideCanShowIsListed(t *testing.T) {
	bare := cases(Kind{Duplicates: true})
	for _, c := range bare {
		for _, optional := range []string{"Batch", "Check", "Explain", "Poison", "Reuses", "Repeat", "Payload", "EveryForm", "NeverRetries", "/"} {
			if strings.Contains(c.name, optional) {
				t.Errorf("%s is listed for a kind that declares nothing", c.name)
			}
		}
	}
	if len(bare) < 15 {
		t.Errorf("only %d cases are left", len(bare))
	}
	seen := map[string]bool{}
	for _, c := range cases(memoryKind("")) {
		if seen[c.name] {
			t.Errorf("%s is listed twice", c.name)
		}
		seen[c.name] = true
	}
}

// recorder takes the place of a test and remembers whether it failed.
type recorder struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	failed   bool
	messages []string
	cleanups []func()
}

// record runs a case as testing would.
func record(t *testing.T, k Kind, c testCase) *recorder {
	return watch(t, func(tb testing.TB) { c.run(newBench(tb, k)) })
}

// watch runs f as testing would.
func watch(t *testing.T, f func(testing.TB)) *recorder {
	ctx, cancel := context.WithCancel(context.Background())
	r := &recorder{TB: t, ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			cancel()
			for len(r.cleanups) > 0 {
				f := r.cleanups[len(r.cleanups)-1]
				r.cleanups = r.cleanups[:len(r.cleanups)-1]
				f()
			}
		}()
		f(r)
	}()
	<-done
	return r
}

func (r *recorder) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
	r.messages = append(r.messages, text)
}

func (r *recorder) Helper()                           {}
func (r *recorder) Context() context.Context          { return r.ctx }
func (r *recorder) Error(args ...any)                 { r.fail(fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.fail(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatal(args ...any)                 { r.fail(fmt.Sprint(args...)); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) {
	r.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}
