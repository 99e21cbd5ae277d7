package copying_test

import (
	"os"
	"testing"

	"github.com/seed-51f8da91/fantail/internal/store"
	"github.com/seed-51f8da91/fantail/internal/store/copying"
	"github.com/seed-51f8da91/fantail/internal/store/storetest"
)

// moving is a store that lies elsewhere after each reopening: it was copied to the other kind.
type moving struct {
	copying.Store
	at place
}

// TestAStoreIsTheSameAfterEachCopy has the suite of all stores reopen a store by a copy to the
// other kind. Whatever it then asks or does (searches, order of queues, outcomes of items that
// were offered before, replays, repeats with idempotency keys) must be as the model has it.
func TestAStoreIsTheSameAfterEachCopy(t *testing.T) {
	t.Parallel()
	for _, topics := range [][]string{{"random", "usage"}, {"registry", "idempotency", "documents", "acts"}} {
		t.Run(topics[0], func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, reopenedByCopies(topics))
		})
	}
}

func reopenedByCopies(topics []string) storetest.Harness {
	seeds := []uint64{1}
	if os.Getenv("FANTAIL_STORE") == "long" { // `make long` sets it
		seeds = []uint64{1, 2, 3}
	}
	return storetest.Harness{
		Seeds: seeds,
		Only:  topics,
		Open: func(t testing.TB) store.Store {
			at := folder(t)
			return &moving{open(t, at), at}
		},
		Reopen: func(t testing.TB, s store.Store) store.Store {
			was := s.(*moving)
			if err := was.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			to := folder(t)
			if was.at.dir != "" {
				to = database(t)
			}
			mustCopy(t, was.at, to)
			return &moving{open(t, to), to}
		},
	}
}
