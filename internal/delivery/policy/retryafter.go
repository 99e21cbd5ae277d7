package policy

// RetryAfter is how long the far side of a lane asked to be left alone. A success
// ends it, and so does a person: what they test, retry, rebind or resume goes out
// at once, and what the far side answers to that counts from then on.
type RetryAfter struct {
	Until int64  // mono
	Why   string // the answer; fit to show
}

// Extend takes in what the far side asked for. Of several answers the longest wait
// counts: attempts beside each other end in any order.
func (r *RetryAfter) Extend(e *Ending, mono int64) {
	if until := mono + int64(e.After); until > r.Until {
		*r = RetryAfter{until, e.Fault}
	}
}
