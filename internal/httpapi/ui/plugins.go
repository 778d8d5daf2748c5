package ui

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

type pluginsView struct {
	base
	Plugins []client.Plugin
}

type pluginView struct {
	base
	Plugin   client.Plugin
	Function string // chosen to be tried
	Config   []labelView
	Recent   []manager.Task
	Versions []abi.VersionInfo // those that the server can go back to among them
}

// Agent tells whether the plugin looks like one whose functions take a JSON object: several functions with described arguments.
func (v *pluginView) Agent() bool {
	return slices.ContainsFunc(v.Plugin.Functions, func(f abi.FunctionInfo) bool { return strings.Contains(f.Description, "rguments") })
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func (s *server) plugins(q *request) error {
	v := pluginsView{base: q.base("plugins", "Plugins")}
	var err error
	if v.Plugins, err = s.api.Plugins(q.ctx()); err != nil {
		return err
	}
	return q.render(http.StatusOK, "plugins", "plugins", &v)
}

func (s *server) plugin(q *request) error {
	name := q.r.PathValue("name")
	p, err := s.api.Plugin(q.ctx(), name)
	if err != nil {
		return err
	}
	v := pluginView{base: q.base("plugins", p.Name), Plugin: p, Function: cmp.Or(q.r.URL.Query().Get("function"), p.Default)}
	for _, key := range sortedKeys(p.Config) {
		v.Config = append(v.Config, labelView{key, p.Config[key]})
	}
	if v.Versions, err = s.api.Versions(q.ctx(), p.Name); err != nil {
		return err
	}
	page, err := s.api.List(q.ctx(), manager.Filter{Plugin: p.Name, Limit: 6})
	if err != nil {
		return err
	}
	v.Recent = page.Tasks
	return q.render(http.StatusOK, "plugin", "about", &v)
}

func (s *server) pluginAction(q *request) error {
	name, action := q.r.PathValue("name"), q.r.PathValue("action")
	if action == "try" {
		return s.try(q, name)
	}
	if err := q.r.ParseForm(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	to := "/plugins/" + url.PathEscape(name)
	var err error
	switch action {
	case "rollback":
		_, err = s.api.Rollback(q.ctx(), name, abi.Digest(q.r.PostFormValue("digest")))
	case "disable":
		_, err = s.api.Disable(q.ctx(), name)
	case "enable":
		_, err = s.api.Enable(q.ctx(), name)
	case "limit":
		limit, bad := readLimit(q.r.PostForm)
		if bad != nil {
			return bad
		}
		limit.Plugin = name
		err = s.api.SetLimit(q.ctx(), limit)
	case "remove":
		ok, err := q.confirmed("plugins", "Remove the plugin?", "Remove the plugin "+name+" and its file? What runs goes on; tasks that wait for it will fail.", "Remove")
		if !ok {
			return err
		}
		if err := s.api.RemovePlugin(q.ctx(), name); err != nil {
			return err
		}
		to = "/plugins"
	default:
		return abi.Errorf(abi.CodeNotFound, "a plugin has no action %.40q", action)
	}
	if err != nil {
		return err
	}
	return q.done(to, action, 0)
}

// try submits one call of a function. htmx gets the task as a part of the page, a browser without scripts the task's own page.
func (s *server) try(q *request, name string) error {
	if err := q.r.ParseForm(); err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	form := q.r.PostForm
	input := strings.ReplaceAll(form.Get("input"), "\r\n", "\n")
	spec := manager.Spec{Steps: []manager.Step{{Plugin: name, Function: form.Get("function")}}, Labels: map[string]string{"from": "page"}}
	if form.Get("kind") == "agent" {
		spec.Kind = manager.KindAgent
		if strings.TrimSpace(input) == "" {
			input = "{}"
		}
		var args map[string]json.RawMessage
		if err := json.Unmarshal([]byte(input), &args); err != nil {
			return abi.Errorf(abi.CodeInvalid, "the arguments are no JSON object: %w", err)
		}
		spec.Input = []byte(input)
	} else {
		spec.Kind = manager.KindProcessor
		spec.Input = []byte(input)
	}
	t, err := s.api.Submit(q.ctx(), spec, client.SubmitOptions{})
	if err != nil {
		return err
	}
	if !q.partial {
		http.Redirect(q.w, q.r, "/tasks/"+url.PathEscape(t.ID), http.StatusSeeOther)
		return nil
	}
	v := taskView{base: q.base("plugins", name), Task: t}
	v.fill(nil)
	return q.render(http.StatusOK, "task", "tried", &v)
}

// upload takes a plugin from a form, for browsers without scripts.
func (s *server) upload(q *request) error {
	if err := auth.Require(q.ctx(), auth.RoleAdmin); err != nil { // before the body is read
		return err
	}
	form, err := q.r.MultipartReader()
	if err != nil {
		return abi.Errorf(abi.CodeInvalid, "the form cannot be read: %w", err)
	}
	var name, file string
	var up client.Upload
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return readError(err)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return readError(err)
		}
		switch {
		case part.FormName() == "name":
			name = strings.TrimSpace(string(data))
		case part.FormName() == "dry_run":
			up.DryRun = true
		case len(data) == 0:
		case strings.HasSuffix(part.FileName(), ".json"):
			up.Manifest, file = data, cmp.Or(file, fileName(part))
		case path.Ext(part.FileName()) == ".wasm" || bytes.HasPrefix(data, []byte("\x00asm")):
			up.Wasm, file = data, fileName(part)
		default:
			up.Script, file = data, fileName(part)
			up.Extension = path.Ext(file)
		}
	}
	name = cmp.Or(name, strings.TrimSuffix(file, path.Ext(file)))
	if up.Wasm == nil && up.Script == nil && up.Manifest == nil {
		return abi.Errorf(abi.CodeInvalid, "choose a .wasm or .js file")
	}
	if name == "" || !utf8.ValidString(name) {
		return abi.Errorf(abi.CodeInvalid, "the plugin needs a name")
	}
	if _, err := s.api.Upload(q.ctx(), name, up); err != nil {
		return err
	}
	if up.DryRun {
		return q.done("/plugins", "checked", 0)
	}
	return q.done("/plugins/"+url.PathEscape(name), "upload", 0)
}

// readError keeps the error that says that there was too much.
func readError(err error) error {
	return abi.Errorf(abi.CodeInvalid, "the upload cannot be read: %w", err)
}

func fileName(part *multipart.Part) string {
	return path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
}
