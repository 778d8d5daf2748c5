package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
)

// Bounds of a token file.
const (
	MaxTokens    = 10_000
	MaxTokenName = 100 // characters
)

const (
	tokenPrefix = "th_"
	secretBytes = 32
	maxToken    = 200 // bytes of what somebody shows as a token; more is none
)

// Token is what the file of tokens keeps of one: enough to know it again, and nothing that it could be made from.
type Token struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	SHA256    string    `json:"sha256"`              // of the secret, in hex
}

// Expired reports whether the token's time is over.
func (t *Token) Expired(now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// Principal is who shows the token.
func (t *Token) Principal() Principal { return Principal{ID: t.ID, Name: t.Name, Role: t.Role} }

// newToken makes a token and what the one who gets it is told: th_ID_SECRET.
func newToken(name string, role Role, now, expires time.Time) (Token, string) {
	id, secret := randomWord(5), randomWord(secretBytes)
	sum := sha256.Sum256([]byte(secret))
	t := Token{ID: id, Name: name, Role: role, CreatedAt: now.UTC().Truncate(time.Second), SHA256: hex.EncodeToString(sum[:])}
	if !expires.IsZero() {
		t.ExpiresAt = expires.UTC().Truncate(time.Second)
	}
	return t, tokenPrefix + id + "_" + secret
}

// randomWord is n random bytes as small letters and digits.
func randomWord(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}

// splitToken takes a token apart.
func splitToken(text string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok || len(text) > maxToken {
		return "", "", false
	}
	id, secret, ok = strings.Cut(rest, "_")
	return id, secret, ok && id != "" && secret != ""
}

// validate says what is wrong with a token of the file.
func (t *Token) validate() error {
	sum, err := hex.DecodeString(t.SHA256)
	switch {
	case !abi.ValidWord(t.ID, 40) || strings.Contains(t.ID, "_"):
		return abi.Errorf(abi.CodeInvalid, "the id %q is none", t.ID)
	case err != nil || len(sum) != sha256.Size:
		return abi.Errorf(abi.CodeInvalid, "token %s: sha256 must be 64 hexadecimal digits", t.ID)
	}
	return checkToken(t.Name, t.Role)
}

// checkToken says what is wrong with what a token is given when it is made.
func checkToken(name string, role Role) error {
	switch {
	case name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > MaxTokenName || strings.ContainsFunc(name, unprintable):
		return abi.Errorf(abi.CodeInvalid, "the name of a token is 1 to %d printable characters; this is %q", MaxTokenName, name)
	case !role.Allows(RoleRead):
		return abi.Errorf(abi.CodeInvalid, "there is no role %q; there are %s", role, roleNames())
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func roleNames() string {
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// entry is a token that is ready to be compared.
type entry struct {
	Token
	sum [sha256.Size]byte
}

// matches compares a secret with the token's, in a time that does not tell how much of it is right. A nil entry takes as long, and
// matches none.
func (e *entry) matches(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	var want [sha256.Size]byte
	if e != nil {
		want = e.sum
	}
	return subtle.ConstantTimeCompare(sum[:], want[:]) == 1 && e != nil
}
