package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/plugins/internal/config"
	"github.com/taskhost/taskhost/plugins/internal/values"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// detector finds one kind of thing.
type detector struct {
	kind string
	find func(text []byte, found func(start, end int))
}

// kinds are the names of the detectors; ip is used only when it is asked for, for version numbers look the same.
var kinds = []string{"private_key", "jwt", "aws", "github", "gitlab", "slack", "google", "stripe", "bearer", "url_password", "email", "card", "iban", "ip"}

// A sandbox is put back to the state after its start before each call, so what is made here is made once, not once a call.
var detectors = map[string][]detector{
	"private_key": {{"private_key", findPrivateKeys}},
	"jwt":         {{"jwt", findTokens}},
	"aws": {
		tokens("aws", `[A-Z0-9]{16}`, "AKIA", "ASIA", "ABIA", "ACCA"),
		after("aws", `(?i)^ecret_?access_?key["']?\s{0,3}[=:]\s{0,3}["']?([A-Za-z0-9/+]{40})`, "ecret", "ECRET"),
	},
	"github":       {tokens("github", `[A-Za-z0-9]{36,251}`, "ghp_", "gho_", "ghu_", "ghs_", "ghr_"), tokens("github", `[A-Za-z0-9_]{22,244}`, "github_pat_")},
	"gitlab":       {tokens("gitlab", `[A-Za-z0-9_-]{20,100}`, "glpat-", "gldt-", "glrt-")},
	"slack":        {tokens("slack", `[A-Za-z0-9-]{10,250}`, "xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-"), after("slack", `^hooks\.slack\.com/services/([A-Za-z0-9/_-]{20,})`, "hooks.slack.com")},
	"google":       {tokens("google", `[A-Za-z0-9_-]{35}`, "AIza")},
	"stripe":       {tokens("stripe", `[A-Za-z0-9]{16,247}`, "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_")},
	"bearer":       {after("bearer", `(?i)^bearer\s{1,3}([A-Za-z0-9._~+/=-]{16,})`, "earer"), after("bearer", `(?i)^authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:[a-z]+\s{1,3})?([^\s"']{8,})`, "uthorization", "UTHORIZATION")},
	"url_password": {after("url_password", `^://[^\s/@:]*:([^\s/]+)@`, "://")},
	"email":        {{"email", findAddresses}},
	"card":         {{"card", findCards}},
	"iban":         {{"iban", findAccounts}},
	"ip":           {{"ip", findHosts}},
}

// configured are the detectors of config detect, and those that config patterns adds.
func configured() ([]detector, error) {
	wanted, err := config.Choices("detect", append([]string{"all", "none"}, kinds...)...)
	if err != nil {
		return nil, err
	}
	switch {
	case wanted == nil:
		wanted = kinds[:len(kinds)-1]
	case slices.Contains(wanted, "all"):
		wanted = kinds
	}
	var found []detector
	for _, kind := range kinds {
		if slices.Contains(wanted, kind) {
			found = append(found, detectors[kind]...)
		}
	}
	custom, err := patterns()
	return append(found, custom...), err
}

// maxPatterns bounds how many patterns a configuration can have.
const maxPatterns = 50

// patterns are the detectors of config patterns: a JSON object of names and regular expressions. What the first group of one holds is
// what it finds, all of it if it has none.
func patterns() ([]detector, error) {
	text, ok := taskhost.Config("patterns")
	if !ok {
		return nil, nil
	}
	var list map[string]string
	if err := values.One([]byte(text), &list); err != nil {
		return nil, taskhost.InvalidInputf(`config patterns: give a JSON object of names and regular expressions, as in {"ticket": "T-[0-9]{6}"}`)
	}
	if len(list) > maxPatterns {
		return nil, taskhost.InvalidInputf("config patterns: %d are more than %d", len(list), maxPatterns)
	}
	var found []detector
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if !isName.MatchString(name) || slices.Contains(kinds, name) {
			return nil, taskhost.InvalidInputf("config patterns: a name has lower-case letters, digits and underscores, 40 at most, and is none of %s", strings.Join(kinds, ", "))
		}
		re, err := regexp.Compile(list[name])
		if err != nil {
			return nil, taskhost.InvalidInputf("config patterns, %s: %w", name, err)
		}
		found = append(found, detector{name, func(text []byte, found func(start, end int)) {
			for _, m := range re.FindAllSubmatchIndex(text, -1) {
				if start, end := group(m); end > start {
					found(start, end)
				}
			}
		}})
	}
	return found, nil
}

var isName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// group is the first group of a match that took part in it, else all of it.
func group(match []int) (start, end int) {
	if len(match) >= 4 && match[2] >= 0 {
		return match[2], match[3]
	}
	return match[0], match[1]
}

// window bounds how far a token is looked at from its first character.
const window = 4 << 10

// tokens finds words that begin with one of some prefixes.
func tokens(kind, rest string, prefixes ...string) detector {
	re := regexp.MustCompile(`^` + rest)
	return detector{kind, func(text []byte, found func(start, end int)) {
		for _, prefix := range prefixes {
			each(text, prefix, func(at int) {
				if at > 0 && isLetterOrDigit(text[at-1]) {
					return
				}
				from := at + len(prefix)
				if m := re.FindIndex(text[from:min(len(text), from+window)]); m != nil && (from+m[1] == len(text) || !isLetterOrDigit(text[from+m[1]])) {
					found(at, from+m[1])
				}
			})
		}
	}}
}

// after finds what follows words: the first group of an expression that is tried where they begin. An anchor may leave out the first letter
// of the expression, which is then either capital or not.
func after(kind, expression string, anchors ...string) detector {
	re := regexp.MustCompile(expression)
	return detector{kind, func(text []byte, found func(start, end int)) {
		for _, anchor := range anchors {
			each(text, anchor, func(at int) {
				for _, from := range []int{at, at - 1} {
					if from < 0 {
						continue
					}
					if m := re.FindSubmatchIndex(text[from:min(len(text), from+window)]); m != nil {
						start, end := group(m)
						if from+end == min(len(text), from+window) { // it may go on
							end += wordLength(text[from+end:])
						}
						found(from+start, from+end)
						return
					}
				}
			})
		}
	}}
}

// each calls f for each place where a word begins.
func each(text []byte, word string, f func(at int)) {
	for at := 0; ; at++ {
		next := bytes.Index(text[at:], []byte(word))
		if next < 0 {
			return
		}
		at += next
		f(at)
	}
}

// wordLength is how many bytes follow before the next white space or quote.
func wordLength(text []byte) int {
	if n := bytes.IndexAny(text, " \t\r\n\"'"); n >= 0 {
		return n
	}
	return len(text)
}

func isLetterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

var keyBegins = regexp.MustCompile(`^-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----`)

// findPrivateKeys finds PEM and OpenPGP blocks; one without an end goes on to the end of the text.
func findPrivateKeys(text []byte, found func(start, end int)) {
	done := 0
	each(text, "-----BEGIN ", func(at int) {
		if at < done {
			return
		}
		m := keyBegins.FindSubmatchIndex(text[at:min(len(text), at+window)])
		if m == nil {
			return
		}
		done = len(text)
		end := "-----END " + string(text[at+m[2]:at+m[3]]) + "-----"
		if n := bytes.Index(text[at:], []byte(end)); n >= 0 {
			done = at + n + len(end)
		}
		found(at, done)
	})
}

// findTokens finds JSON Web Tokens: three parts in base64url, of which the first is the JSON of a header.
func findTokens(text []byte, found func(start, end int)) {
	done := 0
	each(text, "eyJ", func(at int) {
		if at < done || at > 0 && (isLetterOrDigit(text[at-1]) || text[at-1] == '_' || text[at-1] == '-') {
			return
		}
		dots, end := 0, at
		header := 0
		for ; end < len(text); end++ {
			if c := text[end]; c == '.' {
				if dots++; dots == 1 {
					header = end
				}
				if dots > 4 {
					break
				}
			} else if !isLetterOrDigit(c) && c != '-' && c != '_' {
				break
			}
		}
		done = end
		if dots < 2 {
			return
		}
		if text[end-1] == '.' && dots > 2 { // of the sentence
			end--
		}
		decoded, err := base64.RawURLEncoding.DecodeString(string(text[at:header]))
		if err == nil && json.Valid(decoded) {
			found(at, end)
		}
	})
}
