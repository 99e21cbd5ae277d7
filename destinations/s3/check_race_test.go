package s3

import (
	"sync"
	"testing"
)

// TestChecksAtOnce: the daemon checks by itself while a person does, over one
// object. None takes the other's removal for a fault of the service.
func TestChecksAtOnce(t *testing.T) {
	b, _ := startQuirky(t, quirk{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				if err := b.Check(t.Context()); err != nil {
					t.Errorf("check: %v", err)
				}
			}
		})
	}
	all.Wait()
}
