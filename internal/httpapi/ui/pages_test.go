package ui_test

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/html"

	"github.com/taskhost/taskhost/manager"
)

// reply is the answer to a request for a page.
type reply struct {
	status int
	header http.Header
	body   string
}

// request makes a request as a browser without scripts does. Headers are name, value, ….
func (s *system) request(t testing.TB, method, path string, form url.Values, headers ...string) reply {
	t.Helper()
	if form == nil {
		return s.raw(t, method, path, http.NoBody, headers...)
	}
	return s.raw(t, method, path, strings.NewReader(form.Encode()), append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
}

func (s *system) raw(t testing.TB, method, path string, body io.Reader, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(data)}
}

// document is a page that was parsed.
type document struct {
	t    testing.TB
	path string
	root *html.Node
}

func (s *system) page(t testing.TB, path string, headers ...string) *document {
	t.Helper()
	r := s.request(t, http.MethodGet, path, nil, headers...)
	if r.status != http.StatusOK {
		t.Fatalf("%s: status %d\n%s", path, r.status, r.body)
	}
	return parse(t, path, r.body)
}

func parse(t testing.TB, path, body string) *document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return &document{t, path, root}
}

// all are the elements of a name; "": of any.
func (d *document) all(name string) (list []*html.Node) {
	for n := range d.root.Descendants() {
		if n.Type == html.ElementNode && (name == "" || n.Data == name) {
			list = append(list, n)
		}
	}
	return list
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// buttons are what can be pressed.
func (d *document) buttons() (names []string) {
	for _, n := range d.all("button") {
		names = append(names, text(n))
	}
	return names
}

// wellFormed checks what holds for every page.
func (d *document) wellFormed() {
	d.t.Helper()
	ids := map[string]bool{}
	labels := map[string]bool{}
	for _, n := range d.all("label") {
		labels[attr(n, "for")] = true
	}
	for _, n := range d.all("") {
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				d.t.Errorf("%s: the id %q is there twice", d.path, id)
			}
			ids[id] = true
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				d.t.Errorf("%s: <%s %s>: the Content-Security-Policy forbids it", d.path, n.Data, a.Key)
			}
		}
		switch n.Data {
		case "script":
			if !has(n, "src") {
				d.t.Errorf("%s: a script inside the page", d.path)
			}
		case "input", "select", "textarea":
			inside := n.Parent != nil && n.Parent.Data == "label"
			if attr(n, "type") != "hidden" && !labels[attr(n, "id")] && attr(n, "aria-label") == "" && !inside {
				d.t.Errorf("%s: <%s name=%q> has no label", d.path, n.Data, attr(n, "name"))
			}
		case "th":
			if !has(n, "scope") && attr(n, "class") != "check" {
				d.t.Errorf("%s: <th>%s has no scope", d.path, text(n))
			}
		}
	}
	if n := len(d.all("h1")); n != 1 {
		d.t.Errorf("%s: %d elements h1", d.path, n)
	}
}

// crawl visits every page that links lead to, from the first one on, once for each kind of address.
func (s *system) crawl(t *testing.T) (pages int) {
	seen := map[string]bool{"/": true}
	for queue := []string{"/", "/login", "/tasks?status=failed&plugin=agent&label=customer%3Dacme&since=24h&limit=100"}; len(queue) > 0; queue = queue[1:] {
		d := s.page(t, queue[0], "Accept", "text/html")
		d.wellFormed()
		pages++
		for _, a := range d.all("a") {
			u, err := url.Parse(attr(a, "href"))
			if err != nil || u.Host != "" {
				t.Errorf("%s: a link to %q", queue[0], attr(a, "href"))
				continue
			}
			if u.Path == "" || strings.HasPrefix(u.Path, "/v1/") || u.Path == "/openapi.json" {
				continue
			}
			u.Fragment = ""
			if to := u.String(); !seen[to] && len(seen) < 50 {
				seen[to] = true
				queue = append(queue, to)
			}
		}
	}
	return pages
}

func TestEveryPageIsWellFormed(t *testing.T) {
	s := server(t)
	demoOnce(t)
	if pages := s.crawl(t); pages < 45 {
		t.Errorf("links lead to %d pages only", pages)
	}
}

func TestPagesOfAnEmptyServer(t *testing.T) {
	s, err := newSystem(manager.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/": "Nothing runs.", "/tasks": "There is no task yet.", "/plugins": "There is no plugin yet.", "/queues": "default", "/schedules": "There is no schedule yet.",
	} {
		d := s.page(t, path)
		d.wellFormed()
		if !strings.Contains(text(d.root), want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
}

func TestTextOfOthersIsEscaped(t *testing.T) {
	s := server(t)
	const evil = `</pre><script>alert(1)</script><img src=x onerror=alert(1)>`
	spec := manager.ProcessorTask(evil, "text")
	spec.Name, spec.Labels = evil, map[string]string{"what": evil}
	task := s.submit(t, spec)
	s.ended(t, task.ID)
	for _, path := range []string{"/", "/tasks", "/tasks/" + task.ID, "/plugins/text", "/tasks?label=" + url.QueryEscape("what="+evil), "/tasks?name=" + url.QueryEscape(evil)} {
		d := s.page(t, path)
		d.wellFormed()
		for _, n := range d.all("img") {
			t.Errorf("%s: <img src=%s>", path, attr(n, "src"))
		}
	}
	for _, path := range []string{"/tasks/%3Cscript%3E", "/plugins/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/%3Cimg%20src=x%3E", "/tasks?label=%3Cscript%3E"} {
		r := s.request(t, http.MethodGet, path, nil)
		if r.status/100 != 4 || strings.Contains(r.body, "<script>") || strings.Contains(r.body, "<img") {
			t.Errorf("%s: status %d\n%s", path, r.status, r.body)
		}
		parse(t, path, r.body).wellFormed()
	}
}

func TestButtonsFollowTheRole(t *testing.T) {
	s := server(t)
	running := s.submit(t, slow("roles", 2000, 10))
	defer s.stop(t, running.ID)
	failed := s.submit(t, manager.AgentTask("agent", "summarize", nil))
	s.ended(t, failed.ID)
	if err := s.tasks.SetLimit(t.Context(), manager.Limit{Queue: "roles", Concurrency: 3}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, button, from string }{
		{"/tasks/" + running.ID, "Cancel", "submit"},
		{"/tasks/" + failed.ID, "Retry", "submit"},
		{"/tasks/" + failed.ID, "Retry anew", "submit"},
		{"/tasks/" + failed.ID, "Delete", "operate"},
		{"/tasks", "Delete", "operate"},
		{"/plugins", "Upload", "admin"},
		{"/plugins/agent", "Run", "submit"},
		{"/plugins/agent", "Disable", "operate"},
		{"/plugins/agent", "Set", "operate"},
		{"/plugins/agent", "Remove", "admin"},
		{"/queues", "Pause", "operate"},
		{"/schedules", "Add", "operate"},
	} {
		allowed := false
		for _, role := range []string{"read", "submit", "operate", "admin"} {
			allowed = allowed || role == c.from
			if shown := slices.Contains(s.page(t, c.path, "X-Role", role).buttons(), c.button); shown != allowed {
				t.Errorf("%s: button %q for the role %s: %v", c.path, c.button, role, shown)
			}
		}
	}
	r := s.request(t, http.MethodPost, "/tasks/"+failed.ID+"/retry", url.Values{}, "X-Role", "read")
	if r.status != http.StatusForbidden || !strings.Contains(r.body, "this needs the role submit") {
		t.Errorf("a reader retries: status %d\n%s", r.status, r.body)
	}
	if r := s.request(t, http.MethodGet, "/", nil, "X-Role", "none"); r.status != http.StatusForbidden {
		t.Errorf("nobody reads: status %d", r.status)
	}
}

// TestLogOutComesWithTheFirstToken has a server that begins without tokens.
func TestLogOutComesWithTheFirstToken(t *testing.T) {
	s := server(t)
	var wanted atomic.Bool
	other := *s
	var err error
	if other.url, err = s.listen(withRole, wanted.Load); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true, false} {
		wanted.Store(want)
		if shown := slices.Contains(other.page(t, "/").buttons(), "Log out"); shown != want {
			t.Errorf("tokens are wanted: %v; Log out is shown: %v", want, shown)
		}
		if text := other.request(t, http.MethodGet, "/login", nil).body; strings.Contains(text, "This server wants a token.") != want {
			t.Errorf("tokens are wanted: %v; the page to log in:\n%s", want, text)
		}
	}
}

func (s *system) stop(t testing.TB, id string) {
	t.Helper()
	if err := s.tasks.Cancel(t.Context(), id); err != nil {
		t.Error(err)
	}
	s.ended(t, id)
}

func TestLogOfAPlugin(t *testing.T) {
	s := server(t)
	task := s.submit(t, manager.ProcessorTask("<b>careful</b>", "chatty:logs"))
	s.ended(t, task.ID)
	d := s.page(t, "/tasks/"+task.ID)
	d.wellFormed()
	shown := text(d.root)
	for _, want := range []string{"warn3 <b>careful</b>", "error4 <b>careful</b>", "info2"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the log has no %q:\n%s", want, shown)
		}
	}
}

func TestVendoredFiles(t *testing.T) {
	root := filepath.Join("assets", "vendor")
	table, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if !dir.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(root, dir.Name()))
		if err != nil {
			t.Fatal(err)
		}
		licence := false
		for _, file := range files {
			licence = licence || file.Name() == "LICENSE"
			if info, err := file.Info(); err != nil || info.Size() > 500<<10 {
				t.Errorf("%s/%s is larger than 500 KiB (%v)", dir.Name(), file.Name(), err)
			}
			if file.Name() != "LICENSE" && !strings.Contains(string(table), file.Name()) {
				t.Errorf("README.md does not name %s/%s", dir.Name(), file.Name())
			}
		}
		if !licence {
			t.Errorf("%s has no LICENSE", dir.Name())
		}
	}
}

func TestHeaders(t *testing.T) {
	s := server(t)
	for _, path := range []string{"/", "/nothing", "/assets/x/app.css"} {
		h := s.request(t, http.MethodGet, path, nil).header
		if p := h.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'self';") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, p)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: sniffing is allowed", path)
		}
	}
	if c := s.request(t, http.MethodGet, "/tasks", nil).header.Get("Cache-Control"); c != "no-store" {
		t.Errorf("a page: Cache-Control %q", c)
	}
	var style string
	for _, n := range s.page(t, "/").all("link") {
		if strings.HasSuffix(attr(n, "href"), "app.css") {
			style = attr(n, "href")
		}
	}
	r := s.request(t, http.MethodGet, style, nil)
	if r.status != http.StatusOK || !strings.Contains(r.header.Get("Cache-Control"), "immutable") || r.header.Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%s: %d %v", style, r.status, r.header)
	}
	if r := s.request(t, http.MethodGet, "/assets/old/app.css", nil); r.status != http.StatusOK || r.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("an address of another version: %d %v", r.status, r.header)
	}
	for _, path := range []string{"/assets/x/none.css", "/assets/x/../ui.go", "/assets/", "/assets/x"} {
		if r := s.request(t, http.MethodGet, path, nil); r.status/100 == 2 {
			t.Errorf("%s: %d", path, r.status)
		}
	}
}
