package host_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// watching makes a host that looks at its folder very often.
func watching(t testing.TB, dir string, cfg host.Config) (*host.Host, *recorder) {
	t.Helper()
	events := newRecorder()
	cfg.Dir, cfg.WatchInterval, cfg.OnEvent = dir, 2*time.Millisecond, events.on
	return newHost(t, cfg), events
}

// TestFolderChanges follows a plugin's file from its coming to its going.
func TestFolderChanges(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.wasm")
	h, events := watching(t, dir, host.Config{})
	fails(t, h, "p", "", abi.CodeNotFound)

	write(t, file, speaking(t, "aaa"))
	a := events.nth(t, host.EventLoad, 1).Version
	if got := says(t, h, "p"); got != "aaa" {
		t.Errorf("when the file came it says %q", got)
	}
	write(t, file, speaking(t, "bbb"))
	if e := events.nth(t, host.EventLoad, 2); e.Previous != a || says(t, h, "p") != "bbb" {
		t.Errorf("when the file was replaced the event is %+v, and it says %q", e, says(t, h, "p"))
	}
	events.waitFor(t, host.EventFree, a)
	// A rollback stays, since the file stays as it is; its next change counts again.
	if _, err := h.Rollback(t.Context(), "p"); err != nil || says(t, h, "p") != "aaa" {
		t.Errorf("after the rollback it says %q: %v", says(t, h, "p"), err)
	}
	write(t, filepath.Join(dir, "q.wasm"), speaking(t, "qqq")) // the folder is looked at again before this is loaded
	events.nth(t, host.EventLoad, 3)
	if got := says(t, h, "p"); got != "aaa" {
		t.Errorf("the rollback did not last: it says %q", got)
	}
	write(t, file, speaking(t, "ccc"))
	events.nth(t, host.EventLoad, 4)
	if got := says(t, h, "p"); got != "ccc" {
		t.Errorf("after the next change it says %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if e := events.nth(t, host.EventRemove, 1); e.Plugin != "p" || e.Previous == "" {
		t.Errorf("the event is %+v", e)
	}
	fails(t, h, "p", "", abi.CodeNotFound)
	write(t, file, speaking(t, "ccc"))
	events.nth(t, host.EventLoad, 5)
	if got := says(t, h, "p") + says(t, h, "q"); got != "cccqqq" {
		t.Errorf("when the file came back they say %q", got)
	}
}

// TestFolderSlowWriter checks that a file that is written in place and slowly never takes the old version away.
func TestFolderSlowWriter(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.wasm")
	write(t, file, speaking(t, "aaa"))
	h, events := watching(t, dir, host.Config{})
	old := info(t, h, "p").Digest
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wasm := speaking(t, "bbb")
	const pieces = 5
	for n := range pieces {
		if _, err := f.Write(wasm[n*len(wasm)/pieces : (n+1)*len(wasm)/pieces]); err != nil {
			t.Fatal(err)
		}
		if n == pieces-1 {
			break
		}
		// The writer is so slow that the host tries what there is.
		events.nth(t, host.EventRefuse, n+1)
		i := info(t, h, "p")
		if i.State != host.StateStale || i.Error == "" || i.Digest != old || !strings.Contains(i.Error, "not a valid module") {
			t.Errorf("after piece %d the plugin is %s, version %s: %s", n, i.State, i.Digest.Short(), i.Error)
		}
		if got := says(t, h, "p"); got != "aaa" {
			t.Errorf("after piece %d it says %q", n, got)
		}
	}
	events.nth(t, host.EventLoad, 2)
	if i := info(t, h, "p"); i.State != host.StateReady || i.Error != "" || says(t, h, "p") != "bbb" {
		t.Errorf("in the end the plugin is %s: %s", i.State, i.Error)
	}
}

// TestFolderFastWriter checks that the last of many changes counts, also one that comes while the one before is being read.
func TestFolderFastWriter(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.wasm")
	if err := os.WriteFile(file, speaking(t, "aaa"), 0o644); err != nil {
		t.Fatal(err)
	}
	h, _ := watching(t, dir, host.Config{})
	for round := range 20 {
		word := fmt.Sprintf("%03d", round)
		for n := range round + 1 {
			wasm := tagged(speaking(t, word), strings.Repeat("x", n+1)) // in place, each of another length
			if err := os.WriteFile(file, wasm, 0o644); err != nil {
				t.Fatal(err)
			}
			runtime.Gosched()
		}
		eventually(t, "the last version is current: "+word, func() bool { return says(t, h, "p") == word })
	}
}

// TestFolderQuickReturn checks that a file that is gone for a moment takes nothing away.
func TestFolderQuickReturn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.wasm")
	write(t, file, speaking(t, "aaa"))
	events := newRecorder()
	h := newHost(t, host.Config{Dir: dir, WatchInterval: 200 * time.Millisecond, OnEvent: events.on})
	for n := range 3 {
		word := fmt.Sprintf("a%02d", n)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		write(t, file, speaking(t, word))
		eventually(t, "the new version is current", func() bool { return says(t, h, "p") == word })
	}
	if gone := events.all(host.EventRemove); len(gone) != 0 {
		t.Errorf("the plugin was removed %d times", len(gone))
	}
}

// TestFolderSymlinks checks a folder reached through a link that is switched, and files that are links.
func TestFolderSymlinks(t *testing.T) {
	base := t.TempDir()
	for n, word := range []string{"aaa", "bbb"} {
		dir := filepath.Join(base, fmt.Sprint("release", n))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "p.wasm"), speaking(t, word))
		write(t, filepath.Join(dir, "same.wasm"), speaking(t, "sss"))
	}
	write(t, filepath.Join(base, "release0", "old.wasm"), speaking(t, "ooo"))
	write(t, filepath.Join(base, "release1", "new.wasm"), speaking(t, "nnn"))
	current := filepath.Join(base, "current")
	link := func(target, name string) {
		t.Helper()
		next := filepath.Join(base, "next")
		if err := os.Symlink(target, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, name); err != nil {
			t.Fatal(err)
		}
	}
	link("release0", current)
	h, events := watching(t, current, host.Config{})
	same := info(t, h, "same")
	link("release1", current)
	events.nth(t, host.EventLoad, 5)
	events.nth(t, host.EventRemove, 1)
	if got := says(t, h, "p") + says(t, h, "same") + says(t, h, "new"); got != "bbbsssnnn" {
		t.Errorf("after the switch they say %q", got)
	}
	fails(t, h, "old", "", abi.CodeNotFound)
	if i := info(t, h, "same"); i.LoadedAt != same.LoadedAt {
		t.Error("a plugin whose bytes are the same was loaded anew")
	}
	// A file that is a link, switched, and one whose target changes.
	store := filepath.Join(base, "store-a")
	write(t, store, speaking(t, "111"))
	write(t, filepath.Join(base, "store-b"), speaking(t, "222"))
	file := filepath.Join(base, "release1", "linked.wasm")
	link(store, file)
	events.nth(t, host.EventLoad, 6)
	link(filepath.Join(base, "store-b"), file)
	events.nth(t, host.EventLoad, 7)
	if got := says(t, h, "linked"); got != "222" {
		t.Errorf("after the link was switched it says %q", got)
	}
	write(t, filepath.Join(base, "store-b"), speaking(t, "333"))
	events.nth(t, host.EventLoad, 8)
	if got := says(t, h, "linked"); got != "333" {
		t.Errorf("after its target changed it says %q", got)
	}
	// A link that leads nowhere is refused; the version before stays.
	link(filepath.Join(base, "nowhere"), file)
	events.nth(t, host.EventRefuse, 1)
	if i := info(t, h, "linked"); i.State != host.StateStale || says(t, h, "linked") != "333" {
		t.Errorf("with a link that leads nowhere it is %s: %s", i.State, i.Error)
	}
}

// TestFolderManifests checks that a plugin follows its manifest and the modules that it names.
func TestFolderManifests(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "env.wasm"), guest(t, "env"))
	h, events := watching(t, dir, host.Config{})
	fails(t, h, "env:config", "key", abi.CodeFailed)
	write(t, filepath.Join(dir, "env.json"), []byte(`{"config": {"key": "one"}}`))
	events.nth(t, host.EventLoad, 2)
	if got := run(t, h, "env:config", "key"); got != "one" {
		t.Errorf("with a manifest the config is %q", got)
	}
	write(t, filepath.Join(dir, "env.json"), []byte(`{"config": {"key": "two"}}`))
	events.nth(t, host.EventLoad, 3)
	write(t, filepath.Join(dir, "env.json"), []byte(`{"config": {"key": 3}}`))
	events.nth(t, host.EventRefuse, 1)
	if i := info(t, h, "env"); i.State != host.StateStale || !strings.Contains(i.Error, "env.json: config") {
		t.Errorf("with a bad manifest it is %s: %s", i.State, i.Error)
	}
	if got := run(t, h, "env:config", "key"); got != "two" {
		t.Errorf("with a bad manifest the config is %q", got)
	}
	if err := os.Remove(filepath.Join(dir, "env.json")); err != nil {
		t.Fatal(err)
	}
	events.nth(t, host.EventLoad, 4)
	fails(t, h, "env:config", "key", abi.CodeFailed)

	// A module elsewhere, which comes late, then changes.
	elsewhere := filepath.Join(t.TempDir(), "module")
	write(t, filepath.Join(dir, "far.json"), []byte(fmt.Sprintf(`{"wasm": [{"path": %q}]}`, elsewhere)))
	events.nth(t, host.EventRefuse, 2)
	if i := info(t, h, "far"); i.State != host.StateRefused || !strings.Contains(i.Error, elsewhere) {
		t.Errorf("without its module it is %s: %s", i.State, i.Error)
	}
	for n, word := range []string{"aaa", "bbb"} {
		write(t, elsewhere, speaking(t, word))
		events.nth(t, host.EventLoad, 5+n)
		if got := says(t, h, "far"); got != word {
			t.Errorf("with module %s it says %q", word, got)
		}
	}
	if i := info(t, h, "far"); i.State != host.StateReady || i.Error != "" {
		t.Errorf("in the end it is %s: %s", i.State, i.Error)
	}
}

// TestFolderBroken checks that a broken file keeps the old version, says why, and is forgotten when it is mended.
func TestFolderBroken(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.wasm")
	good := speaking(t, "aaa")
	write(t, file, good)
	logs := &logBook{}
	h, events := watching(t, dir, host.Config{Logger: slogTo(logs)})
	for n, name := range []string{"not-wasm", "missing-import", "init-traps", "no-functions"} {
		write(t, file, broken(t, name))
		e := events.nth(t, host.EventRefuse, n+1)
		if e.Plugin != "p" || e.Err == nil {
			t.Errorf("%s: the event is %+v", name, e)
		}
		eventually(t, "the plugin is stale", func() bool { return info(t, h, "p").State == host.StateStale })
		if i := info(t, h, "p"); i.Error == "" || !strings.Contains(i.Error, brokenModules[name].want[0]) || says(t, h, "p") != "aaa" {
			t.Errorf("%s: it is %s: %s", name, i.State, i.Error)
		}
		write(t, file, good)
		eventually(t, "the plugin is mended", func() bool { return info(t, h, "p").State == host.StateReady })
		if i := info(t, h, "p"); i.Error != "" {
			t.Errorf("mended, and yet: %s", i.Error)
		}
	}
	if n := len(events.all(host.EventLoad)); n != 1 {
		t.Errorf("the same file was loaded %d times", n)
	}
	if got := logs.messages("plugin", "p"); !slices.Contains(got, "ERROR plugin refused") {
		t.Errorf("the log says %q", got)
	}
}

// TestFolderSlowStart checks that a plugin that never finishes starting holds up no other, and is gone with the host.
func TestFolderSlowStart(t *testing.T) {
	dir := t.TempDir()
	h, events := watching(t, dir, host.Config{})
	write(t, filepath.Join(dir, "loops.wasm"), broken(t, "init-loops"))
	for n, name := range []string{"one", "two", "three"} {
		write(t, filepath.Join(dir, name+".wasm"), speaking(t, "aaa"))
		events.nth(t, host.EventLoad, n+1)
		if got := says(t, h, name); got != "aaa" {
			t.Errorf("%s says %q", name, got)
		}
	}
	if refused := events.all(host.EventRefuse); len(refused) != 0 {
		t.Errorf("the others came after the one that loops was given up: %v", refused[0].Err)
	}
}

// TestFolderGone checks that a folder that cannot be read leaves the plugins as they are.
func TestFolderGone(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "plugins")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "p.wasm"), speaking(t, "aaa"))
	logs := &logBook{}
	h, events := watching(t, dir, host.Config{Logger: slogTo(logs)})
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log says so", func() bool { return len(logs.messages("dir", dir)) > 0 })
	if got := says(t, h, "p"); got != "aaa" {
		t.Errorf("it says %q", got)
	}
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "p.wasm"), speaking(t, "bbb"))
	events.nth(t, host.EventLoad, 2)
	if got := logs.messages("dir", dir); len(got) != 1 {
		t.Errorf("the log says it %d times", len(got))
	}
}

// TestFolderSwapUnderLoad replaces a plugin's file ten times while calls run on it, 1,000 at least: none fails, each is of one version,
// the old versions are freed, and memory does not grow.
func TestFolderSwapUnderLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.wasm")
	words := map[abi.Digest]string{}
	for n := range 11 {
		word := fmt.Sprintf("v%02d", n)
		words[abi.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(speaking(t, word))))] = word
	}
	write(t, file, speaking(t, "v00"))
	h, events := watching(t, dir, host.Config{MaxInstances: 4})
	says(t, h, "p")
	before := liveHeap()

	var calls, swaps atomic.Int64
	var group sync.WaitGroup
	seen := make([]map[string]int, 8)
	for n := range seen {
		seen[n] = map[string]int{}
		group.Go(func() {
			for calls.Add(1) <= 1000 || swaps.Load() < 10 {
				res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Function: "twice"}, nil)
				if word := string(res.Output); err != nil || words[res.Version] != word {
					t.Errorf("a call on version %s says %q, want %q: %v", res.Version.Short(), word, words[res.Version], err)
					return
				}
				seen[n][string(res.Output)]++
			}
		})
	}
	for n := range 10 {
		write(t, file, speaking(t, fmt.Sprintf("v%02d", n+1)))
		events.nth(t, host.EventLoad, n+2)
		at := calls.Load()
		eventually(t, "calls go on", func() bool { return calls.Load() > at+50 })
		swaps.Add(1)
	}
	group.Wait()
	if got := says(t, h, "p"); got != "v10" {
		t.Errorf("in the end it says %q", got)
	}
	all := map[string]int{}
	for _, m := range seen {
		for word, n := range m {
			all[word] += n
		}
	}
	if len(all) != 11 {
		t.Errorf("there were calls on %d versions, want all 11: %v", len(all), all)
	}
	current := info(t, h, "p")
	for version := range words {
		if version != current.Digest {
			events.waitFor(t, host.EventFree, version)
		}
	}
	if n := len(events.all(host.EventFree)); n != 10 {
		t.Errorf("%d versions were freed, want 10", n)
	}
	if current.Instances > 4 || current.Running != 0 {
		t.Errorf("%d instances are left, %d calls", current.Instances, current.Running)
	}
	events.forget()
	if after := liveHeap(); after > before+4<<20 {
		t.Errorf("live memory grew from %d to %d bytes", before, after)
	}
}

// liveHeap is how much memory is in use after a garbage collection, in bytes.
func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
