package keyring

// What Seal("golden", "settings") and Fingerprint("settings") once gave under oldKey.
const (
	goldenSealed      = "0198d3e6081e3017aa75b3a42a2346f942f4488d0e7006e9a0ef4264b6a3ee1bd9f61bc628b6ae38c3c855f99b"
	goldenFingerprint = 0x8bf6dc7f877ae221
)
