package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/taskhost/taskhost/internal/config"
)

// deployed reads a file of the repository that shows how to run a server.
func deployed(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkFlags fails for flags that serve does not have.
func checkFlags(t *testing.T, where string, args []string) {
	t.Helper()
	known := []string{"config", "verbose"}
	for _, s := range config.Settings() {
		known = append(known, s.Flag())
	}
	for _, arg := range args {
		if name, ok := strings.CutPrefix(arg, "--"); ok && !slices.Contains(known, name) {
			t.Errorf("%s: serve has no flag --%s", where, name)
		}
	}
}

func TestDockerfile(t *testing.T) {
	text := deployed(t, "Dockerfile")
	known := map[string]bool{}
	for _, s := range config.Settings() {
		known[s.Env()] = true
	}
	for _, name := range regexp.MustCompile(`TASKHOST_[A-Z_]+`).FindAllString(text, -1) {
		if !known[name] {
			t.Errorf("there is no setting %s", name)
		}
	}
	for _, want := range []string{"FROM scratch", "USER 65532:65532", `HEALTHCHECK --interval=15s`, `CMD ["/taskhost", "health"]`, "CGO_ENABLED=0"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	volumes := regexp.MustCompile(`(?m)^VOLUME \["(.*)"\]$`).FindStringSubmatch(text)
	if volumes == nil {
		t.Fatal("no VOLUME")
	}
	for _, name := range []string{"TASKHOST_DATA", "TASKHOST_PLUGINS", "TASKHOST_CACHE"} {
		path := regexp.MustCompile(name + `=(\S+)`).FindStringSubmatch(text)
		if path == nil || !slices.ContainsFunc(strings.Split(volumes[1], `", "`), func(v string) bool { return strings.HasPrefix(path[1]+"/", v+"/") }) {
			t.Errorf("%s is on no volume of %s: %v", name, volumes[1], path)
		}
	}
	if !strings.Contains(text, "/out/data/plugins") || !strings.Contains(text, "--chown=65532:65532 /out/data /data\n") {
		t.Error("the plugins of the image are not where the server looks")
	}
	checkBuilt(t)
}

// checkBuilt fails when the program needs a file that docker build leaves out.
func checkBuilt(t *testing.T) {
	t.Helper()
	copied := strings.Split(deployed(t, ".dockerignore"), "\n") // what go list needs to be in the image
	const files = `{{if and .Module .Module.Main}}{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", files, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for file := range strings.Lines(string(out)) {
		file, err := filepath.Rel(repository(t), strings.TrimSpace(file))
		if err != nil {
			t.Fatal(err)
		}
		if top, _, _ := strings.Cut(filepath.ToSlash(file), "/"); !slices.Contains(copied, "!"+top) {
			left[top] = true
		}
	}
	for top := range left {
		t.Errorf(".dockerignore leaves %s out", top)
	}
}

func TestSystemdUnits(t *testing.T) {
	unit := deployed(t, "deploy/systemd/taskhost.service")
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindStringSubmatch(unit)
	if start == nil {
		t.Fatal("no ExecStart")
	}
	args := strings.Fields(start[1])
	if args[0] != "/usr/local/bin/taskhost" || args[1] != "serve" {
		t.Errorf("ExecStart is %s", start[1])
	}
	checkFlags(t, "taskhost.service", args)
	for _, want := range []string{"\nType=notify\n", "\nExecReload=/bin/kill -HUP $MAINPID\n", "WatchdogSec=", "DynamicUser=yes", "NoNewPrivileges=yes"} {
		if !strings.Contains(unit, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(unit, "\nMemoryDenyWriteExecute=yes") {
		t.Error("compiled plugins could not run")
	}
	addr := regexp.MustCompile(`(?m)^ListenStream=(.*)$`).FindStringSubmatch(deployed(t, "deploy/systemd/taskhost.socket"))
	if addr == nil || addr[1] != config.Settings()[0].Default {
		t.Errorf("the socket listens on %v", addr)
	}
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return // it is not everywhere
	}
	dir := t.TempDir() // with a program that is there
	for name, text := range map[string]string{
		"taskhost.service": strings.ReplaceAll(unit, "/usr/local/bin/taskhost", "/bin/true"), "taskhost.socket": deployed(t, "deploy/systemd/taskhost.socket"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(verify, "verify", "--man=no", filepath.Join(dir, "taskhost.service"), filepath.Join(dir, "taskhost.socket")).CombinedOutput()
	if strings.Contains(string(out), "taskhost.s") && (err != nil || strings.Contains(string(out), "Unknown") || strings.Contains(string(out), "Failed to parse")) {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// documents reads the documents of a YAML file.
func documents(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc map[string]any
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, doc)
	}
}

// at walks into a document: texts are keys, numbers are places in lists.
func at(t *testing.T, doc any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := doc.(map[string]any)
			if doc = m[step]; doc == nil {
				t.Fatalf("there is no %s in %v", step, path)
			}
		case int:
			l, _ := doc.([]any)
			if step >= len(l) {
				t.Fatalf("there is no item %d in %v", step, path)
			}
			doc = l[step]
		}
	}
	return doc
}

func TestKubernetesManifests(t *testing.T) {
	docs := documents(t, deployed(t, "deploy/kubernetes/taskhost.yaml"))
	kinds := map[string]map[string]any{}
	for _, d := range docs {
		kinds[at(t, d, "kind").(string)] = d
	}
	file := at(t, kinds["ConfigMap"], "data", "taskhost.yaml").(string)
	l, err := config.Check("taskhost.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	pod := at(t, kinds["StatefulSet"], "spec", "template", "spec")
	container := at(t, pod, "containers", 0)
	var args []string
	for _, arg := range at(t, container, "args").([]any) {
		args = append(args, arg.(string))
	}
	if args[0] != "serve" {
		t.Errorf("args are %v", args)
	}
	checkFlags(t, "taskhost.yaml", args)
	mounts := []string{}
	for _, m := range at(t, container, "volumeMounts").([]any) {
		mounts = append(mounts, at(t, m, "mountPath").(string))
	}
	for _, path := range []string{l.Data, l.Plugins, l.Cache, l.Tokens, args[slices.Index(args, "--config")+1]} {
		if !slices.ContainsFunc(mounts, func(m string) bool { return strings.HasPrefix(path, m+"/") }) {
			t.Errorf("%s is on no volume of %v", path, mounts)
		}
	}
	if at(t, kinds["StatefulSet"], "spec", "template", "metadata", "annotations", "prometheus.io/scrape") == "true" && l.MetricsAuth != "none" {
		t.Error("metrics are to be scraped without a token, and need one")
	}
	for probe, path := range map[string]string{"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"} {
		if got := at(t, container, probe, "httpGet", "path"); got != path {
			t.Errorf("%s asks %v", probe, got)
		}
	}
	if !strings.HasSuffix(l.Listen[0], ":8080") || at(t, container, "ports", 0, "containerPort") != 8080 {
		t.Error("the port is another one")
	}
	grace, sleep := at(t, pod, "terminationGracePeriodSeconds").(int), at(t, container, "lifecycle", "preStop", "sleep", "seconds").(int)
	if need := sleep + int(l.DrainTimeout.Seconds()) + 10; grace < need {
		t.Errorf("the pod is killed after %d s, and may take %d s to stop", grace, need)
	}
	if at(t, pod, "securityContext", "runAsNonRoot") != true || at(t, container, "securityContext", "readOnlyRootFilesystem") != true {
		t.Error("it may do more than it needs")
	}
	if at(t, kinds["StatefulSet"], "spec", "replicas") != 1 {
		t.Error("a data folder belongs to one process")
	}
	if !bytes.Contains([]byte(deployed(t, "Dockerfile")), []byte("65532")) || at(t, pod, "securityContext", "runAsUser") != 65532 {
		t.Error("the image runs as another user")
	}
}
