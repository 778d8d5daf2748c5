package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/plugins/internal/plugintest"
	"github.com/taskhost/taskhost/sdk/go/sdktest"
)

var set = plugintest.Set

// Secrets of no one, put together here so that no scanner of repositories takes them for real.
var (
	gitHub  = "ghp" + "_" + strings.Repeat("a1B2", 9)
	awsID   = "AKIA" + "IOSFODNN7EXAMPLE"
	awsKey  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"
	token   = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"1"}`)) + ".c2ln_nature-x"
	private = "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc=\n-----END RSA PRIVATE KEY-----"
)

func TestWhatIsFound(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"write to ada.lovelace+x@mail.example.co.uk, or <bob@example.org>.", "write to [EMAIL], or <[EMAIL]>."},
		{"“müller@bücher.example” 'x@y.io' a=b@c.de mailto:me@x.org", "“[EMAIL]” '[EMAIL]' [EMAIL] mailto:[EMAIL]"},
		{"no: a@b, @name, x@1.2, user@host, git@v1.2.3, a@b..c", "no: a@b, @name, x@1.2, user@host, git@v1.2.3, a@b..c"},
		{"cards 4111 1111 1111 1111, 5555-5555-5555-4444 378282246310005 6011111111111117.", "cards [CARD], [CARD] [CARD] [CARD]."},
		{"not 4111 1111 1111 1112, 1234567890123456, x4111111111111111, 41111111111111111111", "not 4111 1111 1111 1112, 1234567890123456, x4111111111111111, 41111111111111111111"},
		{"4111111111111111 5555555555554444", "[CARD] [CARD]"},
		{"12 4111 1111 1111 1111 12", "12 [CARD] 12"},
		{"IBAN GB82 WEST 1234 5698 7654 32, de89370400440532013000 FR14 2004 1010 0505 0001 3M02 606", "IBAN [IBAN], [IBAN] [IBAN]"},
		{"GB82 WEST 1234 5698 7654 33, XX89370400440532013000, DE8937040044053201300", "GB82 WEST 1234 5698 7654 33, XX89370400440532013000, DE8937040044053201300"},
		{awsID + " " + awsID + "X", "[AWS] " + awsID + "X"},
		{"aws_secret_access_key = " + awsKey + "\n\"SecretAccessKey\": \"" + awsKey + "\"", "aws_secret_access_key = [AWS]\n\"SecretAccessKey\": \"[AWS]\""},
		{"token=" + gitHub + ";", "token=[GITHUB];"},
		{"Authorization: Bearer abcdefghij0123456789\nauthorization: Basic dXNlcjpwYXNz", "Authorization: Bearer [BEARER]\nauthorization: Basic [BEARER]"},
		{"see " + token + ".", "see [JWT]."},
		{"eyJust a word", "eyJust a word"},
		{"a\n" + private + "\nb", "a\n[PRIVATE_KEY]\nb"},
		{"a\n" + private[:60], "a\n[PRIVATE_KEY]"},
		{"-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"},
		{"postgres://app:s3cr3t@db.example:5432/x?y=z@w", "postgres://app:[URL_PASSWORD]:5432/x?y=z@w"},
		{"AIza" + strings.Repeat("a", 35) + " sk_" + "live_" + strings.Repeat("4", 24) + " xoxb-" + "123456789012-abc glpat-" + strings.Repeat("x", 20), "[GOOGLE] [STRIPE] [SLACK] [GITLAB]"},
		{"192.0.2.1", "192.0.2.1"},
		{"\xff a@b.org \xfe", "\xff [EMAIL] \xfe"},
		{"", ""},
	} {
		if got := plugintest.Run(t, process, c.text); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestModes(t *testing.T) {
	const text = "Ada@x.org 4111 1111 1111 1111 ada@x.org 4111111111111111"
	if got := plugintest.Run(t, process, text, "mode=mask"); got != "***@*.*** **** **** **** **** ***@*.*** ****************" {
		t.Errorf("mask: %s", got)
	}
	if got := plugintest.Run(t, process, text, "mode=mask", "keep=4"); got != "***@*.*rg **** **** **** 1111 ***@*.*rg ************1111" && !strings.HasSuffix(got, "************1111") {
		t.Errorf("keep: %s", got)
	}
	words := strings.Fields(plugintest.Run(t, process, text, "mode=hash", "hash_key=0123456789abcdef"))
	if len(words) != 4 || words[0] != words[2] || words[1] != words[3] || words[0] == words[1] || len(words[0]) != len("[EMAIL:0123456789abcdef]") {
		t.Errorf("hash: %q", words)
	}
	if other := plugintest.Run(t, process, text, "mode=hash", "hash_key=0123456789abcdeX"); strings.Contains(other, words[0]) {
		t.Error("another key gives the same")
	}
}

func TestDetectAndPatterns(t *testing.T) {
	const text = "a@b.org 192.0.2.1:80 [2001:db8::1] T-123456 v1.2.3 key:T-999999x"
	for _, c := range []struct {
		config []string
		want   string
	}{
		{set("detect=ip"), "a@b.org [IP]:80 [[IP]] T-123456 v1.2.3 key:T-999999x"},
		{set("detect=email, card"), "[EMAIL] 192.0.2.1:80 [2001:db8::1] T-123456 v1.2.3 key:T-999999x"},
		{set("detect=all"), "[EMAIL] [IP]:80 [[IP]] T-123456 v1.2.3 key:T-999999x"},
		{set("detect=none", `patterns={"ticket":"\\bT-[0-9]{6}\\b"}`), "a@b.org 192.0.2.1:80 [2001:db8::1] [TICKET] v1.2.3 key:T-999999x"},
		{set(`patterns={"ticket":"key:(\\S+)"}`), "[EMAIL] 192.0.2.1:80 [2001:db8::1] T-123456 v1.2.3 key:[TICKET]"},
	} {
		if got := plugintest.Run(t, process, text, c.config...); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.config, got, c.want)
		}
	}
	r := plugintest.Call(process, "a@b.org c@d.org T-1", `patterns={"ticket":"T-."}`)
	metrics := map[string]float64{}
	for _, m := range r.Metrics {
		if m.Kind != abi.MetricAdd || m.Name != "redact_found_total" {
			t.Errorf("%+v", m)
		}
		metrics[m.Labels["kind"]] = m.Value
	}
	if len(metrics) != 2 || metrics["email"] != 2 || metrics["custom"] != 1 {
		t.Errorf("%v", metrics)
	}
}

func TestReportAndCheck(t *testing.T) {
	const text = "é a@b.org\n\n  4111 1111 1111 1111\n"
	var report struct {
		Total  int
		Found  map[string]int
		Places []struct {
			Kind                     string
			Line, Column, Start, End int
		}
	}
	if err := json.Unmarshal([]byte(plugintest.Run(t, reportAlone, text)), &report); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(report); got != "{2 map[card:1 email:1] [{email 1 3 3 10} {card 3 3 14 33}]}" {
		t.Error(got)
	}
	if got := plugintest.Run(t, checkAlone, "nothing here"); got != "nothing here" {
		t.Errorf("%q", got)
	}
	plugintest.Refuse(t, []plugintest.Refused{
		{checkAlone, text, nil, "found 1 card, 1 email; the first, email, is at line 1, column 3"},
		{process, "", set("detect=mail"), `config detect: "mail" is none of all, none, private_key`},
		{process, "", set("mode=blank"), "config mode"},
		{process, "", set("mode=mask", "keep=5"), "config keep"},
		{process, "", set("mode=hash"), "config hash_key is missing"},
		{process, "", set("mode=hash", "hash_key=short"), "config hash_key has 5 bytes; take at least 16"},
		{process, "", set("patterns=[]"), "config patterns: give a JSON object"},
		{process, "", set(`patterns={"A b":"x"}`), "config patterns: a name has"},
		{process, "", set(`patterns={"email":"x"}`), "config patterns: a name has"},
		{process, "", set(`patterns={"a":"("}`), "config patterns, a: error parsing regexp"},
	})
}

// The project's own pages have examples of addresses and tokens, and the number of one card, and nothing else that looks like a secret.
func TestRealDocumentsHaveFewFalseAlarms(t *testing.T) {
	for name, text := range plugintest.Documents(t) {
		found, err := find([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found {
			what := text[s.start:s.end]
			example := what == "4111 1111 1111 1111" || slices.Contains([]string{"email", "bearer", "url_password"}, s.kind)
			if !example {
				t.Errorf("%s: a %s: %q", name, s.kind, what)
			}
		}
	}
}

// leaks tells whether a secret is in anything but the output.
func leaks(r sdktest.Result, secret string) bool {
	b, err := json.Marshal([]any{r.Logs, r.Error, r.Metrics, r.Progress})
	return err != nil || strings.Contains(string(b), secret)
}

// Secrets of each kind, between words, in every mode: what comes out has none of them, and says so when it is looked at again.
func TestNothingGetsThrough(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 1))
	secrets := []string{"ada@example.org", "4111 1111 1111 1111", "GB82WEST12345698765432", gitHub, awsID, token, private, "Bearer 0123456789abcdefXYZ"}
	words := []string{" ", "\n", " word ", ", ", " (", "\t", " é ", "\r\n", " 12 ", ": "}
	for range 300 {
		var b strings.Builder
		var put []string
		for range 1 + random.IntN(12) {
			secret := secrets[random.IntN(len(secrets))]
			put = append(put, strings.TrimPrefix(secret, "Bearer "))
			b.WriteString(words[random.IntN(len(words))] + secret + words[random.IntN(len(words))])
		}
		text := b.String()
		for _, config := range [][]string{nil, {"mode=mask"}, {"mode=hash", "hash_key=0123456789abcdef"}} {
			r := plugintest.Call(process, text, config...)
			for _, secret := range put {
				if r.Code != 0 || strings.Contains(string(r.Output), secret) || leaks(r, secret) {
					t.Fatalf("%q\ngave %q\nwith %q still in it", text, r.Output, secret)
				}
			}
			if config == nil {
				plugintest.Run(t, checkAlone, strings.ReplaceAll(string(r.Output), "[BEARER]", ""))
			}
		}
		for _, f := range []func() int32{reportAlone, checkAlone} {
			r := plugintest.Call(f, text)
			for _, secret := range put {
				if strings.Contains(string(r.Output), secret) || leaks(r, secret) {
					t.Fatalf("%q leaks %q", text, secret)
				}
			}
		}
	}
}

// Every number with its check digit is found, and none with another one.
func TestChecksums(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 2))
	for range 2000 {
		body := "4" + fmt.Sprintf("%014d", random.Int64N(1e14))
		for digit := range 10 {
			number := body + strconv.Itoa(digit)
			digits := []byte(number)
			for i := range digits {
				digits[i] -= '0'
			}
			want := number
			if luhn(digits) {
				want = "[CARD]"
			}
			if got := plugintest.Run(t, process, number, "detect=card"); got != want {
				t.Fatalf("%s became %s", number, got)
			}
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("a@b.org 4111 1111 1111 1111 GB82 WEST 1234 5698 7654 32 "+private, "mask")
	f.Add(token+" ://a:b@c Bearer 0123456789abcdef", "label")
	f.Fuzz(func(t *testing.T, text, mode string) {
		r := plugintest.Call(process, text, "mode="+mode, "detect=all", "hash_key=0123456789abcdef")
		if r.Code != 0 && !r.Invalid {
			t.Errorf("%q: %s", text, r.Error)
		}
		found, err := find([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		end := 0
		for _, s := range found {
			if s.start < end || s.end <= s.start || s.end > len(text) {
				t.Fatalf("%q: %+v", text, found)
			}
			end = s.end
		}
	})
}
