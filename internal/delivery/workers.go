package delivery

// idleMost bounds the workers that wait for a call.
const idleMost = 128

// workers are the goroutines that make calls. One that has none to make waits for the
// next: a new one would grow its stack to the depth of an exchange each time.
type workers struct {
	idle   []chan *call // to those that wait, who waits longest first
	unused int          // of them, since somebody was dismissed last
}

// park has a worker wait at next; where it is not needed, or stop says so, that is closed.
func (w *workers) park(next chan *call, stop bool) {
	if stop || len(w.idle) >= idleMost {
		close(next)
		return
	}
	w.idle = append(w.idle, next)
}

// take returns where to send a call: to who waits since last, whose stack is warm. nil:
// nobody waits.
func (w *workers) take() chan *call {
	n := len(w.idle) - 1
	w.unused = min(w.unused, max(n, 0))
	if n < 0 {
		return nil
	}
	next := w.idle[n]
	w.idle[n] = nil
	w.idle = w.idle[:n]
	return next
}

// dismiss ends the n workers that wait longest.
func (w *workers) dismiss(n int) {
	for _, next := range w.idle[:n] {
		close(next)
	}
	w.idle = append(w.idle[:0], w.idle[n:]...)
	clear(w.idle[len(w.idle):cap(w.idle)])
	w.unused = len(w.idle)
}
