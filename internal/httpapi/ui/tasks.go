package ui

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/manager"
)

// pageSizes are how many tasks a page of the list may show.
var pageSizes = []int{50, 100, 200}

// since are the ages that the list can be narrowed to.
var since = []struct {
	Value, Text string
	age         time.Duration
}{{"5m", "last 5 minutes", 5 * time.Minute}, {"1h", "last hour", time.Hour}, {"24h", "last 24 hours", 24 * time.Hour}}

type tasksView struct {
	base
	Filter  manager.Filter
	Form    url.Values // as it was sent
	Page    manager.Page
	Problem string // why there is no page
	Counts  manager.Counts
	Plugins []string
	Queues  []string
	Sizes   []int
	Self    string // the address of this page of the list, without what was said
	Next    string // the address of the next one
	First   string // the address of the first one; empty: this is it
	Clear   bool   // something narrows the list
	Part    bool   // only the list is asked for; what else has changed comes beside it
	More    bool   // one of the fields that are usually folded is filled in
}

// Checked tells whether a status is ticked.
func (v *tasksView) Checked(s manager.Status) bool { return slices.Contains(v.Filter.Status, s) }

// Field is what a field of the form held.
func (v *tasksView) Field(name string) string { return v.Form.Get(name) }

// Kinds are what tasks can be made of.
func (v *tasksView) Kinds() []string {
	return []string{string(manager.KindProcessor), string(manager.KindAgent), string(manager.KindFunc)}
}

// Since are the choices of the form.
func (v *tasksView) Since() any { return since }

func (s *server) tasks(q *request) error {
	form := q.r.URL.Query()
	if id := strings.TrimSpace(form.Get("id")); id != "" {
		return q.find(id)
	}
	f, clean, err := readFilter(form)
	v := tasksView{base: q.base("tasks", "Tasks"), Filter: f, Form: clean, Sizes: pageSizes, Part: q.partial}
	status := http.StatusOK
	if err == nil {
		v.Page, err = s.api.List(q.ctx(), f)
	}
	if err != nil {
		if abi.CodeOf(err) != abi.CodeInvalid {
			return err
		}
		v.Problem = abi.AsError(err).Message // the form stays, to be mended
		if !q.partial {
			status = http.StatusBadRequest
		}
	}
	address := func(cursor string) string {
		to := maps.Clone(clean)
		to.Del("cursor")
		if cursor != "" {
			to.Set("cursor", cursor)
		}
		return strings.TrimSuffix("/tasks?"+to.Encode(), "?")
	}
	v.Self = address(f.Cursor)
	if v.Page.Next != "" {
		v.Next = address(v.Page.Next)
	}
	if f.Cursor != "" {
		v.First = address("")
	}
	for name := range clean {
		v.Clear = v.Clear || !slices.Contains([]string{"limit", "cursor"}, name)
		v.More = v.More || slices.Contains([]string{"name", "after", "before", "kind", "limit"}, name)
	}
	if at, err := url.Parse(q.r.Header.Get("HX-Current-Url")); q.partial && q.r.Header.Get("HX-Trigger") == "filter" && err == nil && at.RequestURI() != v.Self {
		q.w.Header().Set("HX-Push-Url", v.Self)
	}
	if err := s.tasksChoices(q, &v); err != nil {
		return err
	}
	return q.render(status, "tasks", "list", &v)
}

// tasksChoices fills in what the form offers.
func (s *server) tasksChoices(q *request, v *tasksView) error {
	stats, err := s.api.Stats(q.ctx())
	if err != nil {
		return err
	}
	v.Counts = stats.Tasks.Counts
	if q.partial {
		return nil
	}
	plugins, err := s.api.Plugins(q.ctx())
	if err != nil {
		return err
	}
	for _, p := range plugins {
		v.Plugins = append(v.Plugins, p.Name)
	}
	queues, err := s.api.Queues(q.ctx())
	if err != nil {
		return err
	}
	for _, status := range queues {
		if status.Queue != "" {
			v.Queues = append(v.Queues, status.Queue)
		}
	}
	return nil
}

// find goes to the task of an id.
func (q *request) find(id string) error {
	if _, err := q.s.api.Look(q.ctx(), id); err != nil {
		return err
	}
	to := "/tasks/" + url.PathEscape(id)
	if q.partial {
		q.w.Header().Set("HX-Redirect", to)
		return nil
	}
	http.Redirect(q.w, q.r, to, http.StatusSeeOther)
	return nil
}

// readFilter reads the form of the list, and returns the fields that say something.
func readFilter(form url.Values) (f manager.Filter, clean url.Values, err error) {
	clean = url.Values{}
	text := func(name string) string {
		value := strings.TrimSpace(form.Get(name))
		if value != "" {
			clean.Set(name, value)
		}
		return value
	}
	for _, s := range form["status"] {
		if slices.Contains(manager.Statuses(), manager.Status(s)) && !slices.Contains(f.Status, manager.Status(s)) {
			f.Status = append(f.Status, manager.Status(s))
			clean.Add("status", s)
		}
	}
	f.Kind, f.Name, f.Plugin, f.Queue = manager.Kind(text("kind")), text("name"), text("plugin"), text("queue")
	if label := text("label"); label != "" {
		name, value, ok := strings.Cut(label, "=")
		if !ok {
			err = abi.Errorf(abi.CodeInvalid, "label: write name=value, as in customer=42")
		}
		f.Labels = map[string]string{strings.TrimSpace(name): strings.TrimSpace(value)}
	}
	if choice := text("since"); choice != "" {
		for _, c := range since {
			if c.Value == choice {
				f.After = time.Now().Add(-c.age)
			}
		}
	}
	for _, field := range []struct {
		name string
		to   *time.Time
	}{{"after", &f.After}, {"before", &f.Before}} {
		t, bad := readTime(text(field.name), *field.to)
		if *field.to = t; err == nil {
			err = bad
		}
	}
	f.Limit = pageSizes[0]
	if n, err := strconv.Atoi(form.Get("limit")); err == nil && slices.Contains(pageSizes, n) && n != f.Limit {
		f.Limit = n
		clean.Set("limit", form.Get("limit"))
	}
	f.Cursor = text("cursor")
	return f, clean, err
}

// readTime reads what a field for a time holds, in UTC.
func readTime(text string, otherwise time.Time) (time.Time, error) {
	if text == "" {
		return otherwise, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return otherwise, abi.Errorf(abi.CodeInvalid, "%.40q is no time: write it as 2006-01-02T15:04", text)
}

// bulk does something to the ticked tasks, or to all that match.
func (s *server) bulk(q *request) error {
	if err := q.r.ParseForm(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	action, back := q.r.PostFormValue("do"), q.back("/tasks")
	choice, text, err := selection(q.r.PostForm, back)
	if err != nil {
		return err
	}
	if action == "delete" || q.r.PostFormValue("all") != "" {
		ok, err := q.confirmed("tasks", "Are you sure?", title(action)+" "+text+"?", title(action))
		if !ok {
			return err
		}
	}
	var done client.Done
	switch action {
	case "cancel":
		done, err = s.api.CancelAll(q.ctx(), choice)
	case "retry":
		done, err = s.api.RetryAll(q.ctx(), choice, q.r.PostFormValue("anew") != "")
	case "delete":
		done, err = s.api.DeleteAll(q.ctx(), choice)
	default:
		return abi.Errorf(abi.CodeInvalid, "tasks can be cancelled, retried and deleted")
	}
	if err != nil {
		return err
	}
	if done.Count == 0 && len(done.Errors) > 0 {
		return done.Errors[0].Error
	}
	return q.done(back, "bulk-"+action, done.Count)
}

// selection is what a form of the list selects: ids, or everything that the list's filter matches.
func selection(form url.Values, back string) (client.Selection, string, error) {
	if form.Get("all") == "" {
		ids := form["id"]
		if len(ids) == 0 {
			return client.Selection{}, "", abi.Errorf(abi.CodeInvalid, "no task is selected")
		}
		return client.Selection{IDs: ids}, plural(len(ids), "task", "tasks"), nil
	}
	u, err := url.Parse(back)
	if err != nil {
		return client.Selection{}, "", abi.Errorf(abi.CodeInvalid, "the filter cannot be read: %w", err)
	}
	f, clean, err := readFilter(u.Query())
	f.Limit, f.Cursor = 0, ""
	clean.Del("cursor")
	clean.Del("limit")
	text := "every task"
	if words := describe(clean); words != "" {
		text = "every task with " + words
	}
	return client.Selection{Filter: f}, text, err
}

func describe(form url.Values) string {
	var words []string
	for _, name := range []string{"status", "kind", "plugin", "queue", "name", "label", "since", "after", "before"} {
		if values := form[name]; len(values) > 0 {
			words = append(words, name+" "+strings.Join(values, " or "))
		}
	}
	return strings.Join(words, ", ")
}

// idPattern is what an id of a task looks like.
var idPattern = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
