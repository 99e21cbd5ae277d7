package destination

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestClassOf(t *testing.T) {
	cause := errors.New("answered 400")
	for _, c := range []struct {
		name  string
		err   error
		class Class
		wait  time.Duration
	}{
		{"nothing", nil, Transient, 0},
		{"unclassified", cause, Transient, 0},
		{"timeout", context.DeadlineExceeded, Transient, 0},
		{"engine", fmt.Errorf("read payload: %w", ErrEngine), Transient, 0},
		{"rejected", Reject(cause), Rejected, 0},
		{"misconfigured", Misconfigure(cause), Misconfigured, 0},
		{"throttled", Throttle(cause, time.Minute), Throttled, time.Minute},
		{"throttled without a wait", Throttle(cause, 0), Throttled, 0},
		{"throttled with a negative wait", Throttle(cause, -time.Minute), Throttled, 0},
		{"throttled for a day", Throttle(cause, 24*time.Hour), Throttled, 24 * time.Hour},
		{"throttled for longer than can be meant", Throttle(cause, 24*time.Hour+1), Throttled, 0},
		{"wait of another class", &Fault{Rejected, time.Minute, cause}, Rejected, 0},
		{"explicitly transient", &Fault{Err: cause}, Transient, 0},
		{"wrapped", fmt.Errorf("put object: %w", Reject(cause)), Rejected, 0},
		{"wrapped twice", fmt.Errorf("send: %w", fmt.Errorf("put object: %w", Misconfigure(cause))), Misconfigured, 0},
		{"joined", errors.Join(cause, Reject(cause)), Rejected, 0},
		{"the outer fault counts", Misconfigure(Reject(cause)), Misconfigured, 0},
		{"no such class", &Fault{Class: 99, Err: cause}, Transient, 0},
		{"negative class", &Fault{Class: -1, Err: cause}, Transient, 0},
		{"nil fault", (*Fault)(nil), Transient, 0},
		{"fault without a reason", &Fault{Class: Rejected}, Rejected, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if class, wait := ClassOf(c.err); class != c.class || wait != c.wait {
				t.Errorf("%v, %v; want %v, %v", class, wait, c.class, c.wait)
			}
			if c.err != nil && c.err.Error() == "" {
				t.Error("the error says nothing")
			}
		})
	}
}

func TestFaultIsItsCause(t *testing.T) {
	cause := errors.New("cause")
	for _, err := range []error{Reject(cause), Misconfigure(cause), Throttle(cause, time.Second)} {
		if !errors.Is(err, cause) || err.Error() != "cause" {
			t.Errorf("%#v hides its cause", err)
		}
	}
}

func TestClassHasALabel(t *testing.T) {
	for c, want := range map[Class]string{
		Transient: "transient", Throttled: "throttled", Rejected: "rejected", Misconfigured: "misconfigured",
		-1: "transient", 4: "transient", // as ClassOf has it
	} {
		if got := c.String(); got != want {
			t.Errorf("class %d is %q, want %q", int(c), got, want)
		}
	}
}
