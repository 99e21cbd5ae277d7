package sqs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/seed-51f8da91/fantail/pkg/destination"
	"github.com/seed-51f8da91/fantail/pkg/event"
)

// Limits of SQS, from "Amazon SQS message quotas".
const (
	maxMessage = 1 << 20 // bytes of a message, attributes included, and of all messages of a batch
	maxBatch   = 10
)

// inline tells whether an event is small and fixed in form, so that it goes into
// the queue itself; every other goes as a pointer.
func inline(e *event.Event) bool { return e.Type == "healthcheck" }

// pointer is the message in place of an event. Its members, their order
// included, are those that consumers know.
type pointer struct {
	Status      string  `json:"status"`
	Type        string  `json:"type"`
	URL         string  `json:"url"`
	ExpiresIn   int64   `json:"expires_in"` // seconds, at sending
	Reference   string  `json:"payload_reference"`
	UserID      *string `json:"user_id"`
	ReferenceID *string `json:"reference_id"`
}

// pointTo builds the pointer to e.
func pointTo(e *event.Event, url string, life time.Duration) string {
	user := e.Users().Subject()
	p := pointer{"success", "s3_payload", url, int64(life / time.Second), e.Reference, nullable(user.ID), nullable(user.Reference)}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the & of a URL stays one
	_ = enc.Encode(p)        // texts and a number always encode
	return unwanted.Replace(strings.TrimSuffix(out.String(), "\n"))
}

// unwanted escapes the two characters that JSON has and SQS refuses.
var unwanted = strings.NewReplacer("\ufffe", `\ufffe`, "\uffff", `\uffff`)

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// message is what one delivery becomes.
type message struct {
	at           int // place of the delivery in the batch
	body         string
	link         string // that body has, "" if none
	attributes   map[string]types.MessageAttributeValue
	group, dedup *string
}

// newMessage wraps body. A message that no queue would take is Rejected here,
// because in a batch it would spoil its neighbours.
func (s *sender) newMessage(at int, d destination.Delivery, body, link string) (*message, error) {
	m := &message{at: at, body: body, link: link, attributes: attributes(d)}
	if s.queue.fifo() {
		m.group, m.dedup = ordered(d)
	}
	switch size := m.size(); {
	case size > maxMessage:
		return nil, destination.Reject(fmt.Errorf("the message has %d bytes with its attributes, and SQS takes at most %d", size, maxMessage))
	case !utf8.ValidString(body):
		return nil, destination.Reject(errors.New("the message is not valid UTF-8, which SQS does not take"))
	}
	if i := strings.IndexFunc(body, forbidden); i >= 0 {
		r, _ := utf8.DecodeRuneInString(body[i:])
		return nil, destination.Reject(fmt.Errorf("the message has the character %U, which SQS does not take", r))
	}
	return m, nil
}

// attributes let consumers filter and recognise messages without opening them.
func attributes(d destination.Delivery) map[string]types.MessageAttributeValue {
	all := make(map[string]types.MessageAttributeValue, 4)
	for name, value := range map[string]string{"type": d.Event.Type, "dev-id": d.Event.Developer, "reference": d.Event.Reference, "trace-id": d.ID} {
		value = strings.Map(func(r rune) rune {
			if forbidden(r) {
				return utf8.RuneError
			}
			return r
		}, value)
		if value == "" { // an attribute without a value is refused
			continue
		}
		all[name] = types.MessageAttributeValue{DataType: &stringType, StringValue: &value}
	}
	return all
}

var stringType = "String"

// ordered returns the group and the deduplication id of FIFO queues: what is
// about one user stays in order, and a repeat within five minutes is dropped. What
// a person sends again is no repeat: it would be dropped and pass for delivered.
func ordered(d destination.Delivery) (group, dedup *string) {
	g := d.Event.UserID
	if g == "" {
		g = d.Event.Type
	}
	t := d.ID
	if d.Round > 0 { // no id of a delivery has a full stop
		t += "." + strconv.Itoa(d.Round)
	}
	g, t = fitting(g), fitting(t)
	return &g, &t
}

// idForm is what both ids may be: letters, digits and punctuation of ASCII.
var idForm = regexp.MustCompile(`^[!-~]{1,128}$`)

// fitting returns text, or its hash where SQS would refuse it.
func fitting(text string) string {
	if idForm.MatchString(text) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// size is what counts towards the limit.
func (m *message) size() int {
	n := len(m.body)
	for name, a := range m.attributes {
		n += len(name) + len(*a.DataType) + len(*a.StringValue)
	}
	return n
}

// own is what the message has beside its link, in bytes: the event's texts make it
// large.
func (m *message) own() int { return m.size() - len(m.link) }

// forbidden tells whether SQS takes no message with r: it wants the characters of
// XML 1.0.
func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\ufffe' || r == '\uffff'
}

// split parts messages so that each part is within the limits of one request.
func split(all []*message) (parts [][]*message) {
	begin, size := 0, 0
	for i, m := range all {
		n := m.size()
		if i > begin && (size+n > maxMessage || i-begin == maxBatch) {
			parts = append(parts, all[begin:i])
			begin, size = i, 0
		}
		size += n
	}
	if begin < len(all) {
		parts = append(parts, all[begin:])
	}
	return parts
}
