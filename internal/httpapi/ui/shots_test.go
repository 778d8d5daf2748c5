package ui_test

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/taskhost/taskhost/manager"
)

// images makes the pictures of the README: go test ./internal/httpapi/ui -run TestImages -args -images
var images = flag.Bool("images", false, "make the pictures of docs/images; it takes some minutes, since there has to be something to see")

// looks are the pages that eyes and axe-core look at.
func looks(t *testing.T, s *system) (pages []look) {
	t.Helper()
	find := func(name string, status manager.Status) string {
		t.Helper()
		page, err := s.tasks.List(t.Context(), manager.Filter{Name: name, Status: []manager.Status{status}})
		if err != nil || len(page.Tasks) == 0 {
			t.Fatalf("there is no task %s that is %s (%v)", name, status, err)
		}
		return "/tasks/" + page.Tasks[0].ID
	}
	running := s.submit(t, slow("transcode", 400, 50))
	t.Cleanup(func() { _ = s.tasks.Cancel(t.Context(), running.ID) })
	return []look{
		{"overview", "/"},
		{"tasks", "/tasks"},
		{"tasks-none", "/tasks?queue=none"},
		{"task", find("publish-notes", manager.StatusCompleted)},
		{"task-running", "/tasks/" + running.ID},
		{"task-failed", find("publish-notes", manager.StatusFailed)},
		{"plugins", "/plugins"},
		{"plugin", "/plugins/agent"},
		{"queues", "/queues"},
		{"schedules", "/schedules"},
		{"login", "/login?failed=denied"},
		{"error", "/nothing"},
	}
}

type look struct{ name, path string }

// finding is something that axe-core does not like.
type finding struct {
	Impact, ID, Help string
	Nodes            []string
}

// TestEveryPageForEverybody lets axe-core look at every page, in the light, in the dark, and as on a phone, and puts pictures of them into
// build/screenshots, for eyes.
func TestEveryPageForEverybody(t *testing.T) {
	s := server(t)
	demoOnce(t)
	axe, err := os.ReadFile(filepath.Join(build, "testdata", "axe.js"))
	if err != nil {
		t.Fatalf("%v; run make plugins first", err)
	}
	b := open(t, s)
	b.tolerate("404 (Not Found)")
	check := func(path, options string) {
		t.Helper()
		for _, finding := range eval[[]finding](b, `axe.run(document, {resultTypes: ["violations"], `+options+`}).then((r) => r.violations.map((v) => (
			{impact: v.impact, id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => n.html + " " + n.failureSummary)})))`) {
			if finding.Impact == "serious" || finding.Impact == "critical" {
				t.Errorf("%s: %s: %s: %s\n\t%s", path, finding.Impact, finding.ID, finding.Help, strings.Join(finding.Nodes, "\n\t"))
			}
		}
	}
	for _, p := range looks(t, s) {
		b.visit(p.path)
		b.wait(`document.readyState === "complete"`)
		b.shot(p.name)
		eval[any](b, string(axe)+"; null")
		check(p.path, "")
		b.prefer("dark")
		b.shot(p.name + "-dark")
		check(p.path, `runOnly: ["color-contrast", "link-in-text-block"]`)
		b.prefer("light")
		b.size(360, 740)
		b.shot(p.name + "-phone")
		check(p.path, `runOnly: ["scrollable-region-focusable", "target-size"]`)
		if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("%s: %d pixels wide on a phone of 360", p.path, wide)
		}
		b.size(1280, 800)
	}
}

// TestImages makes the pictures of the README when it is told to; else it looks at those that are there.
func TestImages(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "docs", "images")
	names := []string{"overview", "tasks", "task", "plugins"}
	if *images {
		takeImages(t, dir, names)
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name+".png"))
		if err != nil || info.Size() > 150_000 {
			t.Errorf("the picture %s: %v, %v", name, info, err)
		}
	}
}

func takeImages(t *testing.T, dir string, names []string) {
	t.Helper()
	s, err := newSystem(manager.Config{MaxConcurrent: 12}, "agent", "text", "markdown")
	if err != nil {
		t.Fatal(err)
	}
	demo(t, s)
	work(t, s, 4*time.Minute)
	b := open(t, s)
	paths := map[string]string{"plugins": "/plugins/agent"}
	for _, p := range looks(t, s) {
		if _, ok := paths[p.name]; !ok {
			paths[p.name] = p.path
		}
	}
	for _, name := range names {
		b.visit(paths[name])
		b.wait(`document.readyState === "complete" && (!document.querySelector("[data-plot]") || document.querySelector(".uplot"))`)
		if name == "plugins" {
			b.stable(chromedp.SetValue(chromedp.CSS("#try-input"), `{"steps": 200, "delay_ms": 20}`), chromedp.Click(chromedp.CSS("#try button")),
				chromedp.Blur(chromedp.CSS("#try button")))
			b.wait(`document.querySelector("#tried progress")?.value > 0.6`)
		}
		if err := squeeze(strings.TrimPrefix(b.shot(name), "see "), filepath.Join(dir, name+".png")); err != nil {
			t.Fatal(err)
		}
	}
}

// squeeze copies a picture with the 256 colours that most of it has, which a page hardly needs more of.
func squeeze(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	counts := map[color.Color]int{}
	area := picture.Bounds()
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	palette := color.Palette(slices.Collect(maps.Keys(counts)))
	slices.SortFunc(palette, func(a, b color.Color) int { return counts[b] - counts[a] })
	small := image.NewPaletted(area, palette[:min(256, len(palette))])
	draw.Draw(small, area, picture, area.Min, draw.Src)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o600)
}
