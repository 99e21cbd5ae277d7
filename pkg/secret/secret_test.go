package secret_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/seed-51f8da91/fantail/pkg/secret"
)

const hunter = "hunter2"

func TestValueShowsNowhere(t *testing.T) {
	var c struct {
		S secret.Value  `yaml:"s"`
		P *secret.Value `yaml:"p"`
	}
	if err := yaml.Load([]byte("{s: hunter2, p: hunter2}"), &c); err != nil || c.S.Reveal() != hunter || c.P.Reveal() != hunter {
		t.Fatal(err, c.S.Reveal())
	}
	inner := struct {
		s secret.Value
		p *secret.Value
		m map[string]secret.Value
		l []secret.Value
	}{c.S, c.P, map[string]secret.Value{"k": c.S}, []secret.Value{c.S}}
	things := []any{c, &c, inner, &inner, c.S, c.P, &c.P, inner.m, inner.l, struct{ A any }{c.S}, [1]secret.Value{c.S}}
	var out strings.Builder
	for _, x := range things {
		for _, verb := range "vsqxXdtbcoOUeEfFgGpT" {
			for _, flag := range []string{"", "+", "#", "-", " ", "0", "9", ".2"} {
				if verb != 'p' {
					fmt.Fprintf(&out, "%"+flag+string(verb)+"\n", x)
				}
			}
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "x", x)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "x", x)
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal, xml.Marshal} {
			if b, err := marshal(x); err == nil { // xml refuses maps
				out.Write(b)
			}
		}
		fmt.Fprintln(&out, fmt.Errorf("wrapped: %v", x), errors.New(fmt.Sprint(x)))
	}
	for _, shown := range []string{hunter, "68756e74657232", "68756E74657232", "hu", "104 117", `h\u`, "0x68"} {
		if i := strings.Index(out.String(), shown); i >= 0 {
			t.Errorf("%q shows: %s", shown, out.String()[max(0, i-200):i+20])
		}
	}
	for _, printed := range []string{fmt.Sprint(c.S), c.S.String(), c.S.GoString(), fmt.Sprintf("%s", c.S), fmt.Sprintf("%#v", c.S)} {
		if printed != secret.Redacted {
			t.Error(printed)
		}
	}
}

func TestValueMarshalsAsRedacted(t *testing.T) {
	v := struct {
		S secret.Value `json:"s" yaml:"s"`
	}{secret.New(hunter)}
	j, err := json.Marshal(v)
	if err != nil || string(j) != `{"s":"[redacted]"}` {
		t.Errorf("%s %v", j, err)
	}
	y, err := yaml.Marshal(v)
	if err != nil || strings.TrimSpace(string(y)) != `s: '[redacted]'` {
		t.Errorf("%s %v", y, err)
	}
}

// Printers that go through unexported fields by reflection find a pointer: the
// text is never a field of the struct itself.
func TestValueHoldsItsTextBehindAPointer(t *testing.T) {
	typ := reflect.TypeFor[secret.Value]()
	for i := range typ.NumField() {
		if f := typ.Field(i); f.IsExported() || f.Type.Kind() != reflect.Pointer || f.Type.Elem().Kind() == reflect.Struct {
			t.Errorf("field %s %s", f.Name, f.Type)
		}
	}
}

func TestValueReveals(t *testing.T) {
	var zero secret.Value
	var read secret.Value
	if err := read.UnmarshalText([]byte(hunter)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		v    secret.Value
		text string
	}{{zero, ""}, {secret.New(""), ""}, {secret.New(hunter), hunter}, {read, hunter}} {
		if tt.v.Reveal() != tt.text || tt.v.IsZero() != (tt.text == "") || tt.v.String() != secret.Redacted {
			t.Errorf("%q %t %s", tt.v.Reveal(), tt.v.IsZero(), tt.v)
		}
	}
	b := []byte(hunter)
	if err := read.UnmarshalText(b); err != nil {
		t.Fatal(err)
	}
	b[0] = 'X'
	if read.Reveal() != hunter {
		t.Error("the text is shared with what it was read from")
	}
}
