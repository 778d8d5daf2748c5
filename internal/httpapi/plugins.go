package httpapi

import (
	"context"
	"net/http"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

// Plugin is a plugin, and what the manager knows of it.
type Plugin struct {
	abi.PluginInfo
	Disabled bool          `json:"disabled" doc:"its tasks wait"`
	Limit    manager.Limit `json:"limit"`
	// Usage is what its calls cost since the server was started.
	Usage abi.PluginUsage `json:"usage" doc:"what its calls cost together since the server was started"`
}

type pluginList struct {
	Plugins []Plugin `json:"plugins"`
}

type versionList struct {
	Versions []abi.VersionInfo `json:"versions" doc:"newest first"`
}

// PluginPath names a plugin in a path.
type PluginPath struct {
	Name string `path:"name" maxLength:"128" doc:"of the plugin"`
}

func (a *API) addPlugins() {
	add(a, operation{
		method: http.MethodGet, path: "/v1/plugins", id: "listPlugins", role: auth.RoleRead, tag: "plugins", summary: "List plugins, by name",
	}, func(ctx context.Context, _ *none) (*body[pluginList], error) {
		limits, err := a.pluginLimits(ctx)
		list := []Plugin{}
		for _, p := range a.cfg.Host.Plugins() {
			list = append(list, a.newPlugin(&p, limits[p.Name]))
		}
		return &body[pluginList]{pluginList{list}}, err
	})
	add(a, operation{
		method: http.MethodGet, path: "/v1/plugins/{name}", id: "getPlugin", role: auth.RoleRead, tag: "plugins",
		summary: "Everything that is known of a plugin", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *PluginPath) (*body[Plugin], error) { return a.plugin(ctx, in.Name) })
	add(a, operation{
		method: http.MethodGet, path: "/v1/plugins/{name}/versions", id: "listVersions", role: auth.RoleRead, tag: "plugins",
		summary: "Versions that can be rolled back to, and the current one", errors: []int{http.StatusNotFound},
	}, func(_ context.Context, in *PluginPath) (*body[versionList], error) {
		list, err := a.versions(in.Name)
		return &body[versionList]{versionList{list}}, err
	})
	for _, o := range []struct {
		name   string
		paused bool
		about  string
	}{{"disable", true, "Let tasks of a plugin wait"}, {"enable", false, "Let tasks of a plugin begin again"}} {
		add(a, operation{
			method: http.MethodPost, path: "/v1/plugins/{name}/" + o.name, id: o.name + "Plugin", role: auth.RoleOperate, tag: "plugins",
			summary: o.about, about: "What runs goes on; nothing is lost.", errors: []int{http.StatusNotFound},
		}, func(ctx context.Context, in *PluginPath) (*body[Plugin], error) {
			return a.setPluginLimit(ctx, "plugin."+o.name, in.Name, func(l *manager.Limit) { l.Paused = o.paused })
		})
	}
	add(a, operation{
		method: http.MethodPut, path: "/v1/plugins/{name}/limit", id: "limitPlugin", role: auth.RoleOperate, tag: "plugins",
		summary: "Replace the limit of a plugin", about: "It bounds the tasks that use the plugin in any step.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *struct {
		PluginPath
		Body newLimit
	},
	) (*body[Plugin], error) {
		return a.setPluginLimit(ctx, "plugin.limit", in.Name, func(l *manager.Limit) { *l = in.Body.limit() })
	})
	a.addUploads()
	add(a, operation{
		method: http.MethodPost, path: "/v1/plugins/{name}/rollback", id: "rollbackPlugin", role: auth.RoleOperate, tag: "plugins",
		summary: "Make an older version of a plugin current",
		about: "Without a digest that is the version before the current one. It lasts over a restart. " +
			"A version that grants folders or hosts which the plugin's manifest does not grant now needs the role admin.",
		errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, a.rollback)
}

func (a *API) newPlugin(p *abi.PluginInfo, l manager.Limit) Plugin {
	l.Plugin = p.Name
	info := *p
	info.Config = make(map[string]string, len(p.Config))
	for key := range p.Config { // they may be passwords, and everybody who may read sees plugins
		info.Config[key] = "(hidden)"
	}
	return Plugin{PluginInfo: info, Disabled: l.Paused, Limit: l, Usage: a.cfg.Events.usage(p.Name)}
}

// pluginLimits are the limits of plugins by their names.
func (a *API) pluginLimits(ctx context.Context) (map[string]manager.Limit, error) {
	list, err := a.cfg.Tasks.Queues(ctx)
	limits := make(map[string]manager.Limit, len(list))
	for _, q := range list {
		if q.Plugin != "" {
			limits[q.Plugin] = q.Limit
		}
	}
	return limits, err
}

func (a *API) plugin(ctx context.Context, name string) (*body[Plugin], error) {
	p, err := a.cfg.Host.Inspect(name)
	if err != nil {
		return nil, err
	}
	limits, err := a.pluginLimits(ctx)
	return &body[Plugin]{a.newPlugin(&p, limits[name])}, err
}

func (a *API) setPluginLimit(ctx context.Context, action, name string, change func(*manager.Limit)) (_ *body[Plugin], err error) {
	defer func() { a.cfg.Audit(ctx, action, name, err) }()
	if _, err = a.cfg.Host.Inspect(name); err != nil {
		return nil, err
	}
	limits, err := a.pluginLimits(ctx)
	if err != nil {
		return nil, err
	}
	l := limits[name]
	change(&l)
	l.Queue, l.Plugin = "", name
	if err = l.Validate(); err != nil {
		return nil, err
	}
	if err = a.cfg.Tasks.SetLimit(ctx, l); err != nil {
		return nil, err
	}
	return a.plugin(ctx, name)
}
