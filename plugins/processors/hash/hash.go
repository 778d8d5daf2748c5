package main

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/blake2b"

	"github.com/taskhost/taskhost/plugins/internal/config"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// algorithms are the names, the standard one first. The last two are checksums against accidents, no defence against anybody.
var algorithms = []string{"sha256", "sha512", "sha384", "sha3-256", "sha1", "md5", "blake2b-256", "blake2b-512", "xxh64", "crc32"}

// newHash makes a hash; with a key one that only who has the key can make.
func newHash(algorithm string, key []byte) (hash.Hash, error) {
	var plain func() hash.Hash
	switch algorithm {
	case "sha256":
		plain = sha256.New
	case "sha512":
		plain = sha512.New
	case "sha384":
		plain = sha512.New384
	case "sha3-256":
		plain = func() hash.Hash { return sha3.New256() }
	case "sha1":
		plain = sha1.New
	case "md5":
		plain = md5.New
	case "blake2b-256", "blake2b-512": // has keys of its own
		size := map[string]int{"blake2b-256": 32, "blake2b-512": 64}[algorithm]
		h, err := blake2b.New(size, key)
		if err != nil {
			return nil, taskhost.InvalidInputf("config key: blake2b takes 64 bytes at most, it has %d", len(key))
		}
		return h, nil
	default:
		if key != nil {
			return nil, taskhost.InvalidInputf("config key: %s is a checksum and takes no key; use sha256", algorithm)
		}
		if algorithm == "xxh64" {
			return xxhash.New(), nil
		}
		return crc32.NewIEEE(), nil
	}
	if key != nil {
		return hmac.New(plain, key), nil
	}
	return plain(), nil
}

// sum hashes the input piece by piece, and reports after each.
func sum(h hash.Hash, input []byte) []byte {
	const piece = 1 << 20
	for done := 0; done < len(input); {
		n, _ := h.Write(input[done:min(done+piece, len(input))]) // never fails
		done += n
		if len(input) > piece {
			taskhost.ProgressFraction(float64(done)/float64(len(input)), "")
		}
	}
	return h.Sum(nil)
}

func configured(input []byte) ([]byte, error) {
	algorithm, err := config.Choice("algorithm", algorithms...)
	if err != nil {
		return nil, err
	}
	key, err := key()
	if err != nil {
		return nil, err
	}
	h, err := newHash(algorithm, key)
	if err != nil {
		return nil, err
	}
	return sum(h, input), nil
}

// key is the configured one, nil if there is none. No error tells it.
func key() ([]byte, error) {
	text := config.Text("key", "")
	encoding, err := config.Choice("key_encoding", "text", "hex", "base64")
	if err != nil || text == "" {
		return nil, err
	}
	b := []byte(text)
	switch encoding {
	case "hex":
		b, err = hex.DecodeString(text)
	case "base64":
		b, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil || len(b) == 0 {
		return nil, taskhost.InvalidInputf("config key is not in %s", encoding)
	}
	return b, nil
}

// digest writes the hash of the input; as text with a line break at its end.
func digest(input []byte) ([]byte, error) {
	encoding, err := config.Choice("encoding", "hex", "base64", "base64url", "raw")
	if err != nil {
		return nil, err
	}
	b, err := configured(input)
	if err != nil {
		return nil, err
	}
	switch encoding {
	case "hex":
		return []byte(hex.EncodeToString(b) + "\n"), nil
	case "base64":
		return []byte(base64.StdEncoding.EncodeToString(b) + "\n"), nil
	case "base64url":
		return []byte(base64.RawURLEncoding.EncodeToString(b) + "\n"), nil
	}
	return b, nil
}

// allDigests writes the hashes of all algorithms, in hexadecimal, as a JSON object with the number of bytes.
func allDigests(input []byte) ([]byte, error) {
	found := map[string]any{"bytes": len(input)}
	for i, algorithm := range algorithms {
		taskhost.Progress(i, len(algorithms), algorithm)
		h, err := newHash(algorithm, nil)
		if err != nil {
			return nil, err
		}
		_, _ = h.Write(input) // never fails
		found[algorithm] = hex.EncodeToString(h.Sum(nil))
	}
	b, err := json.MarshalIndent(found, "", "  ")
	return append(b, '\n'), err
}

// verify gives the input as it is, if it has the hash that config expected says, in hexadecimal or base64. What tools such as sha256sum
// write is taken, too: what follows the hash is left out.
func verify(input []byte) ([]byte, error) {
	text, err := config.Need("expected", "9f86d081…")
	if err != nil {
		return nil, err
	}
	b, err := configured(input)
	if err != nil {
		return nil, err
	}
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	if _, after, found := strings.Cut(word, ":"); found { // "sha256:", as digests of containers and of taskhost begin
		word = after
	}
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString} {
		if want, err := decode(word); err == nil && len(want) == len(b) {
			if subtle.ConstantTimeCompare(want, b) == 1 {
				return input, nil
			}
			return nil, taskhost.InvalidInputf("the input of %d bytes is not what was expected: its hash differs from config expected", len(input))
		}
	}
	return nil, taskhost.InvalidInputf("config expected is not a hash of %d bytes in hexadecimal or base64; config algorithm may be wrong", len(b))
}
