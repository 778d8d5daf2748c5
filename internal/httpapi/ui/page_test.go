package ui_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/taskhost/taskhost/client"
	"github.com/taskhost/taskhost/internal/auth"
	"github.com/taskhost/taskhost/manager"
)

func TestTryAFunctionAndWatchTheBarMove(t *testing.T) {
	b := open(t, server(t))
	b.visit("/plugins/agent")
	b.stable(chromedp.SetValue(chromedp.CSS("#try-function"), "count"))
	b.stable(chromedp.SetValue(chromedp.CSS("#try-input"), `{"steps": 40, "delay_ms": 50}`))
	b.click("#try button")
	b.wait(`document.querySelector("#tried progress")?.value > 0.05`)
	first := eval[float64](b, `document.querySelector("#tried progress").value`)
	b.wait(fmt.Sprintf(`document.querySelector("#tried progress")?.value > %g + 0.2`, first))
	if message := eval[string](b, `document.querySelector("#tried [data-message]").textContent`); !strings.HasPrefix(message, "counted to") {
		t.Errorf("the message while it runs: %q", message)
	}
	b.wait(`document.querySelector("#tried").dataset.status === "completed"`)
	b.see(`"counted":40`)
	b.wait(`document.querySelector("#announce").textContent === "The task is now completed."`)
	b.stable(chromedp.SetValue(chromedp.CSS("#try-input"), `{"steps": `))
	b.tolerate("400 (Bad Request)")
	b.click("#try button")
	b.see("the arguments are no JSON object")
	b.stable(chromedp.SetValue(chromedp.CSS("#try-input"), `{"steps": -1}`))
	b.click("#try button")
	b.see("argument steps: -1 is not between 0 and 1000000")
}

func TestCancelAndRetryOnThePage(t *testing.T) {
	s := server(t)
	b := open(t, s)
	task := s.submit(t, slow("watched", 2000, 10))
	b.visit("/tasks/" + task.ID)
	b.wait(`document.querySelector("#task").dataset.status === "running" && document.querySelector("#link").dataset.state === "on"`)
	before := eval[float64](b, `document.querySelector("[data-bar]").value`)
	b.wait(fmt.Sprintf(`document.querySelector("[data-bar]").value > %g`, before))
	b.click(`form[action$="/cancel"] button`)
	b.wait(`document.querySelector("#task")?.dataset.status === "cancelled"`)
	b.see("cancelled")
	b.click(`form[action$="/retry"] button`)
	b.wait(`document.querySelector("#task")?.dataset.status === "running"`)
	s.stop(t, task.ID) // the page hears of it
	b.wait(`document.querySelector("#task").dataset.status === "cancelled"`)
	if rows := eval[int](b, `document.querySelectorAll("section table tbody tr").length`); rows != 2 {
		t.Errorf("%d attempts are shown, want 2", rows)
	}
}

func TestListIsLiveAndKeepsWhatIsSelected(t *testing.T) {
	s := server(t)
	b := open(t, s)
	spec := slow("live", 3000, 10)
	spec.Queue = unique("live")
	first := s.submit(t, spec)
	b.visit("/tasks?queue=" + spec.Queue)
	b.wait(`document.querySelectorAll("tr[data-task]").length === 1`)
	b.click(`tr[data-task] input[type="checkbox"]`)
	b.wait(`document.querySelector("#picked").textContent === "1 selected"`)
	second := s.submit(t, spec)
	b.wait(`document.querySelectorAll("tr[data-task]").length === 2`)
	b.wait(fmt.Sprintf(`document.querySelector("#t-%s input").checked && !document.querySelector("#t-%s input").checked`, first.ID, second.ID))
	value := eval[float64](b, fmt.Sprintf(`document.querySelector("#t-%s progress").value`, second.ID))
	b.wait(fmt.Sprintf(`document.querySelector("#t-%s progress").value > %g + 0.01`, second.ID, value))
	b.click(`#bulk button[value="cancel"]`)
	b.see("Cancelled: 1 task.")
	b.wait(fmt.Sprintf(`document.querySelector("#t-%s").dataset.status === "cancelled"`, first.ID))
	if got := s.look(t, second.ID); got.Status.Final() {
		t.Errorf("the task that was not selected is %s", got.Status)
	}
	b.click(`input[name="all"]`)
	b.click(`#bulk button[value="cancel"]`)
	b.see("Cancel every task with queue " + spec.Queue + "?")
	b.click("button.danger")
	s.ended(t, second.ID)
	b.stable(chromedp.SetValue(chromedp.CSS("#f-label"), "a=b"), chromedp.SendKeys(chromedp.CSS("#f-label"), kb.Enter))
	b.see("No task matches.")
	if at := eval[string](b, "location.search"); !strings.Contains(at, "label=a%3Db") {
		t.Errorf("the address is %q", at)
	}
	b.run(chromedp.NavigateBack())
	b.wait(`document.querySelectorAll("tr[data-task]").length === 2`)
}

func TestKeyboardAlone(t *testing.T) {
	s := server(t)
	task := s.submit(t, manager.ProcessorTask("by keys", "text"))
	s.ended(t, task.ID)
	b := open(t, s)
	press := func(keys ...string) {
		t.Helper()
		for _, k := range keys {
			b.run(chromedp.KeyEvent(k))
		}
	}
	at := func(path string) {
		t.Helper()
		b.wait(fmt.Sprintf("location.pathname === %q && document.readyState === 'complete'", path))
	}
	b.visit("/")
	b.wait(`document.querySelector("#help") && document.readyState === "complete"`)
	press(kb.Tab, kb.Enter) // the link that skips the navigation
	b.wait(`location.hash === "#main"`)
	press("?")
	b.wait(`document.querySelector("#help").open`)
	press(kb.Escape)
	b.wait(`!document.querySelector("#help").open`)
	press("g", "t")
	at("/tasks")
	press("/")
	b.wait(`document.activeElement.hasAttribute("data-find")`)
	b.run(chromedp.Blur(chromedp.CSS("[data-find]")))
	press("j", "j", "k", "x")
	b.wait(`document.querySelector("tr.at input").checked && document.querySelector("#picked").textContent === "1 selected"`)
	press(kb.Enter)
	b.wait(`location.pathname.startsWith("/tasks/") && document.readyState === "complete"`)
	press("u")
	at("/tasks")
	press("g", "p")
	at("/plugins")
	for range 40 { // to the first plugin, by Tab as somebody without shortcuts does
		press(kb.Tab)
		if eval[bool](b, `document.activeElement.closest("tr") !== null`) {
			break
		}
	}
	if ring := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); ring != "solid" {
		t.Errorf("the focused link has an outline that is %q", ring)
	}
	press(kb.Enter)
	at("/plugins/agent")
	press("?")
	b.run(chromedp.Focus(chromedp.CSS("#keys-off")))
	press(" ", kb.Escape, "g", "q")
	if path := eval[string](b, "location.pathname"); path != "/plugins/agent" {
		t.Errorf("shortcuts that are switched off led to %s", path)
	}
	eval[any](b, `localStorage.clear()`)
}

func TestReadingWithoutScripts(t *testing.T) {
	s := server(t)
	demoOnce(t)
	b := open(t, s)
	b.scriptsOff()
	task := s.submit(t, manager.ProcessorTask("# Hi", "text", "markdown"))
	s.ended(t, task.ID)
	for path, want := range map[string]string{
		"/": "Failed last", "/tasks": "publish-notes", "/tasks/" + task.ID: "<h1", "/plugins": "markdown", "/plugins/agent": "Counts slowly",
		"/queues": "media", "/schedules": "morning-digest",
	} {
		b.visit(path)
		text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("main")))
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%s: %q is not there (%v)", path, want, err)
		}
		for _, hidden := range []string{"none selected", "up to date"} {
			if strings.Contains(text, hidden) {
				t.Errorf("%s: %q is there, and needs a script", path, hidden)
			}
		}
	}
	b.visit("/plugins/agent")
	b.stable(chromedp.SetValue(chromedp.CSS("#try-input"), `{"steps": 1}`), chromedp.Click(chromedp.CSS("#try button")), chromedp.WaitReady(chromedp.CSS("#task")))
	b.shot("tried")
}

func TestUploadSwapAndRollBack(t *testing.T) {
	s := server(t)
	b := open(t, s)
	file := func(name string) string {
		t.Helper()
		path, err := wasm(name)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	current := func() string {
		t.Helper()
		p, err := s.client.Plugin(t.Context(), "swapped")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(string(p.Digest), "sha256:")[:12]
	}
	b.visit("/plugins")
	b.stable(chromedp.SetUploadFiles(chromedp.CSS("#u-file"), []string{file("upper-c")}))
	b.stable(chromedp.SetValue(chromedp.CSS("#u-name"), "swapped"))
	b.click("#upload button")
	b.see("is loaded, version ")
	b.wait(`document.querySelector("#plugin-swapped") !== null`)
	first := current()
	b.stable(chromedp.SetUploadFiles(chromedp.CSS("#u-file"), []string{file("not-wasm")}))
	b.stable(chromedp.SetValue(chromedp.CSS("#u-name"), "swapped"))
	b.tolerate("422 (Unprocessable")
	b.click("#upload button")
	b.see("was refused: ")
	if got := current(); got != first {
		t.Errorf("after a refusal the version is %s, want %s", got, first)
	}
	b.shot("refused")
	next, err := os.ReadFile(file("upper-rust"))
	if err != nil {
		t.Fatal(err)
	}
	eval[any](b, `(() => {
		const data = new DataTransfer();
		data.items.add(new File([Uint8Array.from(atob("`+base64.StdEncoding.EncodeToString(next)+`"), (c) => c.charCodeAt(0))], "swapped.wasm"));
		for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
	})()`)
	b.wait(`document.querySelectorAll("#uploads .ok").length === 2`)
	second := current()
	if second == first {
		t.Fatal("the file that was dropped did not become current")
	}
	b.visit("/plugins")
	b.stable(chromedp.SetUploadFiles(chromedp.CSS("#u-file"), []string{scriptFile(t, "scripted")}))
	b.click("#upload button")
	b.see("is loaded, version ")
	b.visit("/plugins/scripted")
	b.see("JavaScript: QuickJS")
	b.see("it drew random bytes while it started")
	b.stable(chromedp.SetValue(chromedp.CSS("#try-input"), "loud"))
	b.click("#try button")
	b.see("LOUD!")
	s.confirm(t, "/plugins/scripted/remove", url.Values{})
	b.visit("/plugins/swapped")
	b.wait(`document.querySelectorAll("tr[id^=v-]").length === 2`)
	b.click("#v-" + first + " button")
	b.see("The older version is current again.")
	if got := current(); got != first {
		t.Errorf("rolled back to %s, want %s", got, first)
	}
	b.stable(chromedp.SetValue(chromedp.CSS("#try-input"), "loud"))
	b.click("#try button")
	b.see("LOUD")
	b.click(`form[action$="/remove"] button`)
	b.see("Remove the plugin swapped and its file?")
	b.click("button.danger")
	b.see("The plugin is removed.")
	b.wait(`document.querySelector("#plugin-swapped") === null`)
	if done, err := s.client.DeleteAll(t.Context(), client.Selection{Filter: manager.Filter{Plugin: "swapped"}}); err != nil || done.Count != 1 {
		t.Errorf("its task: %+v, %v", done, err)
	}
}

func TestLogIn(t *testing.T) {
	s := server(t)
	tokens, err := auth.OpenFile(filepath.Join(t.TempDir(), "tokens"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := tokens.Create("reader", auth.RoleRead, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	guarded := *s
	if guarded.url, err = s.listen(auth.New(auth.Config{Tokens: tokens}).Handler, tokens.Required); err != nil {
		t.Fatal(err)
	}
	b := open(t, &guarded)
	b.tolerate("401 (Unauthorized)") // the page asks once more while its session ends
	b.visit("/tasks?status=failed")
	b.see("This server wants a token.")
	if eval[bool](b, `document.querySelector("nav") !== null`) {
		t.Error("somebody who is not in sees the navigation")
	}
	for _, try := range []string{"th_wrong", secret} {
		b.stable(chromedp.SendKeys(chromedp.CSS("#token"), try+kb.Enter))
		if try != secret {
			b.see("The token is wrong, has expired, or was removed.")
		}
	}
	b.wait(`location.pathname + location.search === "/tasks?status=failed" && document.querySelector("#list") !== null`)
	b.see("reader, role read")
	if eval[bool](b, `document.querySelector("#bulk button") !== null`) {
		t.Error("a reader sees buttons for many tasks")
	}
	task := s.submit(t, slow("seen by a reader", 2000, 10))
	defer s.stop(t, task.ID)
	b.visit("/tasks/" + task.ID)
	b.wait(`document.querySelector("#link").dataset.state === "on" && document.querySelector("[data-bar]").value > 0`) // the stream has the session, too
	b.click(`form[action="/logout"] button`)
	b.see("This server wants a token.")
}
