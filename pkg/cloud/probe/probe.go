// Package probe is the object that checks of buckets write, read back and remove,
// the same in every cloud.
package probe

// Name is its name, below the folder of all keys. No delivery has it: those have a
// time or an id.
const Name = "fantail-check.json"

// body is what it holds. Its form must not change: a check that may not remove it
// leaves it to the next one.
const body = `{"about":"Fantail checks whether it may store objects here. This one may be removed."}` + "\n"

// Body returns what it holds.
func Body() []byte { return []byte(body) }

// Is tells whether an object is the probe.
func Is(read []byte) bool { return string(read) == body }
