package config

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

// Fault is one thing that is wrong in a file of settings.
type Fault = strictyaml.Fault

// Faults is an error of all that is wrong, one line each: file:line: message.
type Faults = strictyaml.Faults

// binder reads a part of a file, and judges what goes beyond the types of its values.
type binder struct {
	*strictyaml.Binder
	root *yaml.Node // what paths begin at
}

func newBinder(doc *strictyaml.Document, root *yaml.Node, prefix string) *binder {
	return &binder{strictyaml.NewBinder(doc, root, prefix), root}
}

// between adds a fault unless a duration lies in low..high.
func (b *binder) between(path string, d, low, high time.Duration) {
	if (d < low || d > high) && b.OK(path) {
		b.At(path, "must be from %s to %s", short(low), short(high))
	}
}

// short writes 168h rather than 168h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
