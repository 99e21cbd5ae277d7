package aws

import "testing"

func TestNotesOfRegions(t *testing.T) {
	for _, region := range []string{"us-east-1", "eu-central-1", "ap-southeast-5", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "cn-northwest-1", "il-central-1", "mx-central-1", "eusc-de-east-1", ""} {
		if notes := (Settings{Region: region}).Notes(); notes != nil {
			t.Errorf("%s: %v", region, notes)
		}
	}
	for _, region := range []string{"eu-cental-1", "eu-central1", "eu-central", "EU-CENTRAL-1", "us-east-1a", "frankfurt", "auto"} {
		if notes := (Settings{Region: region}).Notes(); len(notes) != 1 {
			t.Errorf("%s: %v", region, notes)
		}
		if notes := (Settings{Region: region, Endpoint: "https://minio.example"}).Notes(); notes != nil {
			t.Errorf("%s elsewhere: %v", region, notes)
		}
	}
}
