package objectkey

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/seed-51f8da91/fantail/pkg/event"
)

// The values of the settings stale and content.
const (
	StaleOverwrite = "overwrite"
	StaleFail      = "fail"
	ContentEvent   = "event"
	ContentItem    = "item"
)

// Settings are the settings that kinds of object storage share; embed them with
// yaml:",inline".
type Settings struct {
	// Layout is the key of an object, with these variables:
	//
	//	{version}       of the event; else DefaultVersion
	//	{type}          of the event
	//	{user_id}       of the event
	//	{start}         of the period, where the event is data and it can be read; else {generated}
	//	{generated}     creation_timestamp or occurred_at of the event, else its ordering time
	//	{id}            of the payload: the event's id, and the item's index if the event has several
	//	{summary_id}    of the item; else {id}
	//	{provider}      of the user
	//	{reference_id}  of the user
	//
	// A variable without a value goes together with a - or _ right behind it, and
	// a folder without a name is left out.
	Layout         string `yaml:"layout"`
	DefaultVersion string `yaml:"default_version"` // of events without a version; none by default

	// Content is "event", an item with the event around it, or "item", the item
	// with the event's user in it.
	Content string `yaml:"content"`
	Gzip    bool   `yaml:"gzip"` // stored compressed, as Content-Encoding says
	// Stale says what happens where it cannot be seen, or not on a condition,
	// whether what lies under an object's own key is older: "overwrite" or "fail".
	Stale string `yaml:"stale"`
}

// Defaults returns the settings that reproduce the contract.
func Defaults() Settings {
	return Settings{Layout: DefaultLayout, Content: ContentEvent, Stale: StaleOverwrite}
}

// Validate reports every fault at once, joined, each beginning with the path of
// its setting.
func (s Settings) Validate() error {
	_, err := s.Compile()
	faults := []error{err}
	choice := func(path, value string, of ...string) {
		for _, v := range of {
			if v == value {
				return
			}
		}
		faults = append(faults, fmt.Errorf("%s: must be %s", path, strings.Join(of, " or ")))
	}
	choice("content", s.Content, ContentEvent, ContentItem)
	choice("stale", s.Stale, StaleOverwrite, StaleFail)
	return errors.Join(faults...)
}

// Strict tells whether nothing may be replaced that cannot be judged.
func (s Settings) Strict() bool { return s.Stale == StaleFail }

// Folder is the part of the layout that all keys have, with a slash at its end;
// "" if they have none in common.
func (s Settings) Folder() string {
	fixed, _, _ := strings.Cut(s.Layout, "{")
	return fixed[:strings.LastIndexByte(fixed, '/')+1]
}

// Objects yields what is stored of e: one object for each payload.
func (l *Layout) Objects(c *event.Catalogue, e *event.Event) iter.Seq[Object] {
	return func(yield func(Object) bool) {
		names := l.Of(e)
		for p := range c.Payloads(e) {
			if l.items {
				if item, ok := c.Item(e, p); ok {
					p.Body = item
				}
			}
			if !yield(names.Object(p)) {
				return
			}
		}
	}
}
