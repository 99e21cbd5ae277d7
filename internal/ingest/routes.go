package ingest

// Routes says who exists and where events go. It is immutable; a reload swaps it whole.
type Routes struct {
	Developers map[string]*Developer
}

// Developer is what Accept needs of one developer.
type Developer struct {
	ID           string
	Destinations []Route  // those in the settings, disabled ones too
	All          []uint32 // every destination ever registered, for limits on what is pending
}

// Route is one destination that may match.
type Route struct {
	ID      uint32
	Matches func(typ string) bool
}

// routes is Routes with what Accept keeps per developer.
type routes struct {
	developers map[string]*developer
}

type developer struct {
	*Developer
	bucket *Bucket
}

// SetRoutes swaps the routes for requests that begin from now on. A developer who stays keeps
// what is left of their rate, so that a reload gives no tokens away. A developer whose pointer
// is the same costs next to nothing.
func (in *Ingest) SetRoutes(r *Routes) {
	in.swap.Lock()
	defer in.swap.Unlock()
	old := in.routes.Load()
	next := &routes{developers: make(map[string]*developer, len(r.Developers))}
	for id, d := range r.Developers {
		var dev *developer
		if old != nil {
			dev = old.developers[id]
		}
		switch {
		case dev == nil:
			dev = &developer{d, NewBucket(in.limits.Rate, in.limits.Daemons)}
		case dev.Developer != d:
			dev = &developer{d, dev.bucket}
		}
		next.developers[id] = dev
	}
	in.routes.Store(next)
}

// Knows tells whether the settings have that developer.
func (in *Ingest) Knows(developer string) bool {
	routes := in.routes.Load()
	return routes != nil && routes.developers[developer] != nil
}

// match returns the destinations that want events of that type.
func (d *Developer) match(typ string) []uint32 {
	if len(d.Destinations) == 0 {
		return nil
	}
	to := make([]uint32, 0, len(d.Destinations))
	for i := range d.Destinations {
		if d.Destinations[i].Matches(typ) {
			to = append(to, d.Destinations[i].ID)
		}
	}
	return to
}

// wanted tells whether the destination is in the settings and wants events of that type.
func (d *Developer) wanted(id uint32, typ string) bool {
	for i := range d.Destinations {
		if d.Destinations[i].ID == id {
			return d.Destinations[i].Matches(typ)
		}
	}
	return false
}
