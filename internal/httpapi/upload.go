package httpapi

import (
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/plugindir"
)

// Bounds on uploads at a time; more wait.
const (
	maxUploads  = 8 // that come in, or are held in memory
	maxCompiles = 2 // that are compiled, rollbacks among them: those need not wait for an upload that comes slowly
)

// addUploads adds what changes the files of plugins.
func (a *API) addUploads() {
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	addRaw(a, operation{
		method: http.MethodPut, path: "/v1/plugins/{name}", id: "uploadPlugin", role: auth.RoleAdmin, tag: "plugins",
		summary: "Upload a version of a plugin",
		about: "The body is a module, a script in JavaScript, its manifest as JSON, or two of them as multipart/form-data with the parts `wasm` or `script`, " +
			"and `manifest`; what is missing stays as it is. The name of the file of the part `script` tells the language by its ending, such as .ts. The version is compiled and started before anything is changed, and its files are written into the plugin folder. A manifest cannot grant " +
			"folders that the plugin does not have yet, nor name modules by their paths: whoever may do that has access to the folder itself.",
		params: []*huma.Param{
			{Name: "name", In: "path", Required: true, Description: "of the plugin", Schema: &huma.Schema{Type: huma.TypeString}},
			queryParam("dry_run", "compile and start it, and change nothing", &huma.Schema{Type: huma.TypeBoolean}),
		},
		body: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/wasm": {Schema: binary},
			"text/javascript":  {Schema: &huma.Schema{Type: huma.TypeString}},
			"application/json": {Schema: schemaOf[abi.Manifest](a)},
			"multipart/form-data": {Schema: &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
				"wasm": binary, "script": binary, "manifest": schemaOf[abi.Manifest](a),
			}}},
		}},
		responses: map[int]*huma.Response{
			http.StatusOK:      jsonResponse[abi.VersionInfo](a, "It is current now; or it could be, for a dry run."),
			http.StatusCreated: jsonResponse[abi.VersionInfo](a, "The plugin is new."),
		},
		errors: []int{http.StatusConflict, http.StatusUnprocessableEntity},
	}, a.upload)
	add(a, operation{
		method: http.MethodDelete, path: "/v1/plugins/{name}", id: "removePlugin", role: auth.RoleAdmin, tag: "plugins",
		summary: "Remove a plugin", about: "Its file goes, with all versions that are kept. Calls that run come to their end.",
		errors: []int{http.StatusNotFound, http.StatusConflict},
	}, a.remove)
}

// take takes one of the slots, when there is one; the caller calls release.
func take(ctx context.Context, slots chan struct{}) (release func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *API) upload(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	dryRun, err := uploadQuery(r)
	if err == nil && !abi.ValidName(name) {
		err = abi.Errorf(abi.CodeInvalid, "%.128q cannot name a plugin: use letters, digits, dot, dash and underscore, beginning with a letter or digit", name)
	}
	if err == nil && a.cfg.Plugins == nil && !dryRun {
		err = errNoFolder()
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	release, err := take(r.Context(), a.uploads)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	defer release()
	b := a.newBody(w, r, a.cfg.Limits.MaxUpload)
	counted, done := a.bodies.within(w, r, b)
	defer done()
	files, err := a.readUpload(r, b, counted)
	status := http.StatusOK
	var v abi.VersionInfo
	if err == nil {
		v, status, err = a.bring(r.Context(), name, files, dryRun)
	}
	if !dryRun {
		a.cfg.Audit(r.Context(), "plugin.upload", name+" "+string(v.Digest), err)
	}
	a.beginAnswer(w) // it may have waited for others
	if err != nil {
		p := a.problem(r.Context(), err)
		if p.Code == abi.CodeTimeout { // its start took too long: that is about the plugin
			p.setStatus(http.StatusUnprocessableEntity)
		}
		p.write(w, r)
		return
	}
	writeJSON(w, r, status, "application/json", &v)
}

// bring makes a version of what was uploaded.
func (a *API) bring(ctx context.Context, name string, f plugindir.Files, dryRun bool) (v abi.VersionInfo, status int, err error) {
	release, err := take(ctx, a.compiles)
	if err != nil {
		return v, 0, err
	}
	defer release()
	if err := a.complete(name, &f); err != nil {
		return v, 0, err
	}
	if dryRun {
		v, err = a.tryUpload(ctx, name, f)
		return v, http.StatusOK, err
	}
	status = http.StatusOK
	if _, err := a.cfg.Host.Inspect(name); err != nil {
		status = http.StatusCreated
	}
	v, err = a.install(ctx, name, f)
	return v, status, err
}

func uploadQuery(r *http.Request) (dryRun bool, err error) {
	q := r.URL.Query()
	if err := onlyQuery(q, "dry_run"); err != nil {
		return false, err
	}
	switch v := q.Get("dry_run"); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, abi.Errorf(abi.CodeInvalid, "dry_run is %.40q; it must be true or false", v)
	}
}

// readUpload reads the files that a request has. counted reads b.
func (a *API) readUpload(r *http.Request, b *bodyReader, counted io.Reader) (f plugindir.Files, err error) {
	defer b.done()
	t, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return f, abi.Errorf(abi.CodeInvalid, "the content type cannot be read: give application/wasm, text/javascript, application/json or multipart/form-data")
	}
	switch t {
	case "application/wasm":
		f.Wasm, err = io.ReadAll(counted)
	case "application/json":
		f.Manifest, err = io.ReadAll(counted)
	case "text/javascript", "application/javascript":
		f.Extension = ".js"
		f.Script, err = io.ReadAll(counted)
	case "multipart/form-data":
		// The reader of the parts wants a request, whose body is the one that moves deadlines.
		if params["boundary"] == "" {
			return f, abi.Errorf(abi.CodeInvalid, "multipart/form-data without a boundary")
		}
		part := *r
		part.Body = io.NopCloser(counted)
		err = readParts(&part, &f)
	default:
		return f, abi.Errorf(abi.CodeInvalid, "the content type is %.100q; give application/wasm, text/javascript, application/json or multipart/form-data", t)
	}
	if err != nil {
		if _, ours := errors.AsType[*abi.Error](err); ours && b.err == nil {
			return f, err
		}
		if b.err != nil {
			err = b.err
		}
		return f, bodyProblem(err)
	}
	if f.Wasm != nil && f.Script != nil {
		return f, abi.Errorf(abi.CodeInvalid, "the upload has a module and a script: a plugin is one or the other")
	}
	if len(f.Wasm) == 0 && len(f.Script) == 0 && len(f.Manifest) == 0 {
		return f, abi.Errorf(abi.CodeInvalid, "the upload is empty")
	}
	return f, nil
}

func readParts(r *http.Request, f *plugindir.Files) error {
	parts, err := r.MultipartReader()
	if err != nil {
		return err
	}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var to *[]byte
		switch p.FormName() {
		case "wasm":
			to = &f.Wasm
		case "script":
			to, f.Extension = &f.Script, path.Ext(p.FileName())
		case "manifest":
			to = &f.Manifest
		default:
			return abi.Errorf(abi.CodeInvalid, "%.60q is no part of an upload: wasm, script and manifest are", p.FormName())
		}
		if *to != nil {
			return abi.Errorf(abi.CodeInvalid, "the upload has the part %s twice", p.FormName())
		}
		if *to, err = io.ReadAll(p); err != nil {
			return err
		}
	}
}

// complete fills in what an upload leaves as it is, and refuses what only those may do who have access to the folder.
func (a *API) complete(name string, f *plugindir.Files) error {
	var current plugindir.Files
	if a.cfg.Plugins != nil {
		var err error
		if current, err = a.cfg.Plugins.Current(name); err != nil && abi.CodeOf(err) != abi.CodeNotFound {
			return err
		}
	}
	given := f.Manifest != nil
	if f.Manifest == nil {
		f.Manifest = current.Manifest
	}
	if f.Script != nil {
		if known := a.cfg.Host.ScriptExtensions(); !slices.Contains(known, f.Extension) {
			return abi.Errorf(abi.CodeInvalid, "nothing here runs a script whose file ends in %.40q: the server knows %s", f.Extension, strings.Join(known, ", "))
		}
	}
	if !f.HasCode() {
		f.Wasm, f.Script, f.Extension = current.Wasm, current.Script, current.Extension
	}
	if f.Manifest == nil {
		return nil
	}
	m, err := host.ParseManifest("manifest", f.Manifest)
	if err != nil {
		return err
	}
	if len(m.Wasm) > 0 && !given {
		return abi.Errorf(abi.CodeConflict, "the manifest of the plugin %s lists its modules: upload a manifest too", name)
	}
	for _, w := range m.Wasm {
		if w.Path != "" {
			return abi.Errorf(abi.CodeDenied, "an uploaded manifest cannot name modules by their paths: upload the module, or give it as data")
		}
	}
	if len(m.Wasm) > 0 {
		f.Wasm, f.Script, f.Extension = nil, nil, ""
	} else if !f.HasCode() {
		return abi.Errorf(abi.CodeInvalid, "there is no module: the plugin %s has none yet, so upload one with the manifest", name)
	}
	return a.checkGrants(m, current.Manifest)
}

// checkGrants refuses folders that the plugin's file does not grant already.
func (a *API) checkGrants(m *abi.Manifest, current []byte) error {
	if len(m.AllowedPaths) == 0 {
		return nil
	}
	var has map[string]string
	if current != nil {
		if old, err := host.ParseManifest("manifest", current); err == nil {
			has = old.AllowedPaths
		}
	}
	for from, to := range maps.All(m.AllowedPaths) {
		if v, ok := has[from]; !ok || v != to {
			return abi.Errorf(abi.CodeDenied, "an uploaded manifest cannot grant the folder %.200q: write it into the manifest in the plugin folder", from)
		}
	}
	return nil
}

// source is what the host makes a version from.
func (a *API) source(name string, f plugindir.Files) (host.Source, error) {
	if a.cfg.Plugins == nil {
		return f.Source(name, "")
	}
	return f.Source(name, a.cfg.Plugins.Path())
}

// install makes an upload the current version, in the host and in the folder.
func (a *API) install(ctx context.Context, name string, f plugindir.Files) (v abi.VersionInfo, err error) {
	src, err := a.source(name, f)
	if err != nil {
		return v, err
	}
	digest, err := src.Digest(a.cfg.Limits.MaxUpload)
	if err != nil {
		return v, err
	}
	defer a.cfg.Host.Hold(name)()
	err = a.cfg.Plugins.Put(name, digest, f, func() (err error) {
		v, err = a.cfg.Host.Swap(ctx, name, src)
		return err
	})
	return v, err
}

// tryUpload compiles and starts an upload in a host of its own.
func (a *API) tryUpload(ctx context.Context, name string, f plugindir.Files) (v abi.VersionInfo, err error) {
	src, err := a.source(name, f)
	if err != nil {
		return v, err
	}
	cfg := a.cfg.DryRun
	cfg.Dir, cfg.Only, cfg.OnEvent, cfg.Logger, cfg.Interpreters = "", nil, nil, nil, a.cfg.Host.Interpreters()
	h, err := host.New(ctx, cfg)
	if err != nil {
		return v, err
	}
	defer func() { _ = h.Close(context.WithoutCancel(ctx)) }()
	v, err = h.Swap(ctx, name, src)
	v.Current = false
	return v, err
}
