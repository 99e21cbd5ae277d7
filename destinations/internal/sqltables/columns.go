package sqltables

import (
	"fmt"
	"slices"
	"strings"
)

// Holds is what a column can hold.
type Holds int

const (
	HoldsText   Holds = iota // any text, or of at most Existing.Length characters
	HoldsChoice              // texts of a list, such as MySQL's ENUM
	HoldsTime                // a date, a time or both, with a zone or without
	HoldsUUID
	HoldsNumber
	HoldsOther // anything else: JSON, arrays, bytes, types of others
)

// Existing is a column of a table as the database has it.
type Existing struct {
	Name      string // as our tables write it: where names of columns know no case, in lower case
	Type      string // as the database writes it, for texts
	Holds     Holds
	Length    int    // of HoldsText: the most characters; 0: as many as there may be
	NotNull   bool   // refuses NULL
	Default   bool   // has a value for rows that name none: a default, an identity, a count, an expression
	Generated bool   // takes no value of ours
	Merges    string // the collation, or what else it is, in which different texts are equal; "": none are
	Charset   string // the character set, where it lacks characters of Unicode; "": it lacks none
}

// Remedy is what ends a misfit. How it is written is the database's affair.
type Remedy int

const (
	Retype     Remedy = iota // give Misfit.Column the type of Column.Type
	AllowNull                // let Misfit.Column take NULL
	AddDefault               // give Misfit.Column, which is none of ours, a default, or let it take NULL
	Ungenerate               // make Misfit.Column an ordinary column
	Exact                    // compare Misfit.Column byte for byte
	Unicode                  // give Misfit.Column a character set with all of Unicode
)

// Misfit is a column that cannot hold what we write, or not all of it.
type Misfit struct {
	Table    string
	Column   Column // as we would have it; of columns of others the name alone
	Existing Existing
	Remedy   Remedy
	// Sure tells that deliveries are refused, or rows of others are changed. If
	// not, some are or may be: a check remarks upon it, and when such a column
	// refuses a delivery, the table is at fault and not the event.
	Sure bool
	Text string // what is wrong, beginning with the name of the column
}

// need is what a column has to hold.
type need struct {
	// Below least characters some of what every developer gets does not fit. From
	// most on, what does not fit is an event unlike all others, and is its fault.
	least, most int
	free        bool // any character may come, as events have it
	ours        bool // the text is ours and no event's
	null        bool // NULL is written
}

const (
	// minLink is less than any presigned link has, maxLink more: SigV4 alone takes
	// 260 characters, and a session's token some 2,000.
	minLink, maxLink = 300, 4096
	// maxType is longer than types of events are.
	maxType = 64
)

var (
	mark  = need{least: 64, most: 64, ours: true, null: true} // Place.Stamp
	times = need{least: 25, most: 32, free: true, null: true} // 2026-07-01T09:12:33+02:00, with six digits more
)

// needs are those of our columns.
var needs = map[string]need{
	"user_id":        {least: maxUserID, most: maxUserID, free: true},
	"reference_id":   {free: true, null: true},
	"granted_scopes": {free: true, null: true},
	"provider":       {free: true},
	"start_time":     times, "end_time": times,

	"payload_id":   {least: 42, most: 42, ours: true}, // a UUID, and -19999
	"payload_url":  {least: minLink, most: maxLink, ours: true},
	"data_type":    {least: 20, most: maxType, free: true, ours: true, null: true}, // lab_report.completed; NULL in the table of the others
	"payload_type": {least: 24, most: maxType, free: true, ours: true},             // large_request_processing
	"created_at":   {least: len(Moment), most: len(Moment), ours: true},
	"state":        {least: 16, most: 16, ours: true}, // connection_error
	"updated_at":   {least: 64, most: 64, ours: true},
	"state_at":     mark, "reference_id_at": mark, "granted_scopes_at": mark, "provider_at": mark,
}

// Ours tells whether what is written to a column is ours, and the same or alike
// for all events: who refuses it refuses every event. The others hold what an
// event says, or are none of our columns.
func Ours(column string) bool { return needs[column].ours }

// HoldsEvents tells whether one of columns holds what an event says. A rule about such
// a column may refuse one event and take another; a rule about others alone, ours or
// those of the customer, refuses every event.
func (t Table) HoldsEvents(columns []string) bool {
	return slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(t.Names(), c) && !Ours(c) })
}

// Misfits holds the columns that a table has against what we write. Columns that
// are missing are no misfits. Each column has one at most, the worst.
func (t Table) Misfits(existing []Existing) (all []Misfit) {
	for _, e := range existing {
		i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == e.Name })
		m, ok := Misfit{Table: t.Name, Column: Column{Name: e.Name}, Existing: e}, false
		if i >= 0 {
			m.Column = t.Columns[i]
			ok = m.judge(i == 0)
		} else if e.NotNull && !e.Default && !e.Generated {
			m.Remedy, m.Sure, ok = AddDefault, true, true
			m.Text = e.Name + " is yours, takes no NULL and has no default"
		}
		if ok {
			all = append(all, m)
		}
	}
	return all
}

// Advice words misfits, and ends with the SQL to run: that of each by alter, with
// "; " between statements. It is "" for none.
func Advice(all []Misfit, alter func(Misfit) string) string {
	if len(all) == 0 {
		return ""
	}
	var text, sql []string
	for i, m := range all {
		said := m.Text
		if i == 0 || all[i-1].Table != m.Table {
			said = "in " + m.Table + " " + said
		}
		text = append(text, said)
		if s := alter(m); !slices.Contains(sql, s) {
			sql = append(sql, s)
		}
	}
	return strings.Join(text, ", ") + ": run: " + strings.Join(sql, "; ")
}

// Null tells whether NULL is written to the column.
func (m Misfit) Null() bool { return m.Column.Null && needs[m.Column.Name].null }

// judge finds out what is wrong with a column of ours, if anything is.
func (m *Misfit) judge(key bool) bool {
	e, n := m.Existing, needs[m.Column.Name]
	is := func(r Remedy, sure bool, format string, args ...any) bool {
		m.Remedy, m.Sure, m.Text = r, sure, e.Name+" "+fmt.Sprintf(format, args...)
		return true
	}
	switch {
	case e.Generated:
		return is(Ungenerate, true, "is generated and takes no value of ours")
	case e.Holds == HoldsChoice:
		return is(Retype, false, "is %s and takes the texts of its list alone", e.Type)
	case e.Holds != HoldsText:
		return is(Retype, true, "is %s and holds no text", e.Type)
	case e.Length > 0 && e.Length < n.least:
		return is(Retype, true, "is %s: it has to hold %d characters at least", e.Type, n.most)
	case key && m.Column.Type == UserID && e.Merges != "": // a payload_id is hexadecimal, of one case
		return is(Exact, true, "takes different users for one (%s)", e.Merges)
	case e.NotNull && m.Null():
		return is(AllowNull, true, "takes no NULL, which many events have there")
	case e.Length > 0 && e.Length < n.most:
		return is(Retype, false, "is %s: it may have to hold %d characters", e.Type, n.most)
	case e.Charset != "" && n.free:
		return is(Unicode, false, "has the character set %s, which lacks most of the characters that an event may have", e.Charset)
	}
	return false
}
