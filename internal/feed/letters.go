package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
)

var _ DeadLetters = (*LetterFile)(nil)

// LetterFile holds dead letters, one a line.
type LetterFile struct {
	f  *os.File
	mu sync.Mutex
}

// OpenLetters opens or makes the file. A line that a crash has cut short is ended.
func OpenLetters(path string) (*LetterFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the file of dead letters: %w", err)
	}
	l := &LetterFile{f: f}
	if err := l.mend(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the file of dead letters: %w", err), f.Close())
	}
	return l, nil
}

func (l *LetterFile) mend() error {
	info, err := l.f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := l.f.ReadAt(last, info.Size()-1); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if last[0] != '\n' {
		_, err = l.f.Write([]byte{'\n'})
	}
	return err
}

// Put writes letters through to the disk.
func (l *LetterFile) Put(_ context.Context, letters [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []byte
	for _, letter := range letters {
		all = append(append(all, letter...), '\n')
	}
	_, err := l.f.Write(all)
	if err == nil {
		err = l.f.Sync()
	}
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) { // a pipe or /dev/null has no disk
		err = nil
	}
	if err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *LetterFile) Close() error { return l.f.Close() }
