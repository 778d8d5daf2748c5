package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/taskhost/taskhost/plugins/internal/config"
	taskhost "github.com/taskhost/taskhost/sdk/go"
)

// link is an address in a page.
type link struct {
	URL   string `json:"url"`            // resolved
	Kind  string `json:"kind"`           // one of kinds
	Text  string `json:"text,omitempty"` // what the page shows for it
	Rel   string `json:"rel,omitempty"`
	Wrong string `json:"error,omitempty"` // why it was not resolved: url is as it stands there
}

// kinds are the kinds of links, by what happens with them: followed, shown, loaded, sent to.
var kinds = []string{"link", "image", "media", "script", "style", "frame", "form", "other"}

// listLinks lists the addresses, in the order of the page, as JSON. They are resolved against <base>, which is resolved against config base.
func listLinks(source []byte) ([]byte, error) {
	l := &lister{list: []link{}}
	base, err := url.Parse(config.Text("base", ""))
	if err != nil || base.String() != "" && !base.IsAbs() {
		return nil, taskhost.InvalidInputf("config base is not an absolute URL, such as https://example.com/page")
	}
	l.base = base
	if l.kinds, err = config.Choices("kinds", kinds...); err != nil {
		return nil, err
	}
	if l.unique, err = config.Flag("unique", false); err != nil {
		return nil, err
	}
	root, err := parse(source)
	if err != nil {
		return nil, err
	}
	for n := range root.Descendants() { // the first <base> counts, wherever it is
		if href, ok := attribute(n, "href"); ok && n.DataAtom == atom.Base {
			if u, err := base.Parse(strings.TrimSpace(href)); err == nil {
				l.base = u
			}
			break
		}
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			l.element(n)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(l.list)
	return b.Bytes(), err
}

type lister struct {
	base   *url.URL
	kinds  []string // that are wanted; nil: all
	unique bool
	seen   map[link]bool
	list   []link
}

func (l *lister) element(n *html.Node) {
	switch n.DataAtom {
	case atom.A, atom.Area:
		rel, _ := attribute(n, "rel")
		text := words(n)
		if alt, ok := attribute(n, "alt"); ok && n.DataAtom == atom.Area {
			text = alt
		}
		l.add(n, "href", link{Kind: "link", Text: text, Rel: rel})
	case atom.Img:
		alt, _ := attribute(n, "alt")
		l.add(n, "src", link{Kind: "image", Text: alt})
		l.set(n, link{Kind: "image", Text: alt})
	case atom.Source:
		kind := "media"
		if n.Parent != nil && n.Parent.DataAtom == atom.Picture {
			kind = "image"
		}
		l.add(n, "src", link{Kind: kind})
		l.set(n, link{Kind: kind})
	case atom.Video:
		l.add(n, "poster", link{Kind: "image"})
		l.add(n, "src", link{Kind: "media"})
	case atom.Audio, atom.Track, atom.Embed:
		l.add(n, "src", link{Kind: "media"})
	case atom.Object:
		l.add(n, "data", link{Kind: "media"})
	case atom.Script:
		l.add(n, "src", link{Kind: "script"})
	case atom.Link:
		rel, _ := attribute(n, "rel")
		kind := "other"
		switch words := strings.Fields(strings.ToLower(rel)); {
		case slices.Contains(words, "stylesheet"):
			kind = "style"
		case slices.Contains(words, "icon"), slices.Contains(words, "apple-touch-icon"):
			kind = "image"
		}
		l.add(n, "href", link{Kind: kind, Rel: rel})
	case atom.Iframe, atom.Frame:
		l.add(n, "src", link{Kind: "frame"})
	case atom.Form:
		l.add(n, "action", link{Kind: "form"})
	case atom.Button, atom.Input:
		l.add(n, "formaction", link{Kind: "form"})
	case atom.Blockquote, atom.Q, atom.Ins, atom.Del:
		l.add(n, "cite", link{Kind: "other"})
	}
}

// set adds what srcset lists: "a.png 1x, b.png 2x".
func (l *lister) set(n *html.Node, found link) {
	value, _ := attribute(n, "srcset")
	for candidate := range strings.SplitSeq(value, ", ") {
		if words := strings.Fields(candidate); len(words) > 0 {
			l.resolve(strings.TrimSuffix(words[0], ","), found)
		}
	}
}

func (l *lister) add(n *html.Node, key string, found link) {
	if value, ok := attribute(n, key); ok {
		l.resolve(value, found)
	}
}

func (l *lister) resolve(value string, found link) {
	if l.kinds != nil && !slices.Contains(l.kinds, found.Kind) {
		return
	}
	value = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(strings.TrimSpace(value)) // as a browser does
	found.URL = value
	if u, err := l.base.Parse(value); err != nil {
		found.Wrong = "no URL"
	} else {
		found.URL = u.String()
	}
	if l.unique {
		key := link{URL: found.URL, Kind: found.Kind}
		if l.seen[key] {
			return
		}
		if l.seen == nil {
			l.seen = map[link]bool{}
		}
		l.seen[key] = true
	}
	l.list = append(l.list, found)
}
