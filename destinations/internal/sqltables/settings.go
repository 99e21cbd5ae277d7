package sqltables

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-51f8da91/fantail/destinations/internal/ownbucket"
	"github.com/seed-51f8da91/fantail/pkg/destination"
)

// The values of content.
const (
	ContentEvent = "event"
	ContentItem  = "item"
)

// Settings are those of every kind that writes these tables.
type Settings struct {
	// LinkTTL is how long links live, in whole seconds, unless the credentials
	// that sign them end sooner.
	LinkTTL time.Duration `yaml:"link_ttl"`
	// Content is "event", an item with the event around it, or "item", the item
	// with the event's user in it.
	Content  string             `yaml:"content"`
	Payloads ownbucket.Settings `yaml:"payloads"`
}

// Defaults are the settings that a destination leaves out.
func Defaults() Settings { return Settings{LinkTTL: destination.MaxLinkTTL, Content: ContentEvent} }

// Validate reports every fault at once, joined, each beginning with the path of
// its setting.
func (s Settings) Validate() error {
	faults := []error{s.Payloads.Validate()}
	if err := destination.ValidateLinkTTL(s.LinkTTL); err != nil {
		faults = append(faults, fmt.Errorf("link_ttl: %w", err))
	}
	if s.Content != ContentEvent && s.Content != ContentItem {
		faults = append(faults, errors.New("content: must be event or item"))
	}
	return errors.Join(faults...)
}
