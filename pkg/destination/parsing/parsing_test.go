package parsing

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAllDestinationsShareTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		was := budget
		defer func() { budget = was }()
		budget = newBudget()
		var now, most atomic.Int64
		for range 60 {
			go func() {
				end, err := Begin(t.Context(), MaxAnswer)
				if err != nil {
					t.Error(err)
					return
				}
				most.Store(max(most.Load(), now.Add(MaxAnswer)))
				time.Sleep(time.Second)
				now.Add(-MaxAnswer)
				end()
				end() // gives back nothing more
			}()
		}
		began := time.Now()
		synctest.Wait()
		time.Sleep(time.Minute)
		if most.Load() != work || now.Load() != 0 {
			t.Errorf("%d bytes at a time after %v, want %d", most.Load(), time.Since(began), work)
		}
		end, err := Begin(t.Context(), 10*work) // more than there is: alone
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Begin(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beside it: %v", err)
		}
		end()
		var v struct{ A int }
		if err := JSON([]byte(`{"a":1}`), &v); err != nil || v.A != 1 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

func TestAnAnswerIsReadSoFar(t *testing.T) {
	text, err := Read(io.MultiReader(strings.NewReader("x"), endless{}))
	if err != nil || len(text) != MaxAnswer {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
