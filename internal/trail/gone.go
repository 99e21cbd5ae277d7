package trail

import (
	"sync"
	"time"

	"github.com/seed-51f8da91/fantail/internal/store"
)

const (
	// goneFor is how long names are looked for in acts after an erasure: whoever began
	// before it, and gave the name as their reason, may end after it.
	goneFor = time.Hour
	// mostGone bounds how many names are looked for; the oldest go first.
	mostGone = 1000
)

// gone are users who were erased a short time ago. It is held for reading while acts are
// written.
type gone struct {
	sync.RWMutex
	users []erased // the oldest first
}

type erased struct {
	developer, user string
	at              time.Time
}

// takeOut takes the names of the erased out of an act, as the store does with those it has.
func (g *gone) takeOut(a *store.Act, now time.Time) {
	if a.Object == "" && a.Reason == "" {
		return
	}
	for i := range g.users {
		e := &g.users[i]
		if (a.Developer == "" || a.Developer == e.developer) && now.Sub(e.at) < goneFor {
			a.Forget(e.user)
		}
	}
}

// Forget keeps the name of a user out of acts that are not written yet, and out of those
// of calls that run now. It goes before an erasure: acts that were written before it
// returns are there for the store to erase.
func (t *Trail) Forget(developer, user string) {
	now := time.Now()
	t.gone.Lock()
	defer t.gone.Unlock()
	t.gone.users = append(t.gone.users, erased{developer, user, now})
	past := 0
	for past < len(t.gone.users) && (len(t.gone.users)-past > mostGone || now.Sub(t.gone.users[past].at) >= goneFor) {
		past++
	}
	t.gone.users = append([]erased(nil), t.gone.users[past:]...)
}
