package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/seed-51f8da91/fantail/internal/strictyaml"
)

// maxSecret is the most that a file named by a reference may hold.
const maxSecret = 64 << 10

var (
	errTooLarge   = errors.New("is too large")
	errNotRegular = errors.New("is not a regular file")
)

// readFile reads a regular file of at most limit bytes. It never blocks on a pipe or a device.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, bare(err)
	}
	return readAll(f, limit)
}

func readAll(f *os.File, limit int64) ([]byte, error) {
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	var b bytes.Buffer
	b.Grow(int(min(info.Size(), limit)) + bytes.MinRead) // read at once
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, bare(err)
	}
	if int64(b.Len()) > limit {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

// bare takes the path out of an error: the message names it already, relative to the settings.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// operatorLookup resolves the references of fantail.yaml: any variable, and
// any file, relative to the folder of fantail.yaml.
func operatorLookup(dir string) strictyaml.Lookup {
	return func(r strictyaml.Reference) ([]byte, error) {
		if r.Scheme == "env" {
			return readEnv(r.Name)
		}
		return secretText(r, func() ([]byte, error) { return readFile(absolute(dir, r.Name), maxSecret) })
	}
}

// permit is nil for a reference that the developer's file may have. file is the file in their
// folder that it names, "" for a variable. It reads nothing.
func (n namesakes) permit(developer string, r strictyaml.Reference) (file string, err error) {
	if r.Scheme == "env" {
		return "", n.allow(developer, r.Name)
	}
	file, ok := strings.CutPrefix(r.Name, secretsOf(developer)+"/")
	if !ok || !filepath.IsLocal(file) {
		return "", fmt.Errorf("file %s is not this developer's: a developer's file may name only files under %s/", r.Name, secretsOf(developer))
	}
	return file, nil
}

// secretsOf is the folder of a developer's secrets, beside fantail.yaml.
func secretsOf(developer string) string { return "secrets/" + developer }

// readInside reads a file that lies in dir; symbolic links out of it are refused.
func readInside(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, bare(err)
	}
	defer root.Close() //nolint:errcheck // nothing was written
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, bare(err)
	}
	return readAll(f, maxSecret)
}

// secretText reads the file a reference names, without the newline that editors and echo leave at its end.
func secretText(r strictyaml.Reference, read func() ([]byte, error)) ([]byte, error) {
	b, err := read()
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", r.Name, err)
	}
	if inUTF16(b) {
		return nil, fmt.Errorf("file %s is UTF-16: save it as UTF-8", r.Name)
	}
	if line, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		b = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("file %s is empty", r.Name)
	}
	return b, nil
}

// inUTF16 tells whether b is a text of ASCII in UTF-16, with a byte order mark or
// without one, as PowerShell writes it: every other byte is zero.
func inUTF16(b []byte) bool {
	text := bytes.TrimPrefix(bytes.TrimPrefix(b, []byte{0xff, 0xfe}), []byte{0xfe, 0xff})
	return len(text) > 0 && 2*bytes.Count(text, []byte{0}) >= len(text)
}

func readEnv(name string) ([]byte, error) {
	v, ok := os.LookupEnv(name)
	if !ok {
		return nil, fmt.Errorf("environment variable %s is not set", name)
	}
	if v == "" {
		return nil, fmt.Errorf("environment variable %s is empty", name)
	}
	return []byte(v), nil
}

// absolute returns path, starting at dir unless it is absolute.
func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
