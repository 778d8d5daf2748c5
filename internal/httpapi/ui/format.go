package ui

import (
	"fmt"
	"html/template"
	"math"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// functions are those that templates call.
func functions(files *assets) template.FuncMap {
	return template.FuncMap{
		"asset": files.path, "icon": icon, "age": age, "stamp": stamp, "duration": duration, "bytes": size, "count": count,
		"percent": percent, "digest": digest, "took": took, "waits": waits, "path": url.PathEscape, "query": url.QueryEscape,
		"title": title, "statuses": manager.Statuses, "steps": stepNames, "shortid": shortID, "join": strings.Join, "plural": plural,
		"mean": mean, "base": filepath.Base, "span": shortSpan, "per": per, "specname": func(s manager.Spec) string { return stepNames(manager.Task{Spec: s}) },
	}
}

// icons are drawn on 24 by 24 units. Each stands beside a word, so it is hidden from those who listen.
var icons = map[string]string{
	"pending":   `<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3 2"/>`,
	"running":   `<path d="M8 5l11 7-11 7z"/>`,
	"completed": `<path d="M4 12.5l5 5L20 6.5"/>`,
	"failed":    `<path d="M6 6l12 12M18 6L6 18"/>`,
	"cancelled": `<circle cx="12" cy="12" r="9"/><path d="M5.7 5.7l12.6 12.6"/>`,
	"brand":     `<path d="M4 7l8-4 8 4v10l-8 4-8-4z"/><path d="M4 7l8 4 8-4M12 11v10"/>`,
	"down":      `<path d="M12 4v12M6 11l6 6 6-6M5 21h14"/>`,
	"keys":      `<rect x="3" y="6" width="18" height="12" rx="2"/><path d="M7 10h.01M11 10h.01M15 10h.01M8 14h8"/>`,
}

func icon(name string) template.HTML {
	// The table above holds every text that can come here.
	return template.HTML(`<svg class="i" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + icons[name] + `</svg>`) //nolint:gosec // constant
}

// age is a time as it is said: "12 s ago", with the exact one behind it. A script keeps it true.
func age(t, now time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	d := now.Sub(t)
	words := "now"
	switch a := d.Abs(); {
	case a >= 24*time.Hour:
		words = fmt.Sprintf("%d d", int(a.Hours()/24))
	case a >= time.Hour:
		words = fmt.Sprintf("%d h", int(a.Hours()))
	case a >= time.Minute:
		words = fmt.Sprintf("%d min", int(a.Minutes()))
	case a >= time.Second/2:
		words = fmt.Sprintf("%d s", max(1, int(a.Seconds())))
	}
	switch {
	case words == "now":
	case d < 0:
		words = "in " + words
	default:
		words += " ago"
	}
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time data-age datetime="%s" title="%s">%s</time>`, //nolint:gosec // digits and these words
		utc.Format(time.RFC3339Nano), stamp(t), words))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}

func duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 ms"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// size is a number of bytes. Templates give it any integer.
func size(n any) string {
	v, err := strconv.ParseFloat(fmt.Sprint(n), 64)
	if err != nil {
		return "–"
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 || v >= 100 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// count is a number with thin spaces between its thousands.
func count(n any) string {
	text := fmt.Sprint(n)
	sign, digits := "", text
	if strings.HasPrefix(text, "-") {
		sign, digits = "−", text[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return sign + digits
}

func percent(f float64) string {
	if math.IsNaN(f) || f < 0 {
		f = 0
	}
	return fmt.Sprintf("%d %%", int(min(f, 1)*100))
}

func digest(d abi.Digest) string {
	hex := strings.TrimPrefix(string(d), "sha256:")
	return hex[:min(12, len(hex))]
}

// shortID is the end of an id: its beginning is the time, and so nearly the same for all that one sees.
func shortID(id string) string {
	if len(id) == 36 {
		return id[24:]
	}
	return id
}

// took is how long a task ran: from its first start to its end.
func took(t manager.Task, now time.Time) string {
	switch {
	case t.StartedAt.IsZero():
		return "–"
	case t.Status.Final():
		return duration(t.FinishedAt.Sub(t.StartedAt))
	}
	return duration(now.Sub(t.StartedAt))
}

// waits is how long a task waited for its first start.
func waits(t manager.Task, now time.Time) string {
	end := t.StartedAt
	if end.IsZero() {
		end = t.FinishedAt
	}
	if end.IsZero() {
		end = now
	}
	return duration(end.Sub(t.CreatedAt))
}

func title(s any) string {
	text := fmt.Sprint(s)
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// stepNames are the steps of a task; of many only the first and the last.
func stepNames(t manager.Task) string {
	names := make([]string, len(t.Spec.Steps))
	for i, s := range t.Spec.Steps {
		names[i] = s.String()
	}
	if n := len(names); n > 3 {
		names = []string{names[0], fmt.Sprintf("%d more", n-2), names[n-1]}
	}
	return strings.Join(names, " → ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// maxPreview bounds the bytes of an input or an output that a page shows.
const maxPreview = 16 << 10

// preview is the beginning of some bytes, as text if they are that.
type preview struct {
	Text   string
	Size   int
	Cut    bool // there is more
	Binary bool
}

func newPreview(data []byte, total int) *preview {
	p := &preview{Size: total}
	if len(data) > maxPreview {
		data = data[:maxPreview]
	}
	p.Cut = len(data) < total
	for i := 0; p.Cut && i < utf8.UTFMax-1 && len(data) > 0 && !utf8.Valid(data); i++ { // a character that was cut
		data = data[:len(data)-1]
	}
	p.Binary = !utf8.Valid(data) || strings.IndexByte(string(data), 0) >= 0
	if !p.Binary {
		p.Text = string(data)
		return p
	}
	var dump strings.Builder
	for at := 0; at < min(len(data), 256); at += 16 {
		line := data[at:min(at+16, len(data))]
		fmt.Fprintf(&dump, "%04x  %-47s  ", at, fmt.Sprintf("% x", line))
		for _, b := range line {
			if b < ' ' || b > '~' {
				b = '.'
			}
			dump.WriteByte(b)
		}
		dump.WriteByte('\n')
	}
	p.Text, p.Cut = dump.String(), total > 256
	return p
}

// mean is the mean time of some calls.
func mean(whole time.Duration, calls uint64) string {
	if calls == 0 {
		return "–"
	}
	return duration(whole / time.Duration(min(calls, math.MaxInt64)))
}

// per is how much of something one call took.
func per(whole, calls uint64) string {
	if calls == 0 {
		return "–"
	}
	return count(whole / calls)
}

// shortSpan is a duration as time.ParseDuration reads it, without zeros: 1m and not 1m0s.
func shortSpan(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
