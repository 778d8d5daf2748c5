package ui_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// browser is the one chromium of the package. Without one the tests fail: a page that nobody looked at is not tested.
var browser = sync.OnceValues(func() (context.Context, error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, fmt.Errorf("these tests need chromium: on Debian apt-get install chromium, or make toolchains as root (%w)", err)
	}
	dir, err := os.MkdirTemp("", "taskhost-chromium-*")
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.WindowSize(1280, 800), chromedp.WSURLReadTimeout(60*time.Second))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	closeBrowser = func() {
		_ = chromedp.Cancel(ctx)
		cancel()
		stop()
		_ = os.RemoveAll(dir)
	}
	return ctx, chromedp.Do(ctx)
})

var closeBrowser = func() {}

// tab is one page in the browser. What its console complains of fails the test, and so does whatever the Content-Security-Policy keeps out.
type tab struct {
	t   testing.TB
	ctx context.Context
	url string // of the server

	mu        sync.Mutex
	complains []string
	tolerated []string
}

// open opens a tab of 1280 by 800.
func open(t testing.TB, s *system) *tab {
	t.Helper()
	parent, err := browser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent)
	b := &tab{t: t, ctx: ctx, url: s.url}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800)); err != nil {
		t.Fatal(err)
	}
	listening, stop := context.WithCancel(ctx)
	messages := chromedp.Console(listening)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleException || m.Type == "error" {
				b.complain(m.Text + " " + m.URL)
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		_ = chromedp.Cancel(ctx)
		cancel()
		for _, c := range b.complains {
			t.Errorf("the browser complains: %s", c)
		}
	})
	return b
}

func (b *tab) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.tolerated, func(ok string) bool { return strings.Contains(text, ok) }) {
		b.complains = append(b.complains, text)
	}
}

// tolerate lets complaints pass that hold some words.
func (b *tab) tolerate(words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tolerated = append(b.tolerated, words)
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.shot("failed"))
	}
}

// visit opens a page.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.url + path))
}

// try evaluates an expression in the page; a promise is waited for.
func try[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := try[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", expression, err, b.shot("failed"))
	}
	return v
}

// wait waits for an expression to be true in the page, whichever page that is by then.
func (b *tab) wait(expression string) {
	b.t.Helper()
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		if ok, err := try[bool](b, "Boolean("+expression+")"); err == nil && ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.t.Fatalf("still not so in the page: %s\n%s", expression, b.shot("failed"))
		}
	}
}

// see waits for a text on the page.
func (b *tab) see(text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(text)
	b.wait("document.body.innerText.includes(" + string(quoted) + ")")
}

// click clicks an element that a selector finds.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.stable(chromedp.Click(chromedp.CSS(selector)))
}

// stable does things with elements that the page may replace just then: if one is gone, with the one in its place.
func (b *tab) stable(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, action := range actions {
		for try := 0; ; try++ {
			ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
			err := chromedp.Do(ctx, action)
			cancel()
			if err == nil {
				break
			}
			gone := strings.Contains(err.Error(), "node with given id") || strings.Contains(err.Error(), "Node is detached")
			if !gone || try == 5 {
				b.t.Fatalf("%v\n%s", err, b.shot("failed"))
			}
		}
	}
}

// size is how large the page is shown; a small one as on a phone.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	}); err != nil {
		b.t.Fatal(err)
	}
}

// prefer shows the page as to somebody who prefers it light or dark.
func (b *tab) prefer(scheme string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
}

// scriptsOff switches scripts off for the pages that are opened next.
func (b *tab) scriptsOff() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
}

// shot puts a picture of the page into build/screenshots, and says where.
func (b *tab) shot(name string) string {
	dir := filepath.Join(build, "screenshots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	file := filepath.Join(dir, strings.ReplaceAll(b.t.Name()+"-"+name, "/", "-")+".png")
	if err == nil {
		err = os.WriteFile(file, png, 0o600)
	}
	if err != nil {
		return err.Error()
	}
	return "see " + file
}
