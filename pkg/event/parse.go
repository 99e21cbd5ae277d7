package event

// ParseError says why a body is not an event. Code is stable: invalid_json,
// missing_type or duplicate_key; Message says where and what to do.
type ParseError struct{ Code, Message string }

func (e *ParseError) Error() string { return e.Message }

// Parse reads the envelope of body in one pass. The error is a *ParseError.
func Parse(body []byte) (Envelope, error) { panic("being written") }
