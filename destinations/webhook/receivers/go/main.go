// Go, with Fantail's own package.
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/seed-51f8da91/fantail/pkg/signature"
)

func main() {
	secret := os.Getenv("WEBHOOK_SECRET")
	if secret == "" {
		log.Fatal("WEBHOOK_SECRET is not set")
	}
	http.HandleFunc("POST /hooks", func(w http.ResponseWriter, r *http.Request) {
		// The raw bytes: JSON that was parsed and printed again has another signature.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 32<<20))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		if err := signature.Verify(secret, r.Header.Get("terra-signature"), body, time.Now(), signature.Tolerance); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if err := store(r.Header.Get("x-terra-trace-id"), body); err != nil {
			http.Error(w, "not stored", http.StatusInternalServerError) // the event comes again
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"), nil)) // behind a proxy that speaks TLS
}

// store keeps the event, before it is answered. A trace id that you have already is a repeat.
func store(trace string, body []byte) error {
	_, err := fmt.Println(trace, len(body))
	return err
}
