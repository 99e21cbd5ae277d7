package event

import "strings"

// User is a user object of a body; "" where a text is null or missing.
type User struct{ ID, Reference, Scopes, Provider string }

// Users are the user objects of a body; those that are missing have no ID.
type Users struct {
	User, Old, New User
	// Succeeded is the top-level status of an auth event: neither "error" nor
	// "failed", in any case of letters.
	Succeeded bool
}

// Subject is the user that the event is about, the one whose id the envelope
// has: User, else New, else Old; the first that has an ID.
func (u Users) Subject() User {
	for _, user := range [...]User{u.User, u.New, u.Old} {
		if user.ID != "" {
			return user
		}
	}
	return User{}
}

// Users reads the user objects of e in one pass over the body.
func (e *Event) Users() Users {
	var p paths
	status := p.add("status")
	member := func(user string) (slots [4]int) {
		for i, name := range [...]string{"user_id", "reference_id", "scopes", "provider"} {
			slots[i] = p.add(user, name)
		}
		return slots
	}
	user, old, fresh := member("user"), member("old_user"), member("new_user")
	s := scanner{b: e.Body}
	found, ok := s.body(&p)
	if !ok {
		return Users{}
	}
	read := func(slots [4]int) (u User) {
		for i, into := range [...]*string{&u.ID, &u.Reference, &u.Scopes, &u.Provider} {
			if v := found[slots[i]]; v.kind == text {
				*into = s.text(v)
			}
		}
		return u
	}
	state := s.plain(found[status])
	return Users{
		User: read(user), Old: read(old), New: read(fresh),
		Succeeded: !strings.EqualFold(state, "error") && !strings.EqualFold(state, "failed"),
	}
}
