package store

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Act is something that somebody did, or read: a row of the trail. All texts are
// short, and fit to store; whoever shows them makes them fit to show.
type Act struct {
	At        int64  // ns, whole milliseconds; as Note gave it
	By        string // name of the token; "local" without tokens or a daemon, "daemon", "signal", "" of a log-in that was refused
	Via       string // id of the portal link that it was done over; "": none
	From      string // where a refused log-in came from: a network, not an address
	Call      string // operationId of the API; "reload" of a signal; "start", "restore"; notice of the engine
	Developer string // whose it is; "": the whole daemon, or of several
	Object    string // what of them: name of a destination, id of a delivery, event, payload, replay or link
	Reason    string // why, as whoever did it says; of the engine, what it saw
	Result    string // "ok", or the code of the refusal
	State     string // of the destination that Object names, after the act; "": it has none, or goes on as before
	Count     int    // how many acts the row stands for; the others are like it but for Object and Reason
}

// Trail keeps who did what.
type Trail interface {
	// Note keeps acts, all of them or none; durable on return. At of each becomes now, or
	// that of the last act where now lies before it, whatever it was. Acts never run
	// backward. It works below the reserve of the disk, too: whoever makes room there
	// leaves a trail.
	Note(ctx context.Context, now time.Time, acts []Act) error
	// Acts lists acts newest first. A scan is bounded, as those of Log are.
	Acts(ctx context.Context, q ActQuery) (Page[Act], error)
}

// ActQuery selects acts. Zero fields select everything. Since is included, Until not.
type ActQuery struct {
	Developers []string // nil: all, and what is nobody's
	By         string
	Call       string
	Object     string
	States     bool // only what moved a destination to a state
	Since      time.Time
	Until      time.Time
	Limit      int // 1 to 1,000
	Cursor     string
}

// erasedReason stands for a reason that named somebody who is erased.
const erasedReason = "[erased]"

// Forget takes a user's name out of the act, and tells whether it was there. A name
// counts where it stands as a word: "ann" does not stand in "planning".
func (a *Act) Forget(user string) (changed bool) {
	if names(a.Object, user) {
		a.Object, changed = "", true
	}
	if names(a.Reason, user) {
		a.Reason, changed = erasedReason, true
	}
	return changed
}

// Lose takes out of the act whom an erasure is of, and tells whether that changed it: a
// user's name, or, of a whole developer, each reason, which may name any of their users.
func (a *Act) Lose(req Erasure) (changed bool) {
	switch {
	case a.Developer != "" && a.Developer != req.Developer:
		return false
	case !req.Whole:
		return a.Forget(req.User)
	case a.Developer == "" || a.Reason == "" || a.Reason == erasedReason:
		return false
	}
	a.Reason = erasedReason
	return true
}

// names tells whether user stands in text as a word, in letters of either case.
func names(text, user string) bool {
	text, user = strings.ToLower(text), strings.ToLower(user)
	if user == "" {
		return false
	}
	for at := 0; ; {
		i := strings.Index(text[at:], user)
		if i < 0 {
			return false
		}
		begin, end := at+i, at+i+len(user)
		before, _ := utf8.DecodeLastRuneInString(text[:begin])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !inWord(before) && !inWord(after) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[begin:])
		at = begin + size
	}
}

func inWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
