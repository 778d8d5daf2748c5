package main

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// findAddresses finds mail addresses: around each @, what can be the parts of one, with a domain of two labels at least.
func findAddresses(text []byte, found func(start, end int)) {
	for at := 0; ; at++ {
		next := bytes.IndexByte(text[at:], '@')
		if next < 0 {
			return
		}
		at += next
		start, end := localPart(text, at), domain(text, at+1)
		if start < at && end > at+1 {
			found(start, end)
		}
	}
}

// localPart returns where the part before the @ begins.
func localPart(text []byte, at int) int {
	const most = 64 * utf8.UTFMax // bytes
	start := at
	for start > max(0, at-most) {
		r, n := utf8.DecodeLastRune(text[:start])
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", r) {
			break
		}
		start -= n
	}
	for start < at && strings.IndexByte(".'`*/=|{}?&#", text[start]) >= 0 { // quotes and markup around it
		start++
	}
	return start
}

// domain returns where the domain ends that begins at from; from if there is none.
func domain(text []byte, from int) int {
	end, dots, label := from, 0, from // label: where the last one begins
	best := from
	for end < len(text) && end-from < 255 {
		r, n := utf8.DecodeRune(text[end:])
		switch {
		case r == '.' && end > label:
			dots++
			label = end + n
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r), r == '-' && end > label:
			if dots > 0 && end+n-label >= 2 && r != '-' && unicode.IsLetter(first(text[label:])) {
				best = end + n
			}
		default:
			return best
		}
		end += n
	}
	return best
}

func first(text []byte) rune { r, _ := utf8.DecodeRune(text); return r }

// Bounds of the digits of a card's number.
const (
	leastDigits = 13
	mostDigits  = 19
)

// findCards finds numbers of payment cards: 13 to 19 digits, in groups with single spaces or dashes between them or without, that begin as
// those of a network do and have the check digit that Luhn's algorithm gives.
func findCards(text []byte, found func(start, end int)) {
	for i := 0; i < len(text); i++ {
		if !isDigit(text[i]) {
			continue
		}
		if i > 0 && isLetterOrDigit(text[i-1]) || i > 0 && text[i-1] == '_' {
			for i < len(text) && isDigit(text[i]) {
				i++
			}
			continue
		}
		if end := card(text, i); end > i {
			found(i, end)
			i = end - 1
			continue
		}
		for i < len(text) && isDigit(text[i]) { // on to the next group
			i++
		}
	}
}

// card returns where the longest number ends that begins at start; start if none does.
func card(text []byte, start int) int {
	var digits [mostDigits]byte
	n, best := 0, start
	for i := start; i < len(text); i++ {
		c := text[i]
		if !isDigit(c) {
			if (c == ' ' || c == '-') && isDigit(text[i-1]) && i+1 < len(text) && isDigit(text[i+1]) {
				continue
			}
			break
		}
		if n == mostDigits {
			break
		}
		digits[n] = c - '0'
		n++
		ends := i+1 == len(text) || !isLetterOrDigit(text[i+1]) && text[i+1] != '_'
		if ends && n >= leastDigits && isNetwork(digits[:n]) && luhn(digits[:n]) {
			best = i + 1
		}
	}
	return best
}

// isNetwork tells whether a number begins as those of a card network do.
func isNetwork(digits []byte) bool {
	two := int(digits[0])*10 + int(digits[1])
	four := two*100 + int(digits[2])*10 + int(digits[3])
	switch {
	case digits[0] == 4: // Visa
		return len(digits) == 13 || len(digits) == 16 || len(digits) == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		return len(digits) == 16
	case two == 34, two == 37: // American Express
		return len(digits) == 15
	case two == 36, two == 38, two == 39, four >= 3000 && four <= 3059: // Diners Club
		return len(digits) >= 14
	case two == 35, two == 60, two == 62, two == 64, two == 65, two == 81, four >= 2200 && four <= 2204: // JCB, Discover, UnionPay, RuPay, Mir
		return len(digits) >= 16
	}
	return two == 50 || two >= 56 && two <= 69 // Maestro
}

func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d)
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// accountLengths are the lengths of IBANs by country, from the registry of SWIFT.
var accountLengths = lengths(`AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18
	FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20
	MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22
	VG24 XK20 YE30`)

func lengths(table string) map[string]int {
	found := map[string]int{}
	for entry := range strings.FieldsSeq(table) {
		found[entry[:2]] = int(entry[2]-'0')*10 + int(entry[3]-'0')
	}
	return found
}

// findAccounts finds IBANs: of a country that has them, as long as its are, with the right check digits; in groups with single spaces or
// dashes between them or without.
func findAccounts(text []byte, found func(start, end int)) {
	for i := 0; i+4 <= len(text); i++ {
		if !isDigit(text[i+2]) || !isDigit(text[i+3]) || i > 0 && isLetterOrDigit(text[i-1]) {
			continue
		}
		if length := accountLengths[strings.ToUpper(string(text[i:i+2]))]; length > 0 {
			if end := account(text, i, length); end > i {
				found(i, end)
				i = end - 1
			}
		}
	}
}

// account returns where an IBAN of a length ends that begins at start; start if it is none.
func account(text []byte, start, length int) int {
	signs := make([]byte, 0, length)
	i := start
	for ; i < len(text) && len(signs) < length; i++ {
		c := text[i]
		switch {
		case isLetterOrDigit(c):
			signs = append(signs, c&^(c>>6<<5)) // a capital
		case (c == ' ' || c == '-') && isLetterOrDigit(text[i-1]):
		default:
			return start
		}
	}
	if len(signs) < length || i < len(text) && isLetterOrDigit(text[i]) {
		return start
	}
	rest := 0 // of the division by 97 of the number that it stands for, its first four signs at the end
	for k := range signs {
		c := signs[(k+4)%length]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	if rest != 1 {
		return start
	}
	return i
}

// findHosts finds IP addresses, of version 4 and 6.
func findHosts(text []byte, found func(start, end int)) {
	isSign := func(c byte) bool {
		return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '.' || c == ':'
	}
	for i := 0; i < len(text); i++ {
		if !isSign(text[i]) {
			continue
		}
		end := i
		for end < len(text) && isSign(text[end]) {
			end++
		}
		word := strings.TrimRight(string(text[i:end]), ".")
		clean := (i == 0 || !isLetterOrDigit(text[i-1])) && (end == len(text) || !isLetterOrDigit(text[end]))
		if clean && len(word) <= 45 && len(word) > 2 {
			if _, err := netip.ParseAddr(word); err == nil {
				found(i, i+len(word))
			} else if port := strings.LastIndexByte(word, ':'); port > 0 && strings.Count(word, ":") == 1 { // 192.0.2.1:80
				if _, err := netip.ParseAddr(word[:port]); err == nil {
					found(i, i+port)
				}
			}
		}
		i = end
	}
}
