package sqltables

import "iter"

// Column is a column of a table. How its type is written is the database's
// affair.
type Column struct {
	Name string
	Type Type
	Null bool
}

// Type is what a column holds.
type Type int

const (
	Text      Type = iota
	UserID         // VARCHAR(36), compared byte for byte
	State          // VARCHAR(20)
	PayloadID      // short ASCII, compared byte for byte
	Mark           // a mark: ASCII of one width, compared byte for byte
)

// Table is a table that consumers read. The first column is its key.
type Table struct {
	Name    string
	Columns []Column
}

// Tables are the three tables of a brand.
type Tables struct{ Users, Data, Other Table }

// Of returns the tables of a brand. The columns besides key and marks are those
// that existing consumers rely on; further ones of a table are left alone.
func Of(brand string) Tables {
	userID, created := Column{Name: "user_id", Type: UserID}, Column{Name: "created_at"}
	id, url := Column{Name: "payload_id", Type: PayloadID}, Column{Name: "payload_url"}
	null := func(name string, t Type) Column { return Column{name, t, true} }
	return Tables{
		Users: Table{brand + "_users", []Column{
			userID, null("reference_id", Text), created, null("granted_scopes", Text), {Name: "provider"}, null("state", State),
			null("updated_at", Mark), null("reference_id_at", Mark), null("granted_scopes_at", Mark), null("provider_at", Mark), null("state_at", Mark),
		}},
		Data: Table{brand + "_data_payloads", []Column{
			id, userID, {Name: "data_type"}, created, url, null("start_time", Text), null("end_time", Text),
		}},
		Other: Table{brand + "_other_payloads", []Column{
			id, userID, null("data_type", Text), null("payload_type", Text), created, url,
		}},
	}
}

// All returns the tables in the order in which they are written.
func (t Tables) All() []Table { return []Table{t.Users, t.Data, t.Other} }

// Key is the column that identifies a row.
func (t Table) Key() Column { return t.Columns[0] }

// Names are those of all columns.
func (t Table) Names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// Guards are the columns of users that events change, with the columns that hold
// the marks of the events that changed them last, in a fixed order.
func Guards() iter.Seq2[string, string] {
	return func(yield func(column, mark string) bool) {
		for _, column := range []string{"reference_id", "granted_scopes", "provider", "state"} {
			if !yield(column, column+"_at") {
				return
			}
		}
	}
}

// Values returns the columns of u in the order of the table; nil is NULL.
func (u User) Values() []*string {
	state := u.State
	if state.At == "" {
		state.Value = active
	}
	return []*string{
		&u.ID, null(u.Reference.Value), &u.CreatedAt, null(u.Scopes.Value), &u.Provider.Value, &state.Value,
		&u.UpdatedAt, null(u.Reference.At), null(u.Scopes.At), null(u.Provider.At), null(state.At),
	}
}

// DataValues returns the columns of p in the order of the table of data.
func (p Payload) DataValues() []*string {
	return []*string{&p.ID, &p.UserID, &p.Type, &p.CreatedAt, &p.URL, null(p.Start), null(p.End)}
}

// OtherValues returns the columns of p in the order of the table of the others.
func (p Payload) OtherValues() []*string {
	return []*string{&p.ID, &p.UserID, nil, &p.Type, &p.CreatedAt, &p.URL}
}

func null(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
