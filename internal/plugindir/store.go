package plugindir

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/taskhost/taskhost/abi"
)

const digestPrefix = "sha256:"

// isDigest reports whether s is the hexadecimal part of a digest, and so a harmless name of a folder.
func isDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// versionDir is the folder of a version.
func (d *Dir) versionDir(name string, digest abi.Digest) (string, error) {
	hex, ok := strings.CutPrefix(string(digest), digestPrefix)
	if !abi.ValidName(name) || !ok || !isDigest(hex) {
		return "", abi.Errorf(abi.CodeInvalid, "there can be no version %.80q of a plugin %.128q", string(digest), name)
	}
	return filepath.Join(d.cfg.Path, hidden, name, hex), nil
}

// store writes the files of a version into its folder, all or none.
func (d *Dir) store(name string, digest abi.Digest, f Files) error {
	dir, err := d.versionDir(name, digest)
	if err != nil {
		return err
	}
	tmp, err := prepare(dir, f)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	return commit(tmp, dir)
}

// prepare writes the files of a version into a folder beside its own, and waits until they are on the disk.
func prepare(dir string, f Files) (tmp string, err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", unavailable(err)
	}
	if tmp, err = os.MkdirTemp(filepath.Dir(dir), "tmp-"); err != nil {
		return "", unavailable(err)
	}
	if err := fill(tmp, f); err != nil {
		_ = os.RemoveAll(tmp)
		return "", unavailable(err)
	}
	return tmp, nil
}

func fill(tmp string, f Files) error {
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	extension, code := f.code()
	for extension, data := range map[string][]byte{extension: code, ".json": f.Manifest} {
		if data == nil {
			continue
		}
		if err := writeFile(filepath.Join(tmp, baseName+extension), data); err != nil {
			return err
		}
	}
	return syncDir(tmp)
}

// commit makes what was prepared the folder of a version.
func commit(tmp, dir string) error {
	if err := os.Rename(tmp, dir); err != nil {
		return unavailable(err)
	}
	return unavailableOr(syncDir(filepath.Dir(dir)))
}

// discard removes a folder, by way of another name: who looks sees all of it or nothing, and what an interrupted one leaves is passed over.
func discard(dir, by string) error {
	if err := os.RemoveAll(by); err != nil {
		return err
	}
	if err := os.Rename(dir, by); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(by)
}

func unavailableOr(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err)
}

// writeFile writes a file and waits until it is on the disk.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir waits until the names in a folder are on the disk, where the system can do that.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// restore makes the files of a version those of the plugin. A note in the hidden folder says so meanwhile, for Open to finish it.
func (d *Dir) restore(name string, digest abi.Digest) error {
	dir, err := d.versionDir(name, digest)
	if err != nil {
		return err
	}
	note := filepath.Join(filepath.Dir(dir), nextFile)
	if err := writeFile(note, []byte(digest)); err != nil {
		return unavailable(err)
	}
	if err := syncDir(filepath.Dir(note)); err != nil {
		return unavailable(err)
	}
	d.files.Lock()
	defer d.files.Unlock()
	extensions := d.extensions()
	for _, script := range scriptOf(dir) {
		if !slices.Contains(extensions, script) { // its interpreter is not there
			extensions = append(extensions, script)
		}
	}
	for _, extension := range extensions {
		if err := d.replace(filepath.Join(dir, baseName+extension), d.file(name, extension)); err != nil {
			return unavailable(err)
		}
	}
	if err := syncDir(d.cfg.Path); err != nil {
		return unavailable(err)
	}
	return unavailableOr(os.Remove(note))
}

// replace makes the file to a copy of the file from, at once; without from there is no file afterwards. One that is the same stays.
func (d *Dir) replace(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, data) {
		return nil
	}
	tmp := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".new")
	if err := writeFile(tmp, data); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return os.Rename(tmp, to)
}

// finish does what a process that went down had begun.
func (d *Dir) finish() {
	plugins, err := os.ReadDir(filepath.Join(d.cfg.Path, hidden))
	if err != nil {
		return
	}
	for _, p := range plugins {
		folder := filepath.Join(d.cfg.Path, hidden, p.Name())
		if strings.HasPrefix(p.Name(), goneName) {
			_ = os.RemoveAll(folder)
			continue
		}
		left, _ := os.ReadDir(folder)
		for _, l := range left {
			if strings.HasPrefix(l.Name(), "tmp-") {
				_ = os.RemoveAll(filepath.Join(folder, l.Name()))
			}
		}
		digest, err := os.ReadFile(filepath.Join(folder, nextFile))
		if err != nil {
			continue
		}
		dir, err := d.versionDir(p.Name(), abi.Digest(digest))
		if err == nil {
			_, err = os.Stat(dir)
		}
		if err != nil { // the note was cut off: nothing else had been done
			_ = os.Remove(filepath.Join(folder, nextFile))
			continue
		}
		if err := d.restore(p.Name(), abi.Digest(digest)); err != nil {
			d.cfg.Logger.Error("a plugin's files could not be put back", "plugin", p.Name(), "error", err)
		}
	}
}

// prune forgets the oldest versions of a plugin, but not the one that is current.
func (d *Dir) prune(name string, current abi.Digest) error {
	list, err := d.Versions(name)
	if err != nil {
		return err
	}
	kept := 1
	for _, v := range list {
		if v.Digest == current {
			continue
		}
		if kept++; kept > d.cfg.Keep {
			if dir, err := d.versionDir(name, v.Digest); err == nil {
				_ = discard(dir, filepath.Join(filepath.Dir(dir), "tmp-gone"))
			}
		}
	}
	return nil
}
