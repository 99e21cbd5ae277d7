package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

const idSize = 8

// derive makes one key for each use of text, so that no two uses share one. The infos are part of
// the stored format: with another info, what is sealed can no longer be opened.
func derive(text string) (*key, error) {
	k := &key{}
	id, err := expand(text, "fantail key id v1", idSize)
	if err != nil {
		return nil, err
	}
	copy(k.id[:], id)
	print, err := expand(text, "fantail fingerprint v1", sha256.Size)
	if err != nil {
		return nil, err
	}
	k.print = &print
	sign, err := expand(text, "fantail sign v1", sha256.Size)
	if err != nil {
		return nil, err
	}
	k.sign = &sign
	seal, err := expand(text, "fantail seal v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	if k.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return k, nil
}

func expand(text, info string, size int) ([]byte, error) {
	out, err := hkdf.Key(sha256.New, []byte(text), nil, info, size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return out, nil
}
