package httpapi

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/internal/plugindir"
)

// versions are those that the host holds and those that are kept in files, the one that became current last first.
func (a *API) versions(name string) ([]abi.VersionInfo, error) {
	list, err := a.cfg.Host.Versions(name)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	if a.cfg.Plugins == nil {
		return list, nil
	}
	kept, err := a.cfg.Plugins.Versions(name)
	if err != nil {
		return nil, err
	}
	for _, k := range kept {
		i := slices.IndexFunc(list, func(v abi.VersionInfo) bool { return v.Digest == k.Digest })
		if i < 0 {
			list = append(list, abi.VersionInfo{Digest: k.Digest, Size: k.Size})
			i = len(list) - 1
		}
		list[i].LoadedAt = k.Time.UTC() // that of the host begins anew with each process
	}
	slices.SortStableFunc(list, func(a, b abi.VersionInfo) int { return b.LoadedAt.Compare(a.LoadedAt) })
	return list, nil
}

type rollbackBody struct {
	_      struct{}   `additionalProperties:"false"`
	Digest abi.Digest `json:"digest,omitempty" doc:"of the version; default: the one before the current one"`
}

func (a *API) rollback(ctx context.Context, in *struct {
	PluginPath
	Body *rollbackBody
},
) (_ *body[abi.VersionInfo], err error) {
	var digest abi.Digest
	if in.Body != nil {
		digest = in.Body.Digest
	}
	object := in.Name
	defer func() { a.cfg.Audit(ctx, "plugin.rollback", object, err) }()
	release, err := take(ctx, a.compiles)
	if err != nil {
		return nil, err
	}
	defer release()
	list, err := a.versions(in.Name)
	if err != nil {
		return nil, err
	}
	if digest, err = rollbackTarget(list, digest); err != nil {
		e := *abi.AsError(err)
		e.Plugin = in.Name
		return nil, &e
	}
	object += " " + string(digest)
	v, err := a.rollbackTo(ctx, in.Name, digest)
	return &body[abi.VersionInfo]{v}, err
}

// rollbackTarget is the version that is meant.
func rollbackTarget(list []abi.VersionInfo, digest abi.Digest) (abi.Digest, error) {
	current := slices.IndexFunc(list, func(v abi.VersionInfo) bool { return v.Current })
	if digest != "" {
		i := slices.IndexFunc(list, func(v abi.VersionInfo) bool { return v.Digest == digest })
		if i < 0 {
			return "", abi.Errorf(abi.CodeNotFound, "there is no version %.80q", string(digest))
		}
		return digest, nil
	}
	if current+1 >= len(list) {
		return "", abi.Errorf(abi.CodeConflict, "there is no older version to go back to")
	}
	return list[current+1].Digest, nil
}

// rollbackTo makes a version current, and its files those of the plugin where they are kept.
func (a *API) rollbackTo(ctx context.Context, name string, digest abi.Digest) (v abi.VersionInfo, err error) {
	activate := func(src host.Source) error {
		info, err := a.cfg.Host.Inspect(name)
		if err != nil {
			return err
		}
		if info.Digest != digest && nextOlder(info.Versions) == digest {
			v, err = a.cfg.Host.Rollback(ctx, name) // it keeps the order of the versions
			if err == nil && v.Digest == digest {
				return nil
			}
		}
		v, err = a.cfg.Host.Swap(ctx, name, src)
		if err == nil && v.Digest != digest {
			err = abi.Errorf(abi.CodeConflict, "the plugin %s was changed meanwhile", name)
		}
		return err
	}
	if a.cfg.Plugins != nil {
		defer a.cfg.Host.Hold(name)()
		current, err := a.cfg.Plugins.Current(name)
		if err != nil && abi.CodeOf(err) != abi.CodeNotFound {
			return v, err
		}
		err = a.cfg.Plugins.Restore(name, digest, func(f plugindir.Files) error {
			if err := checkRollback(ctx, digest, f.Manifest, current.Manifest); err != nil {
				return err
			}
			src, err := a.source(name, f)
			if err != nil {
				return err
			}
			return activate(src)
		})
		if abi.CodeOf(err) != abi.CodeNotFound {
			return v, err
		}
		if !isAdmin(ctx) {
			return v, abi.Errorf(abi.CodeDenied, "the files of the version %s are not kept, so nobody knows what it grants: an admin can go back to it", digest.Short())
		}
	}
	versions, err := a.cfg.Host.Versions(name)
	if err != nil {
		return v, err
	}
	if nextOlder(versions) != digest {
		return v, abi.Errorf(abi.CodeConflict, "the files of the version %s are not kept, and it is not the one before the current one", digest.Short())
	}
	return a.cfg.Host.Rollback(ctx, name)
}

func isAdmin(ctx context.Context) bool { return auth.From(ctx).Role.Allows(auth.RoleAdmin) }

// checkRollback refuses a version that grants folders or hosts which the plugin's file does not grant now, as it may be that somebody took
// them away. Admins may go back to it.
func checkRollback(ctx context.Context, digest abi.Digest, older, current []byte) error {
	if isAdmin(ctx) || older == nil {
		return nil
	}
	m, err := host.ParseManifest("manifest", older)
	if err != nil {
		return err
	}
	now := &abi.Manifest{}
	if current != nil {
		if m, err := host.ParseManifest("manifest", current); err == nil {
			now = m
		}
	}
	refuse := func(what string) error {
		return abi.Errorf(abi.CodeDenied, "the version %s grants the %.200s, which the plugin's manifest does not now: an admin can go back to it", digest.Short(), what)
	}
	for from, to := range m.AllowedPaths {
		if v, ok := now.AllowedPaths[from]; !ok || v != to {
			return refuse("folder " + strconv.Quote(from))
		}
	}
	for _, name := range m.AllowedHosts {
		if !slices.Contains(now.AllowedHosts, name) {
			return refuse("host " + strconv.Quote(name))
		}
	}
	return nil
}

// nextOlder is the version that host.Rollback goes to.
func nextOlder(list []abi.VersionInfo) abi.Digest {
	current := slices.IndexFunc(list, func(v abi.VersionInfo) bool { return v.Current })
	if current < 0 || current+1 >= len(list) {
		return ""
	}
	return list[current+1].Digest
}

// remove removes a plugin's files, and waits until the host has noticed.
func (a *API) remove(ctx context.Context, in *PluginPath) (_ *struct{}, err error) {
	defer func() { a.cfg.Audit(ctx, "plugin.remove", in.Name, err) }()
	if a.cfg.Plugins == nil {
		return nil, errNoFolder()
	}
	if _, err = a.cfg.Host.Inspect(in.Name); err != nil {
		return nil, err
	}
	gone, err := a.cfg.Plugins.Remove(in.Name)
	if err != nil {
		if abi.CodeOf(err) == abi.CodeNotFound || errors.Is(err, fs.ErrNotExist) {
			err = abi.Errorf(abi.CodeConflict, "the plugin %s has no file that could be removed", in.Name)
		}
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, a.cfg.Limits.WriteTimeout)
	defer cancel()
	select {
	case <-gone:
	case <-limited.Done(): // the file is gone, and the host will see it
	}
	return nil, nil
}

func errNoFolder() error {
	return abi.Errorf(abi.CodeConflict, "this server has no plugin folder that it may change")
}
