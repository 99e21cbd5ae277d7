// Package secret keeps credentials out of logs, dumps and error messages.
package secret

// Redacted is what a Value prints as.
const Redacted = "[redacted]"

// Value is a text that prints and marshals as [redacted]. The text sits behind
// a pointer so that even %+v of a struct with an unexported Value field, which
// fmt prints without calling methods, shows an address and not the text.
type Value struct{ text *string }

// New boxes text.
func New(text string) Value { return Value{&text} }

// Reveal returns the text. Call it where the credential is used, nowhere else.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// IsZero tells whether there is no text, or an empty one.
func (v Value) IsZero() bool { return v.text == nil || *v.text == "" }

func (v Value) String() string               { return Redacted }
func (v Value) GoString() string             { return Redacted }
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
func (v *Value) UnmarshalText(b []byte) error {
	*v = New(string(b))
	return nil
}
