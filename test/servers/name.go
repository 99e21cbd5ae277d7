package servers

import (
	"crypto/rand"
	"strings"
)

// Name returns a new name that fits databases, buckets and queues.
func Name() string { return "fantail-" + strings.ToLower(rand.Text()[:16]) }
