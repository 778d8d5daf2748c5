package host_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/taskhost/taskhost/abi"
	"github.com/taskhost/taskhost/host"
)

// speaking is a version of the guest output whose function twice says the word, which has three bytes.
func speaking(t testing.TB, word string) []byte {
	t.Helper()
	wasm := guest(t, "output")
	if len(word) != 3 || bytes.Count(wasm, []byte("two")) != 1 {
		t.Fatalf("%q cannot be put into the guest output", word)
	}
	return bytes.Replace(wasm, []byte("two"), []byte(word), 1)
}

// says calls the plugin and returns the word of its current version.
func says(t testing.TB, h *host.Host, plugin string) string {
	t.Helper()
	return run(t, h, plugin+":twice", "")
}

func swapWord(t testing.TB, h *host.Host, word string) host.VersionInfo {
	t.Helper()
	return swapTo(t, h, "p", speaking(t, word), "")
}

// digests are those of a plugin's versions, newest first; the current one is checked to be the one given.
func digests(t testing.TB, h *host.Host, current abi.Digest) (list []abi.Digest) {
	t.Helper()
	versions, err := h.Versions("p")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		if v.Current != (v.Digest == current) {
			t.Errorf("version %s: current is %v", v.Digest.Short(), v.Current)
		}
		list = append(list, v.Digest)
	}
	return list
}

// TestSwap checks that a swap changes what the next call runs, and what the host tells of it.
func TestSwap(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	a := swapWord(t, h, "aaa")
	if got := says(t, h, "p"); got != "aaa" {
		t.Errorf("the first version says %q", got)
	}
	b := swapWord(t, h, "bbb")
	if got := says(t, h, "p"); got != "bbb" {
		t.Errorf("the second version says %q", got)
	}
	loads := events.all(host.EventLoad)
	if len(loads) != 2 || loads[0].Version != a.Digest || loads[0].Previous != "" || loads[1].Version != b.Digest || loads[1].Previous != a.Digest || loads[1].Duration <= 0 {
		t.Errorf("the events are %s", events)
	}
	events.waitFor(t, host.EventFree, a.Digest)
	if got := digests(t, h, b.Digest); !slices.Equal(got, []abi.Digest{b.Digest, a.Digest}) {
		t.Errorf("the versions are %v", got)
	}
	// The same once more changes nothing.
	if again := swapWord(t, h, "bbb"); again != b {
		t.Errorf("swapping to what is current gives %+v, want %+v", again, b)
	}
	if n := len(events.all(host.EventLoad)); n != 2 {
		t.Errorf("%d loads, want 2", n)
	}
	// Another manifest is another version.
	c := swapTo(t, h, "p", speaking(t, "bbb"), `{"config": {"a": "b"}}`)
	if c.Digest == b.Digest || says(t, h, "p") != "bbb" {
		t.Error("another manifest does not make another version")
	}
}

// TestSwapRefused checks that a version that is refused leaves the one before.
func TestSwapRefused(t *testing.T) {
	h := newHost(t, host.Config{})
	a := swapWord(t, h, "aaa")
	_, err := h.Swap(t.Context(), "p", host.Source{Wasm: broken(t, "not-wasm")})
	wantCode(t, err, abi.CodeRefused, "plugin p")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = h.Swap(ctx, "p", host.Source{Wasm: tagged(speaking(t, "ccc"), "never compiled")}); err == nil {
		t.Error("a swap under a context that ended succeeds")
	} else if code := abi.CodeOf(err); code != abi.CodeCancelled {
		t.Errorf("a swap under a context that ended gives %s: %v", code, err)
	}
	if got := says(t, h, "p"); got != "aaa" {
		t.Errorf("the plugin says %q", got)
	}
	if got := digests(t, h, a.Digest); len(got) != 1 {
		t.Errorf("the versions are %v", got)
	}
}

// TestRollback checks that it goes back one version at a time, and how far.
func TestRollback(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{KeepVersions: 2, OnEvent: events.on})
	_, err := h.Rollback(t.Context(), "p")
	wantCode(t, err, abi.CodeNotFound)
	a := swapWord(t, h, "aaa")
	_, err = h.Rollback(t.Context(), "p")
	wantCode(t, err, abi.CodeConflict, "no older version", "plugin p")
	b, c, d := swapWord(t, h, "bbb"), swapWord(t, h, "ccc"), swapWord(t, h, "ddd")
	if got := digests(t, h, d.Digest); !slices.Equal(got, []abi.Digest{d.Digest, c.Digest, b.Digest}) {
		t.Errorf("with KeepVersions 2 the versions are %v; the first was %s", got, a.Digest)
	}
	for _, want := range []struct {
		v    host.VersionInfo
		word string
	}{{c, "ccc"}, {b, "bbb"}} {
		v, err := h.Rollback(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		if v.Digest != want.v.Digest || !v.Current || says(t, h, "p") != want.word || !v.LoadedAt.Equal(want.v.LoadedAt) {
			t.Errorf("rolled back to %+v, which says %q; want %+v", v, says(t, h, "p"), want)
		}
	}
	_, err = h.Rollback(t.Context(), "p")
	wantCode(t, err, abi.CodeConflict)
	rollbacks := events.all(host.EventRollback)
	if len(rollbacks) != 2 || rollbacks[0].Version != c.Digest || rollbacks[0].Previous != d.Digest || rollbacks[1].Previous != c.Digest {
		t.Errorf("the events are %s", events)
	}
	// Forward again, by a swap.
	if v := swapWord(t, h, "ddd"); v.Digest != d.Digest || says(t, h, "p") != "ddd" {
		t.Errorf("swapped to %+v", v)
	}
}

// TestRunningCallsKeepTheirVersion checks that a swap, a rollback and the end of a plugin leave calls alone that run, and that a version
// is freed when the last of them ends.
func TestRunningCallsKeepTheirVersion(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	swapTo(t, h, "p", tagged(guest(t, "progress"), "1"), `{"taskhost": {"cancel_grace_ms": 10000}}`)
	old := info(t, h, "p").Digest
	type outcome struct {
		res abi.Result
		err error
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running, ended := make(chan struct{}, 3), make(chan outcome, 3)
	for range 3 {
		go func() {
			res, err := h.Run(ctx, abi.Call{Plugin: "p", Function: "wait"}, func(p abi.Progress) {
				if p.Step == 2 {
					running <- struct{}{}
				}
			})
			ended <- outcome{res, err}
		}()
	}
	for range 3 {
		<-running
	}
	next := swapTo(t, h, "p", tagged(guest(t, "progress"), "2"), "")
	if res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Function: "process", Input: []byte("1")}, nil); err != nil || res.Version != next.Digest {
		t.Errorf("a call after the swap runs on %s: %v", res.Version, err)
	}
	versions, err := h.Versions("p")
	if err != nil || len(versions) != 2 || versions[1].Digest != old || versions[1].Running != 3 || versions[0].Running != 0 {
		t.Errorf("the versions are %+v: %v", versions, err)
	}
	for _, e := range events.all(host.EventFree) {
		t.Errorf("version %s was freed while calls run", e.Version)
	}
	cancel()
	for range 3 {
		if o := <-ended; o.res.Version != old || o.err == nil {
			t.Errorf("a call that began before the swap ran on %s: %v", o.res.Version, o.err)
		}
	}
	events.waitFor(t, host.EventFree, old)
	calls := 0
	for _, e := range events.all(host.EventCall) {
		if e.Version == old {
			calls++
		}
	}
	if calls != 3 {
		t.Errorf("%d calls ended on the old version before it was freed", calls)
	}
}

// TestSameModuleTwice checks that plugins of the same bytes, and versions that come back while they still run, do not take each other's
// code away.
func TestSameModuleTwice(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	const grace = `{"taskhost": {"cancel_grace_ms": 10000}}`
	a := swapTo(t, h, "progress", guest(t, "progress"), grace)
	swapTo(t, h, "twin", guest(t, "progress"), grace)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := waitingCall(ctx, t, h, "wait")
	for n := range 3 {
		swapTo(t, h, "progress", guest(t, "echo"), "")
		if again := swapTo(t, h, "progress", guest(t, "progress"), grace); again.Digest != a.Digest {
			t.Errorf("the same module and manifest are version %s, then %s", a.Digest, again.Digest)
		}
		events.nth(t, host.EventFree, n+1) // of echo, and of progress but for the first
		if got := run(t, h, "progress", "3") + run(t, h, "twin", "2"); got != "32" {
			t.Errorf("they give %q", got)
		}
	}
	versions, err := h.Versions("progress")
	if err != nil || len(versions) != 2 || versions[0].Running != 1 || !versions[0].Current {
		t.Errorf("the versions are %+v: %v", versions, err)
	}
	cancel()
	wantCode(t, <-ended, abi.CodeCancelled)
	events.nth(t, host.EventFree, 6)
	if got := run(t, h, "progress", "3") + run(t, h, "twin", "2"); got != "32" {
		t.Errorf("in the end they give %q", got)
	}
}

// TestEventsMayLook checks that whoever hears of an event can ask the host about its plugins.
func TestEventsMayLook(t *testing.T) {
	var at atomic.Pointer[host.Host]
	kinds := sync.Map{}
	h := newHost(t, host.Config{IdleTimeout: 4 * time.Millisecond, OnEvent: func(e host.Event) {
		kinds.Store(e.Kind, true)
		if h := at.Load(); h != nil {
			for _, i := range h.Plugins() {
				_, _ = h.Versions(i.Name) // it may be gone again
			}
		}
	}})
	at.Store(h)
	swapWord(t, h, "aaa")
	swapWord(t, h, "bbb")
	says(t, h, "p")
	if _, err := h.Rollback(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	swap(t, h, "metrics", `{"taskhost": {"isolation": "fresh"}}`)
	run(t, h, "metrics", "add a 1")
	_, err := h.Swap(t.Context(), "p", host.Source{Wasm: broken(t, "not-wasm")})
	wantCode(t, err, abi.CodeRefused)
	eventually(t, "instances are released", func() bool { return info(t, h, "p").Instances == 0 })
	for _, kind := range []host.EventKind{
		host.EventCall, host.EventMetric, host.EventLoad, host.EventRefuse, host.EventRollback, host.EventFree, host.EventInstantiate, host.EventInstanceGone,
	} {
		if _, ok := kinds.Load(kind); !ok {
			t.Errorf("there was no event %s", kind)
		}
	}
}

// TestConcurrentSwaps checks that of many swaps at once one stays, and that every version but that one is freed.
func TestConcurrentSwaps(t *testing.T) {
	events := newRecorder()
	h := newHost(t, host.Config{OnEvent: events.on})
	swapWord(t, h, "000")
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for k := range 5 {
				word := fmt.Sprintf("%d%d0", n+1, k)
				if _, err := h.Swap(t.Context(), "p", host.Source{Wasm: speaking(t, word)}); err != nil && abi.CodeOf(err) != abi.CodeConflict {
					t.Errorf("swap to %s: %v", word, err)
				}
				res, err := h.Run(t.Context(), abi.Call{Plugin: "p", Function: "twice"}, nil)
				if err != nil || len(res.Output) != 3 {
					t.Errorf("after the swap to %s the plugin says %q: %v", word, res.Output, err)
				}
			}
		})
	}
	group.Wait()
	current := info(t, h, "p")
	events.nth(t, host.EventFree, 20)
	for _, e := range events.all(host.EventFree) {
		if e.Version == current.Digest {
			t.Errorf("the current version %s was freed", e.Version)
		}
	}
	if n := len(events.all(host.EventLoad)); n != 21 || len(current.Versions) != 4 {
		t.Errorf("%d versions were loaded, %d are kept", n, len(current.Versions))
	}
	if got := says(t, h, "p"); len(got) != 3 {
		t.Errorf("the plugin says %q", got)
	}
}

// TestRollbackGoesToWhatRanBefore: after a rollback and a new version, the version rolled back to is the one before.
func TestRollbackGoesToWhatRanBefore(t *testing.T) {
	h := newHost(t, host.Config{KeepVersions: 1})
	digest := map[string]abi.Digest{}
	for _, step := range []string{"upper-c", "upper-rust", "back to upper-c", "upper-wat", "back to upper-c"} {
		name, back := strings.CutPrefix(step, "back to ")
		if !back {
			v, err := h.Swap(t.Context(), "upper", host.Source{Wasm: read(t, testdata(t), name+".wasm")})
			if err != nil {
				t.Fatal(err)
			}
			digest[name] = v.Digest
			continue
		}
		if v, err := h.Rollback(t.Context(), "upper"); err != nil || v.Digest != digest[name] {
			t.Errorf("%s: %s, %v; want %s", step, v.Digest.Short(), err, digest[name].Short())
		}
	}
}
