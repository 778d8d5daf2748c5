package client

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"net/textproto"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/manager"
)

// Plugin is everything that a server knows of a plugin.
type Plugin struct {
	abi.PluginInfo
	Disabled bool          `json:"disabled"` // its tasks wait
	Limit    manager.Limit `json:"limit"`
	// Usage is what its calls cost since the server was started.
	Usage abi.PluginUsage `json:"usage"`
}

// Plugins lists the plugins, by name.
func (c *Client) Plugins(ctx context.Context) ([]Plugin, error) {
	var list struct {
		Plugins []Plugin `json:"plugins"`
	}
	err := c.call(ctx, newRequest(http.MethodGet, "plugins"), &list)
	return list.Plugins, err
}

// Plugin returns one plugin. CodeNotFound: there is none of that name.
func (c *Client) Plugin(ctx context.Context, name string) (Plugin, error) {
	var p Plugin
	err := c.call(ctx, newRequest(http.MethodGet, "plugins", name), &p)
	return p, err
}

// Versions lists the versions of a plugin that the server holds, newest first.
func (c *Client) Versions(ctx context.Context, name string) ([]abi.VersionInfo, error) {
	var list struct {
		Versions []abi.VersionInfo `json:"versions"`
	}
	err := c.call(ctx, newRequest(http.MethodGet, "plugins", name, "versions"), &list)
	return list.Versions, err
}

// Upload is what a plugin is made of: a module or a script, and a manifest. One of the two may be missing: a plugin that is there keeps what
// is not given.
type Upload struct {
	Wasm      []byte // the module
	Script    []byte // instead of it, the text of a script
	Extension string // of the script's file, which tells the language, such as ".js"
	Manifest  []byte // JSON
	DryRun    bool   // compile and start it, but leave everything as it is
}

// Upload makes a plugin, or gives one a new version. It becomes current once it has been compiled and started; CodeRefused tells why not, and
// leaves everything as it was.
func (c *Client) Upload(ctx context.Context, name string, u Upload) (abi.VersionInfo, error) {
	r := newRequest(http.MethodPut, "plugins", name)
	r.timeout = 10 * c.cfg.Timeout
	if u.DryRun {
		r.query.Set("dry_run", "true")
	}
	var parts []part
	if u.Wasm != nil {
		parts = append(parts, part{"wasm", name + ".wasm", "application/wasm", u.Wasm})
	}
	if u.Script != nil {
		parts = append(parts, part{"script", name + u.Extension, "text/plain", u.Script})
	}
	if u.Manifest != nil {
		parts = append(parts, part{"manifest", name + ".json", "application/json", u.Manifest})
	}
	switch {
	case len(parts) == 0:
		return abi.VersionInfo{}, abi.Errorf(abi.CodeInvalid, "there is neither a module nor a script nor a manifest to upload")
	case len(parts) == 1 && u.Script == nil:
		r.body, r.contentType = parts[0].data, parts[0].kind
	default:
		if err := r.form(parts); err != nil {
			return abi.VersionInfo{}, abi.Errorf(abi.CodeInternal, "the upload cannot be put together: %w", err)
		}
	}
	var v abi.VersionInfo
	err := c.call(ctx, r, &v)
	return v, err
}

// part is one file of an upload.
type part struct {
	name, file, kind string
	data             []byte
}

// form makes the parts the request's body.
func (r *request) form(parts []part) error {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", multipart.FileContentDisposition(p.name, p.file))
		h.Set("Content-Type", p.kind)
		w, err := form.CreatePart(h)
		if err == nil {
			_, err = w.Write(p.data)
		}
		if err != nil {
			return err
		}
	}
	if err := form.Close(); err != nil {
		return err
	}
	r.body, r.contentType = body.Bytes(), form.FormDataContentType()
	return nil
}

// Rollback makes an older version of a plugin current again: the one before, or that of a digest.
func (c *Client) Rollback(ctx context.Context, name string, digest abi.Digest) (abi.VersionInfo, error) {
	var v abi.VersionInfo
	r, err := newRequest(http.MethodPost, "plugins", name, "rollback").with(struct {
		Digest abi.Digest `json:"digest,omitempty"`
	}{digest})
	if err == nil {
		err = c.call(ctx, r, &v)
	}
	return v, err
}

// Disable has the tasks of a plugin wait; those that run go on.
func (c *Client) Disable(ctx context.Context, name string) (Plugin, error) {
	return c.setPlugin(ctx, name, "disable")
}

// Enable undoes Disable.
func (c *Client) Enable(ctx context.Context, name string) (Plugin, error) {
	return c.setPlugin(ctx, name, "enable")
}

func (c *Client) setPlugin(ctx context.Context, name, what string) (Plugin, error) {
	r := newRequest(http.MethodPost, "plugins", name, what)
	r.repeat = true
	var p Plugin
	err := c.call(ctx, r, &p)
	return p, err
}

// RemovePlugin removes a plugin and its file. Tasks that run go on; those that wait will fail.
func (c *Client) RemovePlugin(ctx context.Context, name string) error {
	return c.call(ctx, newRequest(http.MethodDelete, "plugins", name), nil)
}
