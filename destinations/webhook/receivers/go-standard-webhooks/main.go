// signing: standard-webhooks. Go, with the library of Standard Webhooks.
package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	secret := os.Getenv("WEBHOOK_SECRET") // whsec_...
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil || secret == "" {
		log.Fatal("WEBHOOK_SECRET is not set, or no key")
	}
	http.HandleFunc("POST /hooks", func(w http.ResponseWriter, r *http.Request) {
		// The raw bytes: JSON that was parsed and printed again has another signature.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 32<<20))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		if err := webhook.Verify(body, r.Header); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if err := store(r.Header.Get("webhook-id"), body); err != nil {
			http.Error(w, "not stored", http.StatusInternalServerError) // the event comes again
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "3000"), nil)) // behind a proxy that speaks TLS
}

// store keeps the event, before it is answered. An id that you have already is a repeat.
func store(id string, body []byte) error {
	_, err := fmt.Println(id, len(body))
	return err
}
