package servers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-51f8da91/fantail/test/servers"
)

func TestGCSKeepsObjects(t *testing.T) {
	g := servers.StartGCS(t)
	bucket := g.Bucket(t)
	resp, err := http.Post(g.Endpoint+"/upload/storage/v1/b/"+bucket+"/o?uploadType=media&name=a.json&ifGenerationMatch=0", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("upload: %s", resp.Status)
	}
	if got := status(t, g.Endpoint+"/storage/v1/b/"+bucket+"/o/a.json?alt=media"); got != http.StatusOK {
		t.Errorf("download by the JSON API: %d", got)
	}
	if got := status(t, g.Endpoint+"/"+bucket+"/a.json"); got != http.StatusOK {
		t.Errorf("download by the address of a signed URL: %d", got)
	}
}
