package servers

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// PostgresMeta is the service behind /pg of a self-hosted Supabase.
type PostgresMeta struct {
	URL string // http://127.0.0.1:port, without authentication: Supabase has a gateway in front of it
}

const postgresMetaKey = "secret-of-postgres-meta"

var postgresMeta shared

// StartPostgresMeta returns postgres-meta.
func StartPostgresMeta(t testing.TB) PostgresMeta {
	t.Helper()
	if u := os.Getenv("FANTAIL_TEST_POSTGRES_META_URL"); u != "" {
		return PostgresMeta{strings.TrimSuffix(u, "/")}
	}
	return PostgresMeta{"http://" + postgresMeta.use(t, func(at port) (*process, error) {
		node, modules, err := node()
		if err != nil {
			return nil, err
		}
		dir, err := newDir("postgres-meta")
		if err != nil {
			return nil, err
		}
		return launch(command{
			name: "postgres-meta", path: node, args: []string{filepath.Join(modules, "..", "postgres-meta.mjs"), at.String()},
			env:  []string{"CRYPTO_KEY=" + postgresMetaKey},
			quit: syscall.SIGTERM, ready: answers("http://" + at.addr() + "/health"),
		}, dir)
	})}
}

// Use makes req a request about the database of dsn. postgres-meta takes the dsn encrypted, in a
// header. The key is that of FANTAIL_TEST_POSTGRES_META_KEY if it is set, else ours.
func (PostgresMeta) Use(req *http.Request, dsn string) {
	req.Header.Set("x-connection-encrypted", encryptOpenSSL(dsn, variable("FANTAIL_TEST_POSTGRES_META_KEY", postgresMetaKey)))
}

// encryptOpenSSL encrypts as `openssl enc -aes-256-cbc -md md5 -a` and crypto-js
// do with a passphrase.
func encryptOpenSSL(text, passphrase string) string {
	salt := make([]byte, 8)
	rand.Read(salt)
	var derived, last []byte
	for len(derived) < 32+aes.BlockSize {
		sum := md5.Sum([]byte(string(last) + passphrase + string(salt)))
		last = sum[:]
		derived = append(derived, last...)
	}
	pad := aes.BlockSize - len(text)%aes.BlockSize
	data := []byte(text + strings.Repeat(string(rune(pad)), pad))
	block, err := aes.NewCipher(derived[:32])
	if err != nil {
		panic(err) // the length of the key is right
	}
	cipher.NewCBCEncrypter(block, derived[32:32+aes.BlockSize]).CryptBlocks(data, data)
	return base64.StdEncoding.EncodeToString(append([]byte("Salted__"+string(salt)), data...))
}
